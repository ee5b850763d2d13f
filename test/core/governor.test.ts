import { describe, expect, it } from 'vitest';
import type { Observation } from '../../src/core/observation.ts';
import { DEFAULT_PACING } from '../../src/core/policy/pacing.ts';
import { EMPTY_POLICY, kinds, spec, World } from './world.ts';

const core = spec('core', { windowMs: 3_600_000 });

function quota(world: World, used: number, limit = 5, resetInS = 60): Observation[] {
  const resetAt = Math.floor(world.now.wall / 1000) * 1000 + resetInS * 1000;
  return [{ kind: 'quota', spec: core, limit, used, remaining: limit - used, resetAt }];
}

describe('cold start', () => {
  it('sends one request ahead and lets the rest wait for its headers', () => {
    const world = new World([core]);
    const first = world.arrive();
    const others = Array.from({ length: 9 }, () => world.arrive({ maxWaitMs: 30_000 }));
    expect(kinds(first.effects)).toEqual(['forward']);
    expect(others.flatMap((o) => o.effects)).toEqual([]);
    const freed = world.head(first.key, quota(world, 1));
    expect(kinds(freed)).toEqual(['forward', 'forward', 'forward', 'forward']);
  });

  it('ramps up, bounded, when no headers come', () => {
    const world = new World([core]);
    const keys = Array.from({ length: 300 }, () => world.arrive({ maxWaitMs: 600_000 }).key);
    let inFlight = [keys[0] as number];
    let most = 0;
    for (let round = 0; round < 12; round++) {
      const freed = inFlight.flatMap((key) => {
        world.head(key, []);
        return world.end(key);
      });
      inFlight = freed.flatMap((e) => (e.type === 'forward' ? [e.key] : []));
      most = Math.max(most, inFlight.length);
    }
    expect(most).toBeGreaterThan(8);
    expect(most).toBeLessThanOrEqual(64);
  });

  it('does not wait for ever for a pioneer that does not answer', () => {
    const world = new World([core]);
    world.arrive();
    world.arrive({ maxWaitMs: 30_000 });
    expect(kinds(world.run(1900))).toEqual([]);
    expect(kinds(world.run(200))).toEqual(['forward']);
  });
});

describe('a fixed window', () => {
  it('lets through what remains, then waits for the reset and one second', () => {
    const world = new World([core]);
    const first = world.arrive();
    world.head(first.key, quota(world, 1));
    world.end(first.key);
    const passed = Array.from({ length: 6 }, () => world.arrive({ maxWaitMs: 120_000 }));
    expect(passed.map((p) => kinds(p.effects))).toEqual([
      ['forward'],
      ['forward'],
      ['forward'],
      ['forward'],
      [],
      [],
    ]);
    for (const [i, p] of passed.slice(0, 4).entries()) {
      world.head(p.key, quota(world, 2 + i));
      world.end(p.key);
    }
    expect(kinds(world.run(60_500))).toEqual([]);
    expect(kinds(world.run(1000))).toEqual(['forward', 'forward']);
  });

  it('refuses at once when the wait is longer than the caller allows', () => {
    const world = new World([core]);
    const first = world.arrive();
    world.head(first.key, quota(world, 5));
    world.end(first.key);
    const [effect] = world.arrive({ maxWaitMs: 10_000 }).effects;
    expect(effect?.type).toBe('respond');
    if (effect?.type !== 'respond') return;
    expect(effect.refusal.code).toBe('RL_QUOTA');
    expect(effect.refusal.retryInMs).toBeGreaterThan(59_000);
    expect(effect.refusal.retryInMs).toBeLessThanOrEqual(62_000);
    expect(effect.refusal.reason).toContain('`core` has 0 of 5 requests left');
  });

  it('takes resets two seconds apart for one window and keeps the largest use', () => {
    const world = new World([core]);
    const a = world.arrive();
    world.head(a.key, quota(world, 3));
    world.end(a.key);
    const b = world.arrive();
    world.head(b.key, quota(world, 2, 5, 61));
    const figures = world.governor.state.pools.get('test/cred-a/core')?.figures(world.now.wall);
    expect(figures).toMatchObject({ used: 3, remaining: 2, reserved: 0 });
  });

  it('gates on the tightest of two windows that are both being hit', () => {
    const world = new World([core]);
    const a = world.arrive();
    world.head(a.key, quota(world, 1, 5, 100));
    world.end(a.key);
    const b = world.arrive();
    world.head(b.key, quota(world, 4, 5, 2000));
    world.end(b.key);
    expect(kinds(world.arrive().effects)).toEqual(['forward']);
    expect(kinds(world.arrive().effects)).not.toEqual(['forward']);
  });
});

describe('waiting', () => {
  it('is first come, first served within a priority, higher priorities first', () => {
    const pacing = { ...DEFAULT_PACING, protect: false };
    const world = new World([core], { policy: { ...EMPTY_POLICY, pacing } });
    const first = world.arrive();
    world.head(first.key, quota(world, 5));
    world.end(first.key);
    const wait = { maxWaitMs: 120_000 };
    const low = world.arrive({ ...wait, priority: 'background' });
    const one = world.arrive(wait);
    const two = world.arrive(wait);
    const high = world.arrive({ ...wait, priority: 'high' });
    const order = world.run(63_000).flatMap((e) => (e.type === 'forward' ? [e.key] : []));
    expect(order).toEqual([high.key, one.key, two.key, low.key]);
  });

  it('forgets a client that leaves, and refuses one whose time is up', () => {
    const world = new World([core]);
    const first = world.arrive();
    world.head(first.key, []);
    const a = world.arrive({ maxWaitMs: 1500 });
    const b = world.arrive({ maxWaitMs: 1500 });
    world.end(a.key, 'gone');
    const effects = world.run(1600);
    expect(effects.map((e) => ('key' in e ? [e.type, e.key] : []))).toEqual([['respond', b.key]]);
    expect(world.governor.room.depth.get('test')).toBe(0);
  });

  it('a waiter for one pool does not hold up another pool', () => {
    const search = spec('search', {
      limit: 1,
      kind: 'rolling',
      windowMs: 60_000,
      source: 'policy',
    });
    const points = spec('points', {
      limit: 50,
      kind: 'rolling',
      windowMs: 60_000,
      source: 'policy',
    });
    const world = new World([search, points]);
    expect(kinds(world.arrive({ path: '/search:1,points:1' }).effects)).toEqual(['forward']);
    expect(kinds(world.arrive({ path: '/search:1,points:1', maxWaitMs: 90_000 }).effects)).toEqual(
      [],
    );
    expect(kinds(world.arrive({ path: '/points:1' }).effects)).toEqual(['forward']);
  });
});

describe('what never reached the origin', () => {
  it('is charged nothing, and the ledger says so', () => {
    const world = new World([core]);
    const a = world.arrive();
    world.end(a.key, 'unreachable');
    const ended = world.entries.at(-1);
    expect(ended?.kind).toBe('ended');
    expect(ended?.data[8]).toEqual([]);
    expect(world.governor.state.pools.get('test/cred-a/core')?.held).toBe(0);
  });
});

describe('refusals by the provider', () => {
  it('a secondary limit shuts the identity; one request tries first when it is over', () => {
    const open = spec('open', { limit: 100, kind: 'rolling', windowMs: 60_000, source: 'policy' });
    const world = new World([open]);
    const a = world.arrive({ path: '/open' });
    world.head(
      a.key,
      [{ kind: 'throttled', class: 'secondary', scope: 'identity', retryInMs: 5000, code: 'slow' }],
      403,
    );
    world.end(a.key);
    const b = world.arrive({ path: '/open' });
    const c = world.arrive({ path: '/open' });
    expect([...b.effects, ...c.effects]).toEqual([]);
    expect(kinds(world.run(4900))).toEqual([]);
    expect(world.run(200).map((e) => ('key' in e ? e.key : 0))).toEqual([b.key]);
    const freed = world.head(b.key, [{ kind: 'charge', spec: open, units: 1 }], 200);
    expect(freed.map((e) => ('key' in e ? e.key : 0))).toEqual([c.key]);
  });

  it('remembers what waiting cannot clear', () => {
    const world = new World([core]);
    const a = world.arrive();
    world.head(
      a.key,
      [{ kind: 'throttled', class: 'never', scope: 'identity', code: 'insufficient_quota' }],
      429,
    );
    world.end(a.key);
    const [effect] = world.arrive().effects;
    expect(effect).toMatchObject({
      type: 'respond',
      refusal: { code: 'RL_NEVER', retryInMs: null },
    });
    world.pass(31_000);
    expect(kinds(world.arrive().effects)).toEqual(['forward']);
    expect(kinds(world.arrive().effects)).toEqual(['respond']);
  });
});

describe('estimates', () => {
  const tokens = spec('tokens', { kind: 'bucket', unit: 'tokens' });

  it('beyond the limit wait for a full pool, far beyond it are refused, sure ones always', () => {
    const world = new World([tokens]);
    const first = world.arrive({ path: '/tokens:1' });
    world.head(first.key, [
      { kind: 'quota', spec: tokens, limit: 100, remaining: 100, windowMs: 60_000 },
    ]);
    world.end(first.key);
    const big = (units: number, sure: boolean) =>
      world.arrive({ path: `/tokens:${String(units)}${sure ? '' : ':guess'}` }).effects[0];
    expect(big(150, true)).toMatchObject({ refusal: { code: 'RL_TOO_LARGE', retryInMs: null } });
    expect(big(250, false)).toMatchObject({ refusal: { code: 'RL_TOO_LARGE' } });
    expect(big(150, false)?.type).toBe('forward');
  });
});
