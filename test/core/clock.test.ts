/** A wall clock that was ahead is set right: nothing stays shut for as long as it was wrong. */
import { describe, expect, it } from 'vitest';
import type { PoolSpec } from '../../src/core/claim.ts';
import { DaySpending } from '../../src/core/governor/expenses.ts';
import { evolve } from '../../src/core/governor/evolve.ts';
import { saveState } from '../../src/core/governor/saved-state.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import type { Observation } from '../../src/core/observation.ts';
import { compileMatch } from '../../src/core/policy/match.ts';
import type { CompiledPolicy, PolicyLimit } from '../../src/core/policy/types.ts';
import { EMPTY_POLICY, kinds, spec, World } from './world.ts';

const MINUTE = 60_000;
const AHEAD_MS = 6 * 3_600_000;

const window = spec('window', { windowMs: MINUTE });
const bucket = spec('bucket', { kind: 'bucket', windowMs: MINUTE });
const rolling = spec('rolling', {
  ...{ kind: 'rolling', limit: 2, windowMs: MINUTE, source: 'documented' },
});
const plain = spec('plain', { limit: 1000, windowMs: MINUTE, source: 'documented' });

function budget(kind: PolicyLimit['kind']): CompiledPolicy {
  const limit = {
    id: 'own',
    match: compileMatch({}),
    per: [],
    quota: 2,
    unit: 'requests',
  } as const;
  return { ...EMPTY_POLICY, limits: [{ ...limit, windowMs: MINUTE, kind }] };
}

function quota(of: PoolSpec, at: number, remaining: number): Observation {
  if (of === window) {
    return {
      kind: 'quota',
      spec: window,
      limit: 2,
      remaining,
      used: 2 - remaining,
      resetAt: at + MINUTE,
    };
  }
  return { kind: 'quota', spec: of, limit: 2, remaining, windowMs: MINUTE };
}

type Told = (at: number, left: number) => Observation[];

/** Uses everything up, and sets the clock right in the next moment. */
function setRight(path: string, told: Told, policy = EMPTY_POLICY): World {
  const world = new World([window, bucket, rolling, plain], { policy });
  for (let i = 0; i < 2; i++) {
    const { key, effects } = world.arrive({ path });
    expect(kinds(effects)).toEqual(['forward']);
    world.head(key, told(world.now.wall, 1 - i), 200, world.now.wall);
    world.end(key);
    world.pass(25);
  }
  world.now = { wall: world.now.wall - AHEAD_MS, mono: world.now.mono + 10 };
  return world;
}

const slow: Observation = {
  ...{ kind: 'throttled', class: 'secondary', scope: 'identity', code: 'slow', retryInMs: 30_000 },
};

describe('a clock that is set back by hours', () => {
  it.each([
    [
      'a provider’s window',
      '/window',
      (at: number, left: number) => [quota(window, at, left)],
      EMPTY_POLICY,
    ],
    [
      'a provider’s bucket',
      '/bucket',
      (at: number, left: number) => [quota(bucket, at, left)],
      EMPTY_POLICY,
    ],
    ['a rolling window', '/rolling', () => [], EMPTY_POLICY],
    ['a rolling budget', '/plain', () => [], budget('rolling')],
    ['a calendar budget', '/plain', () => [], budget('fixed')],
    ['a bucket of our own', '/plain', () => [], budget('bucket')],
  ])('%s opens when its time is over, and not before', (_name, path, told: Told, policy) => {
    const world = setRight(path, told, policy);
    const { key, effects } = world.arrive({ path, maxWaitMs: 3 * MINUTE });
    expect(effects).toEqual([]);
    expect(kinds(world.run(2.5 * MINUTE))).toEqual(['forward']);
    world.end(key);
  });

  it('a gate that a refusal has shut', () => {
    const world = new World([plain]);
    const { key } = world.arrive({ path: '/plain' });
    world.head(key, [slow], 429);
    world.end(key);
    world.now = { wall: world.now.wall - AHEAD_MS, mono: world.now.mono + 10 };
    expect(world.arrive({ path: '/plain', maxWaitMs: 2 * MINUTE }).effects).toEqual([]);
    expect(world.run(29_000)).toEqual([]);
    expect(kinds(world.run(2000))).toEqual(['forward']);
  });

  it('what has passed meanwhile is over, though nobody asked', () => {
    const world = new World([plain]);
    const { key } = world.arrive({ path: '/plain' });
    world.head(key, [slow], 429);
    world.end(key);
    world.now = { wall: world.now.wall - AHEAD_MS, mono: world.now.mono };
    world.pass(40_000);
    expect(kinds(world.arrive({ path: '/plain', maxWaitMs: 0 }).effects)).toEqual(['forward']);
  });

  it('leaves forecasts as they were, and they go on', () => {
    const own = spec('own', { kind: 'bucket', limit: 5000, windowMs: 3_600_000, source: 'policy' });
    const world = new World([own]);
    const goOn = (): void => {
      for (let i = 0; i < 600; i++) {
        world.pass(500);
        const { key } = world.arrive({ path: '/own' });
        world.head(key, []);
        world.end(key);
      }
    };
    const told = () => {
      const [pool] = world.governor.state.pools.values();
      return pool === undefined ? null : world.governor.outlook.forecastOf(pool, world.now.wall);
    };
    const events = () => world.entries.filter(({ data }) => data[0] === 'forecast_computed').length;
    goOn();
    const [before, many] = [told(), events()];
    world.now = { wall: world.now.wall - 1_800_000, mono: world.now.mono };
    goOn();
    const after = told();
    expect(after?.asOf).toBe(world.now.wall);
    expect(after?.rate).toBeCloseTo(2, 1);
    expect(after?.variance).toBeLessThan(1);
    expect(Math.abs((after?.pExhaust ?? 0) - (before?.pExhaust ?? 0))).toBeLessThan(0.2);
    expect(events()).toBeGreaterThan(many);
  });

  it('wakes those who wait already', () => {
    const world = setRight('/rolling', () => []);
    world.now = { wall: world.now.wall + AHEAD_MS, mono: world.now.mono };
    expect(world.arrive({ path: '/rolling', maxWaitMs: 3 * MINUTE }).effects).toEqual([]);
    world.now = { wall: world.now.wall - AHEAD_MS, mono: world.now.mono };
    expect(kinds(world.run(2 * MINUTE))).toEqual(['forward']);
  });

  it('is told once, and folds to the same', () => {
    const world = setRight('/bucket', (at, left) => [quota(bucket, at, left)]);
    world.arrive({ path: '/bucket', maxWaitMs: 0 });
    world.arrive({ path: '/bucket', maxWaitMs: 0 });
    const told = world.entries.filter(({ data }) => data[0] === 'alert_raised');
    expect(told).toMatchObject([
      { data: ['alert_raised', { code: 'clock_set_back', by_ms: AHEAD_MS + 10 }] },
    ]);
    const folded = new EngineState();
    for (const entry of world.entries) evolve(folded, entry);
    const { wall } = world.now;
    expect(saveState(folded, wall)).toEqual(saveState(world.governor.state, wall));
  });

  it('is noticed at a start, before what was lost is settled', () => {
    const world = new World([bucket]);
    const { key } = world.arrive({ path: '/bucket' });
    world.head(key, [quota(bucket, world.now.wall, 0)]);
    world.end(key);
    const state = new EngineState();
    world.arrive({ path: '/bucket', maxWaitMs: 3 * MINUTE });
    world.run(2 * MINUTE);
    for (const entry of world.entries) evolve(state, entry);
    expect(state.flights.size).toBe(1);
    const again = new World([bucket], { state });
    again.now = { wall: world.now.wall - AHEAD_MS, mono: 0 };
    expect(again.governor.settleLost(again.now)).toBe(1);
    const types = again.governor.effects.map((one) => one.type === 'append' && one.entry.data[0]);
    expect(types).toEqual(['alert_raised', 'failed']);
    expect(state.pools.get('test/cred-a/bucket')?.resetTime(again.now.wall)).toBeLessThan(
      again.now.wall + 2 * MINUTE,
    );
  });

  it('what an agent spent on a day that has not come yet counts for today', () => {
    const day = 86_400_000;
    const spending = new DaySpending();
    spending.add('a', 5, 9 * day);
    spending.clockSetBack(3 * day);
    expect(spending.of('a', 3 * day)).toBe(5);
    spending.add('a', 2, 4 * day);
    expect(spending.of('a', 4 * day)).toBe(2);
  });

  it('by a moment is waited for: time stands still until then', () => {
    const world = setRight('/plain', () => []);
    world.now = { wall: world.now.wall + AHEAD_MS - 1500, mono: world.now.mono };
    world.arrive({ path: '/plain' });
    expect(world.entries.filter(({ data }) => data[0] === 'alert_raised')).toEqual([]);
    const times = world.entries.map(({ at }) => at);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it('by less than a minute is told as well', () => {
    const world = setRight('/plain', () => []);
    world.now = { wall: world.now.wall + AHEAD_MS - 59_000, mono: world.now.mono };
    world.arrive({ path: '/plain' });
    const told = world.entries.filter(({ data }) => data[0] === 'alert_raised');
    expect(told).toMatchObject([{ data: ['alert_raised', { by_ms: 59_010 }] }]);
  });
});
