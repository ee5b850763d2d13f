/** Whoever goes before a large request of whose start he takes nothing is told so. */
import { expect, it } from 'vitest';
import { decisionOf } from '../../src/query/decision.ts';
import { explainText } from '../../src/query/explain.ts';
import { expand } from '../../src/core/ledger/expand.ts';
import { kinds, spec, World } from './world.ts';

it('explains a small request that went before a large one', () => {
  const hourly = spec('hourly', { limit: 10, windowMs: 3_600_000, source: 'policy' });
  const world = new World([hourly]);
  const patient = { maxWaitMs: 4_000_000 };
  world.arrive({ path: '/hourly:4' });
  const out = world.arrive({ path: '/hourly:6' }).key;
  const large = world.arrive({ path: '/hourly:7', agent: 'large', ...patient });
  const small = world.arrive({ path: '/hourly:3', agent: 'small', ...patient });
  expect([...kinds(large.effects), ...kinds(small.effects)]).toEqual([]);
  const freed = world.end(out, 'unreachable');
  expect(freed).toMatchObject([{ type: 'forward', key: small.key }]);
  const id = freed[0]?.type === 'forward' ? freed[0].id : '';
  const events = world.entries.flatMap((entry) => expand(entry));
  const record = decisionOf(events.filter((event) => event.correlation_id === id));
  expect(record && explainText(record)).toContain(
    'When it went: it went before others in the line of `hourly`, and delays none whose turn it is.',
  );
});
