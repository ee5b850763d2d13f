/**
 * Looking changes nothing: of two governors that are handed the same, one is looked at all the time, as
 * the API, the metrics and `status` do. Both decide the same, and write the same ledger.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parsePolicy } from '../../src/config/policy/load.ts';
import type { Effect } from '../../src/core/engine.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { CompiledPolicy } from '../../src/core/policy/types.ts';
import { createEngineView } from '../../src/query/engine-view.ts';
import type { EngineView } from '../../src/query/ports.ts';
import { spec, World } from '../core/world.ts';

const LIMIT = 40;
const WINDOW_MS = 60_000;
const core = spec('core', { windowMs: WINDOW_MS });
const tokens = spec('tokens', {
  kind: 'bucket',
  unit: 'tokens',
  limit: 4000,
  windowMs: WINDOW_MS,
  source: 'policy',
});

function policy(): CompiledPolicy {
  const parsed = parsePolicy(
    'forecasts',
    [
      'rules:',
      '  - { id: slow, when: forecast.p_exhaust > 0.5, action: delay, with: { for: 2s } }',
      '  - id: late',
      '    match: { priority: background }',
      '    when: forecast.p50 < 20',
      '    action: delay',
      '    with: { for: 5s }',
    ].join('\n'),
  );
  if (!parsed.ok) throw new Error('broken policy');
  return parsed.policy;
}

const POLICY = policy();

/** A world whose provider answers by a fixed window that others use as well. */
class Side {
  readonly world = new World([core, tokens], { policy: POLICY });
  readonly log: string[] = [];
  readonly view: EngineView;
  private used = 0;
  private resetAt = 0;

  constructor() {
    const { world } = this;
    this.view = createEngineView({
      governor: world.governor,
      now: () => world.now.wall,
      hosts: new Map([['test', ['api.test']]]),
      skew: () => null,
      identities: () => [],
      policy: () => {
        throw new Error('not asked for');
      },
    });
  }

  look(): void {
    this.view.pools(true);
    this.view.providers();
    this.view.queueDepth();
    this.view.totals();
  }

  took(effects: readonly Effect[]): void {
    for (const effect of [...effects]) {
      if (!('key' in effect)) continue;
      this.log.push(`${String(this.world.now.mono)} ${effect.type} ${String(effect.key)}`);
      if (effect.type === 'respond') this.took(this.world.end(effect.key, 'gone'));
      if (effect.type === 'forward') this.answer(effect.key);
    }
  }

  private answer(key: number): void {
    const { wall } = this.world.now;
    this.pass(1);
    if (wall >= this.resetAt) [this.used, this.resetAt] = [0, wall + WINDOW_MS];
    this.used += 1;
    const told: Observation = {
      kind: 'quota',
      spec: core,
      limit: LIMIT,
      used: Math.min(LIMIT, this.used),
      resetAt: this.resetAt,
    };
    this.took(this.world.head(key, [told]));
    this.took(this.world.end(key));
  }

  others(units: number): void {
    this.used += units;
  }

  pass(ms: number): void {
    this.world.pass(ms);
  }

  wake(): void {
    const at = this.world.governor.wakeAt();
    if (at !== null && at <= this.world.now.mono) this.took(this.world.wake());
  }
}

const step = fc.record({
  ms: fc.constantFrom(0, 20, 300, 900, 1700, 6000),
  priority: fc.constantFrom('high' as const, 'normal' as const, 'background' as const),
  agent: fc.constantFrom('one', 'two', 'three'),
  path: fc.constantFrom('/core', '/core', '/core,tokens:200:guess', '/tokens:150'),
  maxWaitMs: fc.constantFrom(0, 0, 5000, 30_000),
  others: fc.constantFrom(0, 0, 0, 3),
  /** When somebody looks: before, between, after. */
  looks: fc.nat(7),
});
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

function play(side: Side, { ms, others, looks, ...asking }: Step, looked: boolean): void {
  const part = Math.floor(ms / 3);
  if (looked && (looks & 1) !== 0) side.look();
  side.pass(part);
  if (looked && (looks & 2) !== 0) side.look();
  side.pass(ms - part);
  side.wake();
  side.others(others);
  side.took(side.world.arrive(asking).effects);
  if (looked && (looks & 4) !== 0) side.look();
}

it('whoever looks, whenever: the decisions and the ledger are the same', () => {
  let told = 0;
  let held = 0;
  const history = fc.array(step, { minLength: 20, maxLength: 40 });
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 12 }), (steps, times) => {
      const [seen, unseen] = [new Side(), new Side()];
      // The same over and over: so long a history that trials are begun, judged and learned from.
      for (let round = 0; round < times; round++) {
        for (const one of steps) {
          play(seen, one, true);
          play(unseen, one, false);
        }
      }
      expect(seen.log).toEqual(unseen.log);
      expect(seen.world.entries).toEqual(unseen.world.entries);
      for (const { kind, data } of seen.world.entries) {
        if (data[0] === 'forecast_computed') told += 1;
        else if (kind === 'decided' && JSON.stringify(data).includes('forecast.p')) held += 1;
      }
    }),
    { numRuns: 25 },
  );
  // Forecasts were told, and rules decided by them.
  expect(Math.min(told, held)).toBeGreaterThan(100);
});
