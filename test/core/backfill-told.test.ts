/** Whoever goes before a large request of whose start he takes nothing is told so, and counted. */
import { expect, it } from 'vitest';
import { expand } from '../../src/core/ledger/expand.ts';
import { decisionOf } from '../../src/query/decision.ts';
import { explainText } from '../../src/query/explain.ts';
import { kinds, spec, World } from './world.ts';

const HOUR_MS = 3_600_000;
const hourly = spec('hourly', { limit: 10, windowMs: HOUR_MS, source: 'policy' });
const PATIENT = { maxWaitMs: 4_000_000 };

function explained(world: World, effects: ReturnType<World['run']>): string {
  const [went] = effects;
  if (went?.type !== 'forward') throw new Error('nobody went');
  const events = world.entries.flatMap((entry) => expand(entry));
  const record = decisionOf(events.filter((event) => event.correlation_id === went.id));
  return record === null ? '' : explainText(record);
}

it('explains a small request that went before a large one', () => {
  const world = new World([hourly]);
  world.arrive({ path: '/hourly:4' });
  const out = world.arrive({ path: '/hourly:6' }).key;
  const large = world.arrive({ path: '/hourly:7', agent: 'large', ...PATIENT });
  const small = world.arrive({ path: '/hourly:3', agent: 'small', ...PATIENT });
  expect([...kinds(large.effects), ...kinds(small.effects)]).toEqual([]);
  const freed = world.end(out, 'unreachable');
  expect(freed).toMatchObject([{ type: 'forward', key: small.key }]);
  expect(explained(world, freed)).toContain(
    'When it went: it went before others in the line of `hourly`, and delays none whose turn it is.',
  );
  expect(world.governor.totals.turns).toEqual({ turn: 0, floor: 0, backfill: 1 });
  world.run(HOUR_MS);
  expect(world.governor.totals.turns).toEqual({ turn: 1, floor: 0, backfill: 1 });
});

it('explains a newcomer that did, and counts whoever only is in turn apart', () => {
  const world = new World([hourly]);
  const first = world.arrive({ path: '/hourly:4' });
  expect(explained(world, first.effects)).toContain('nothing stood in its way');
  const large = world.arrive({ path: '/hourly:9', agent: 'large', ...PATIENT });
  expect(large.effects).toEqual([]);
  expect(world.governor.totals.turns).toEqual({ turn: 0, floor: 0, backfill: 0 });
  const small = world.arrive({ path: '/hourly:1', agent: 'small' });
  expect(explained(world, small.effects)).toContain(
    'It was sent at once: it went before others in the line of `hourly`, and delays none whose turn it is.',
  );
  expect(world.governor.totals.turns).toEqual({ turn: 0, floor: 0, backfill: 1 });
  const high = world.arrive({ path: '/hourly:1', agent: 'urgent', priority: 'high' });
  expect(explained(world, high.effects)).toContain('nothing stood in its way');
  expect(world.governor.totals.turns).toEqual({ turn: 1, floor: 0, backfill: 1 });
});
