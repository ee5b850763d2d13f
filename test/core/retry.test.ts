/** Refusals by the provider that came anyway: retried within the wait allowed, or passed on. */
import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/core/engine.ts';
import { evolve } from '../../src/core/governor/evolve.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import { expand } from '../../src/core/ledger/expand.ts';
import type { Observation, ThrottleObservation } from '../../src/core/observation.ts';
import { decisionOf } from '../../src/query/decision.ts';
import { compileMatch } from '../../src/core/policy/match.ts';
import { EMPTY_POLICY, kinds, spec, World, type Asking } from './world.ts';

const core = spec('core', { windowMs: 60_000 });
const free = spec('free', { limit: 1000, source: 'documented', windowMs: 60_000 });
const REPLAYABLE: Asking = { path: '/free', replayable: true };

function slow(more: Partial<ThrottleObservation> = {}): Observation {
  const base = { kind: 'throttled', class: 'secondary', scope: 'identity', code: 'slow' } as const;
  return { ...base, retryInMs: 2000, ...more };
}

function world(options: ConstructorParameters<typeof World>[1] = {}): World {
  return new World([core, free], options);
}

function refused(effects: readonly Effect[]): boolean {
  return !effects.some(({ type }) => type === 'retry');
}

/** One request that was sent and refused. */
function once(asking: Asking, status: number, told: Observation[], at = world()) {
  const { key } = at.arrive(asking);
  return { key, at, effects: at.head(key, told, status) };
}

describe('a refusal that came anyway', () => {
  it('is retried when its time has come, by the same request', () => {
    const { key, at, effects } = once(REPLAYABLE, 429, [slow()]);
    expect(effects).toEqual([{ type: 'retry', key }]);
    expect(at.run(1999)).toEqual([]);
    const [forward] = at.run(1);
    expect(forward).toMatchObject({ type: 'forward', key, decision: 'delay', waitedMs: 2000 });
    at.pass(10);
    expect(at.head(key, [])).toEqual([]);
    expect(at.end(key)).toEqual([]);
    expect(at.governor.live.size).toBe(0);
  });

  it('does not count the time under way as waiting', () => {
    const at = world();
    const { key } = at.arrive(REPLAYABLE);
    at.pass(700);
    at.head(key, [slow()], 429);
    expect(at.run(2000)[0]).toMatchObject({ type: 'forward', waitedMs: 2000 });
  });

  it('keeps its place before those who came later', () => {
    const at = world();
    const { key: first } = at.arrive(REPLAYABLE);
    const { key: other } = at.arrive(REPLAYABLE);
    const late: number[] = [];
    at.head(first, [slow()], 429);
    for (let i = 0; i < 3; i++) late.push(at.arrive({ path: '/free' }).key);
    expect(kinds(at.end(other))).toEqual([]);
    const next = at.run(2500).filter((effect) => effect.type === 'forward');
    expect(next.map((effect) => effect.key)).toEqual([first]);
  });

  it('is sent again after a pause where nothing shuts', () => {
    const { at, key, effects } = once(REPLAYABLE, 503, [
      slow({ class: 'overloaded', scope: 'request' }),
    ]);
    expect(kinds(effects)).toEqual(['retry']);
    expect(at.run(499)).toEqual([]);
    expect(at.run(1)[0]).toMatchObject({ type: 'forward', key });
  });

  it('is given up by its client as any waiter is', () => {
    const { at, key } = once(REPLAYABLE, 429, [slow()]);
    expect(at.end(key, 'gone')).toEqual([]);
    expect(at.run(10_000)).toEqual([]);
    const { state, room, live } = at.governor;
    expect([live.size, state.flights.size, room.lines.size]).toEqual([0, 0, 0]);
  });

  it('ends with a refusal of our own when its time runs out', () => {
    const { at, key } = once({ ...REPLAYABLE, maxWaitMs: 5000 }, 429, [slow()]);
    // Somebody else is refused again, and for longer.
    const { key: probe } = at.arrive({ path: '/free', maxWaitMs: 0, credential: 'b' });
    at.head(probe, [slow({ scope: 'provider', retryInMs: 60_000 })], 429);
    const all = at.run(5000);
    expect(all).toHaveLength(1);
    expect(all[0]).toMatchObject({ type: 'respond', key });
  });
});

describe('what is passed on', () => {
  const resetAt = 1_700_000_000_000 + 90_000;
  const usedUp = { kind: 'quota', spec: core, limit: 9, remaining: 0, resetAt } as const;
  const brief = slow({ scope: 'request', retryInMs: 1 });
  const cases: [string, Asking, number, Observation[]][] = [
    ['content that cannot be sent again', { path: '/free' }, 429, [slow()]],
    ['no time left', { ...REPLAYABLE, maxWaitMs: 0 }, 429, [slow()]],
    ['a wait longer than is left', { ...REPLAYABLE, maxWaitMs: 1999 }, 429, [slow()]],
    ['what waiting does not clear', REPLAYABLE, 429, [slow({ class: 'never' })]],
    ['a request too large', REPLAYABLE, 429, [slow({ class: 'never', scope: 'request' })]],
    ['a quota that stays used up', { ...REPLAYABLE, path: '/core' }, 429, [usedUp, brief]],
    ['a refusal that is no limit', REPLAYABLE, 403, []],
    ['a POST to an overloaded origin', { ...REPLAYABLE, method: 'POST' }, 503, [slow()]],
    ['an error of another kind', REPLAYABLE, 500, [slow()]],
  ];
  it.each(cases)('%s', (_name, asking, status, told) => {
    const { at, effects, key } = once(asking, status, told);
    expect(refused(effects)).toBe(true);
    at.end(key);
    expect(at.entries.filter((entry) => entry.data[0] === 'retried')).toEqual([]);
    // It is observed once, retried or not.
    expect(at.entries.filter((entry) => entry.kind === 'observed').length).toBeLessThan(2);
  });

  it('but a POST is retried after a 429, which nobody processed', () => {
    const { effects } = once({ ...REPLAYABLE, method: 'POST' }, 429, [slow()]);
    expect(kinds(effects)).toEqual(['retry']);
  });

  it('while only observing', () => {
    const at = world({ options: { mode: () => 'observe' } });
    expect(refused(once(REPLAYABLE, 429, [slow()], at).effects)).toBe(true);
  });

  it('while the daemon stops', () => {
    const at = world();
    const { key } = at.arrive(REPLAYABLE);
    at.governor.step({ type: 'closing', at: at.now });
    expect(refused(at.head(key, [slow()], 429))).toBe(true);
    at.end(key);
    // Nor does anybody else begin to wait.
    expect(at.arrive(REPLAYABLE).effects).toMatchObject([
      { type: 'respond', refusal: { code: 'RL_SHUTDOWN' } },
    ]);
    expect(at.run(60_000)).toEqual([]);
  });

  it('a refusal that is over in time, but not for whoever is before it in line', () => {
    const slots = spec('slots', { limit: 1, source: 'documented', windowMs: 60_000 });
    const at = new World([slots]);
    const { key } = at.arrive({ ...REPLAYABLE, path: '/slots', maxWaitMs: 30_000 });
    expect(at.arrive({ path: '/slots', maxWaitMs: 300_000 }).effects).toEqual([]);
    at.pass(10);
    const told = slow({ retryInMs: 1000 });
    expect(refused(at.head(key, [told], 429))).toBe(true);
    // Its content says the same once more: one refusal, told once.
    const tapped = { type: 'tapped', at: at.now, key, usage: null } as const;
    at.governor.step({ ...tapped, observations: [told] });
    at.end(key);
    const throttles = at.entries.filter(({ kind }) => kind === 'observed');
    expect(throttles).toHaveLength(1);
    expect(at.governor.totals.throttled.get('test|secondary')).toBe(1);
  });

  it('the last moment of its time is too late', () => {
    const at = world();
    const { key } = at.arrive({ ...REPLAYABLE, maxWaitMs: 1000 });
    at.pass(1000);
    const nothingShut = slow({ scope: 'request', class: 'overloaded', retryInMs: 0 });
    expect(refused(at.head(key, [nothingShut], 429))).toBe(true);
    expect(at.entries.filter(({ data }) => data[0] === 'retried')).toEqual([]);
  });

  it('the third refusal of one request', () => {
    const { at, key } = once(REPLAYABLE, 429, [slow({ retryInMs: 10 })]);
    at.run(10);
    expect(kinds(at.head(key, [slow({ retryInMs: 10 })], 429))).toEqual(['retry']);
    at.run(10);
    expect(refused(at.head(key, [slow({ retryInMs: 10 })], 429))).toBe(true);
  });

  it('an origin’s own word that it is no use', () => {
    const at = world();
    const { key } = at.arrive(REPLAYABLE);
    at.script.observations = [slow()];
    const head = { status: 429, fields: ['X-Should-Retry', 'false'], date: null };
    const effects = at.governor.step({ type: 'head', at: at.now, key, head });
    expect(refused(effects)).toBe(true);
  });
});

describe('the budget', () => {
  function storm(at: World, count: number): number {
    const keys = Array.from({ length: count }, () => at.arrive(REPLAYABLE).key);
    const told = [slow({ class: 'overloaded', scope: 'request', retryInMs: 1 })];
    return keys.filter((key) => !refused(at.head(key, told, 429))).length;
  }

  it('lets a tenth of what was asked be retried, and a few at once', () => {
    const at = world();
    for (let i = 0; i < 4; i++) storm(at, 1);
    expect(storm(at, 100)).toBe(5);
    // One request earns a tenth of a retry; what is left over does not pile up.
    at.pass(1);
    expect(storm(at, 40)).toBe(4);
  });

  it('comes back with time for those who ask little', () => {
    const at = world();
    storm(at, 6);
    expect(storm(at, 1)).toBe(0);
    at.pass(10_000);
    expect(storm(at, 1)).toBe(1);
  });
});

describe('the ledger', () => {
  const limits = [
    {
      id: 'own-tokens',
      match: compileMatch({}),
      per: [],
      quota: 100,
      unit: 'tokens',
      windowMs: 60_000,
      kind: 'rolling',
    },
    {
      id: 'at-once',
      match: compileMatch({}),
      per: [],
      quota: 1,
      unit: 'requests',
      windowMs: 60_000,
      kind: 'concurrent',
    },
  ] as const;

  it('tells every attempt, in one story', () => {
    const { at, key } = once(REPLAYABLE, 429, [slow()]);
    at.run(2000);
    at.head(key, []);
    at.end(key);
    const events = at.entries.flatMap((entry) => {
      const found = expand(entry);
      expect(found).toHaveLength(entry.count);
      return found;
    });
    expect(
      events.map(({ type, payload }) => [type, payload['ending'] ?? payload['decision']]),
    ).toEqual([
      ...([
        ['intent_submitted', undefined],
        ['intent_decided', 'pass'],
      ] as const),
      ['provider_error', undefined],
      ['usage_settled', 'retried'],
      ['intent_decided', 'pass'],
      ['usage_settled', 'complete'],
    ]);
    const record = decisionOf(events);
    expect(record).toMatchObject({ decision: 'delay', state: 'ended', waited_ms: 2000 });
    expect(record?.attempts).toMatchObject([{ number: 1, status: 429 }]);
    expect(at.governor.totals.retries.get('test')).toBe(1);
    expect(at.governor.totals.throttled.get('test|secondary')).toBe(1);
  });

  it('folds to the same, whenever it is read', () => {
    const { at, key } = once(
      REPLAYABLE,
      429,
      [slow()],
      world({ policy: { ...EMPTY_POLICY, limits } }),
    );
    const steps = [() => at.run(2000), () => at.head(key, []), () => at.end(key)];
    // Waiting again, it is known by its model and size, and holds nothing.
    expect(at.governor.state.flights.values()).toMatchObject([{ sentAt: 0, holds: [] }]);
    for (const step of [() => undefined, ...steps]) {
      step();
      const state = new EngineState();
      for (const entry of at.entries) evolve(state, entry);
      const figures = [...state.pools.values()].map((pool) => ({ ...pool.figures(at.now.wall) }));
      const live = [...at.governor.state.pools.values()];
      expect(figures).toEqual(live.map((pool) => ({ ...pool.figures(at.now.wall) })));
      expect(state.flights.size).toBe(at.governor.state.flights.size);
    }
  });

  it('charges a refused attempt nothing but its request', () => {
    const points = spec('points', {
      limit: 900,
      source: 'documented',
      unit: 'points',
      windowMs: 60_000,
    });
    const [own] = limits;
    const policy = {
      ...EMPTY_POLICY,
      limits: [{ ...own, id: 'own-points', unit: 'points' as const }],
    };
    const at = new World([points], { policy });
    once({ path: '/points:40', replayable: true }, 429, [slow()], at);
    const pools = [...at.governor.state.pools.values()];
    const figures = pools.find((pool) => pool.spec.name === 'own-points')?.figures(at.now.wall);
    expect(figures).toMatchObject({ used: 0, reserved: 0 });
  });

  it('gives back what the attempt held, concurrency included', () => {
    const policy = { ...EMPTY_POLICY, limits };
    const { at, key } = once({ ...REPLAYABLE, credential: 'a' }, 429, [slow()], world({ policy }));
    const other = at.arrive({ path: '/free', credential: 'b' });
    expect(kinds(other.effects)).toEqual(['forward']);
    at.end(other.key);
    expect(at.run(2000)[0]).toMatchObject({ type: 'forward', key });
    at.end(key);
    for (const pool of at.governor.state.pools.values()) expect(pool.held).toBe(0);
  });
});
