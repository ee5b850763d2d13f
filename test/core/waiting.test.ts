import { describe, expect, it } from 'vitest';
import type { CompiledPolicy, PolicyLimit } from '../../src/core/policy/types.ts';
import type { Effect } from '../../src/core/engine.ts';
import type { Observation } from '../../src/core/observation.ts';
import { EMPTY_POLICY, kinds, spec, World } from './world.ts';

const core = spec('core', { windowMs: 3_600_000 });
const slots = spec('slots', { kind: 'concurrent', limit: 1, source: 'policy' });
const rolling = spec('rolling', {
  kind: 'rolling',
  limit: 10,
  windowMs: 60_000,
  source: 'policy',
});

function quota(world: World, used: number, limit: number, resetInS = 60): Observation[] {
  const resetAt = Math.floor(world.now.wall / 1000) * 1000 + resetInS * 1000;
  return [{ kind: 'quota', spec: core, limit, used, remaining: limit - used, resetAt }];
}

function keysOf(effects: readonly Effect[], type: 'forward' | 'respond'): number[] {
  return effects.flatMap((effect) => (effect.type === type ? [effect.key] : []));
}

/** A world whose `core` is known: so many used. */
function knowing(used: number, limit: number, resetInS = 60): World {
  const world = new World([core, slots, rolling]);
  const first = world.arrive();
  world.head(first.key, quota(world, used, limit, resetInS));
  world.end(first.key);
  return world;
}

function limited(quotaUnits: number, more: Partial<PolicyLimit> = {}): CompiledPolicy {
  const limit: PolicyLimit = {
    id: 'own',
    match: { tests: [], perPool: false },
    per: [],
    quota: quotaUnits,
    unit: 'requests',
    windowMs: 60_000,
    kind: 'rolling',
    ...more,
  };
  return { ...EMPTY_POLICY, hash: `own-${String(quotaUnits)}`, limits: [limit] };
}

describe('a line', () => {
  it('that has ended takes no later one with it when its old alarm goes off', () => {
    const world = knowing(5, 5);
    const first = world.arrive({ maxWaitMs: 120_000 });
    world.pass(10_000);
    // More than was thought: whoever waited goes, and the line's alarm is for nothing.
    world.script.observations = quota(world, 5, 6, 50);
    expect(keysOf(world.governor.step(passive(world)), 'forward')).toEqual([first.key]);
    world.head(first.key, quota(world, 6, 6, 50));
    // The second line ends later than the first one's alarm.
    world.head(first.key, quota(world, 6, 6, 300));
    const second = world.arrive({ maxWaitMs: 600_000 });
    world.run(55_000);
    const third = world.arrive({ maxWaitMs: 600_000 });
    expect([...world.governor.room.lines.values()].map((line) => line.size)).toEqual([2]);
    expect(keysOf(world.run(600_000), 'forward')).toEqual([second.key, third.key]);
  });

  it('moves on when a large one at its head leaves or is refused', () => {
    for (const how of ['leaves', 'times out']) {
      const several = spec('several', { kind: 'concurrent', limit: 10, source: 'policy' });
      const world = new World([several]);
      world.arrive({ path: '/several:4' });
      const large = world.arrive({ path: '/several:9', maxWaitMs: 5000 });
      const small = world.arrive({ path: '/several:1', maxWaitMs: 90_000 });
      expect([...large.effects, ...small.effects]).toEqual([]);
      if (how === 'leaves') {
        expect(keysOf(world.end(large.key, 'gone'), 'forward')).toEqual([small.key]);
      } else {
        expect(keysOf(world.run(4900), 'forward')).toEqual([]);
        const after = world.run(200);
        expect(keysOf(after, 'respond')).toEqual([large.key]);
        expect(keysOf(after, 'forward')).toEqual([small.key]);
      }
    }
  });

  it('refuses at once who can never fit any more, and serves those behind', () => {
    const world = knowing(10, 10);
    const large = world.arrive({ path: '/core:9', maxWaitMs: 90_000 });
    const small = world.arrive({ path: '/core:1', maxWaitMs: 90_000 });
    world.script.observations = quota(world, 5, 5);
    const effects = [...world.governor.step(passive(world))];
    expect(keysOf(effects, 'respond')).toEqual([large.key]);
    const refused = effects.find((effect) => effect.type === 'respond');
    expect(refused).toMatchObject({ refusal: { code: 'RL_TOO_LARGE', retryInMs: null } });
    expect(keysOf(world.run(62_000), 'forward')).toEqual([small.key]);
  });

  it('is looked at again soon after the machine slept through the reset', () => {
    const world = knowing(5, 5, 3000);
    const waiter = world.arrive({ maxWaitMs: 3_600_000 });
    // The monotonic clock stands still meanwhile.
    world.now = { wall: world.now.wall + 3_100_000, mono: world.now.mono };
    expect(keysOf(world.run(31_000), 'forward')).toEqual([waiter.key]);
  });

  it('counts nobody who has left, though the limit became known in between', () => {
    const tokens = spec('tokens', { kind: 'bucket', unit: 'tokens' });
    const world = new World([tokens]);
    const first = world.arrive({ path: '/tokens:1' });
    const told = (limit: number, remaining: number): Observation[] => [
      { kind: 'quota', spec: tokens, limit, remaining, windowMs: 60_000 },
    ];
    const big = world.arrive({ path: '/tokens:150:guess', maxWaitMs: 600_000 });
    const rest = world.arrive({ path: '/tokens:150:guess', maxWaitMs: 600_000 });
    world.head(first.key, told(100, 0));
    world.end(big.key, 'gone');
    const [line] = world.governor.room.lines.values();
    expect(line?.units).toBe(150);
    world.end(rest.key, 'gone');
    expect(world.governor.room.lines.size).toBe(0);
  });
});

describe('a pace', () => {
  const paced: CompiledPolicy = {
    ...EMPTY_POLICY,
    rules: [
      {
        id: 'slowly',
        match: { tests: [], perPool: false },
        during: null,
        when: null,
        action: { kind: 'pace', perSecond: 1 },
        reason: 'slowly',
      },
    ],
  };

  it('gives no slot to those it refuses', () => {
    const world = new World([slots], { policy: paced });
    const asked = Array.from({ length: 50 }, () => world.arrive({ path: '/', maxWaitMs: 3000 }));
    const refused = asked.flatMap(({ effects }) => keysOf(effects, 'respond'));
    expect(refused).toHaveLength(46);
    expect(keysOf(world.run(3500), 'forward')).toHaveLength(3);
    const later = world.arrive({ path: '/', maxWaitMs: 3000 });
    expect([...keysOf(later.effects, 'forward'), ...keysOf(world.run(1000), 'forward')]).toEqual([
      later.key,
    ]);
  });
});

describe('another policy', () => {
  it('frees those who waited for a limit that is gone or larger now', () => {
    for (const next of [EMPTY_POLICY, limited(5)]) {
      const world = new World([slots], { policy: limited(1) });
      world.arrive({ path: '/' });
      const waiter = world.arrive({ path: '/', maxWaitMs: 120_000 });
      expect(kinds(waiter.effects)).toEqual([]);
      const effects = world.governor.step({ type: 'policy', at: world.now, policy: next });
      expect(keysOf(effects, 'forward')).toEqual([waiter.key]);
    }
  });

  it('holds those who waited to its own limits, and counts who is under way', () => {
    const world = new World([slots], { policy: limited(1, { kind: 'concurrent' }) });
    const first = world.arrive({ path: '/' });
    const waiters = [1, 2, 3].map(() => world.arrive({ path: '/', maxWaitMs: 50_000 }).key);
    const policy = limited(2, { kind: 'concurrent' });
    const effects = [...world.governor.step({ type: 'policy', at: world.now, policy })];
    expect(keysOf(effects, 'forward')).toEqual([waiters[0]]);
    expect(keysOf(world.end(first.key), 'forward')).toEqual([waiters[1]]);
  });
});

const HEAD = {
  method: 'GET',
  scheme: 'https',
  host: 'api.test',
  port: 443,
  path: '/core',
  fields: [],
  contentLength: 0,
  way: 'passive',
  upgrade: false,
} as const;

function passive(world: World) {
  return {
    type: 'passive',
    at: world.now,
    provider: 'test',
    credential: 'a',
    identity: null,
    agent: 'x',
    head: HEAD,
    response: { status: 200, fields: [], date: null },
    body: undefined,
    seenAt: world.now.wall,
    source: 'passive',
  } as const;
}
