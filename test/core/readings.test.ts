/** What pools make of readings that are late, empty, old, or taken with other clocks. */
import { describe, expect, it } from 'vitest';
import type { PassiveInput } from '../../src/core/engine.ts';
import type { Observation } from '../../src/core/observation.ts';
import { expand } from '../../src/core/ledger/expand.ts';
import { BucketPool } from '../../src/core/quota/bucket.ts';
import { FixedWindowPool } from '../../src/core/quota/fixed.ts';
import { RollingWindowPool } from '../../src/core/quota/rolling.ts';
import type { Reading } from '../../src/core/quota/pool.ts';
import { kinds, spec, World } from './world.ts';

const core = spec('core', { windowMs: 60_000 });
const NOW = 1_700_000_000_000;

function reading(more: Partial<Reading>): Reading {
  return {
    limit: 5,
    remaining: null,
    used: null,
    resetAt: null,
    resetIn: null,
    windowMs: null,
    at: NOW,
    sentAt: NOW,
    now: more.at ?? NOW,
    date: null,
    ...more,
  };
}

function quota(world: World, used: number, resetInS = 60): Observation[] {
  const resetAt = Math.floor(world.now.wall / 1000) * 1000 + resetInS * 1000;
  return [{ kind: 'quota', spec: core, limit: 5, used, remaining: 5 - used, resetAt }];
}

function knowing(used: number, resetInS = 60): World {
  const world = new World([core]);
  const first = world.arrive();
  world.head(first.key, quota(world, used, resetInS));
  world.end(first.key);
  return world;
}

describe('charges that no reading included', () => {
  it('count for a window at most: a pool never closes for good', () => {
    const world = knowing(5, 10);
    world.pass(12_000);
    for (let i = 0; i < 5; i++) world.end(world.arrive().key, 'aborted');
    const waiter = world.arrive({ maxWaitMs: 120_000 });
    expect(waiter.effects).toEqual([]);
    expect(kinds(world.run(59_000))).toEqual([]);
    expect(kinds(world.run(3000))).toEqual(['forward']);
  });

  it('stay when the answer has fields that tell nothing', () => {
    const world = knowing(1);
    for (let i = 0; i < 4; i++) {
      const { key } = world.arrive();
      world.head(key, [{ kind: 'quota', spec: core, remaining: -1, resetAt: 0 }]);
      world.end(key);
    }
    expect(kinds(world.arrive({ maxWaitMs: 0 }).effects)).toEqual(['respond']);
  });

  it('are not undone in a bucket by a reading asked for before them', () => {
    const bucket = new BucketPool('b', spec('b', { kind: 'bucket' }), 'x');
    const told = { limit: 100, windowMs: 60_000 };
    bucket.observe(reading({ ...told, remaining: 0 }));
    const slow = bucket.hold(1, NOW + 1000);
    const lost = bucket.hold(40, NOW + 50_000);
    bucket.settle(lost, 40, NOW + 51_000, false);
    // As the provider saw it at 50 s, before the lost one came.
    bucket.observe(reading({ ...told, remaining: 82, sentAt: NOW + 1000, at: NOW + 52_000 }));
    bucket.settle(slow, 1, NOW + 52_000, true);
    expect(bucket.earliest(60, NOW + 52_000, 0, '')).toBeGreaterThan(NOW + 52_000);
  });
});

describe("the provider's clock", () => {
  const told = { used: 5, remaining: 0 };

  it('is not thought to be ahead because an answer took long', () => {
    const pool = new FixedWindowPool('p', core, 'x');
    const resetAt = NOW + 30_000;
    pool.observe(reading({ ...told, resetAt, date: NOW }));
    // Written an hour before it reached us: we slept, the clocks are as they were.
    const late = { sentAt: NOW + 1000, at: NOW + 3_600_000, date: NOW + 1000 };
    pool.observe(reading({ ...told, resetAt: NOW + 3_630_000, ...late }));
    expect(pool.resetTime(NOW + 3_600_000)).toBe(NOW + 3_631_000);
  });

  it('is believed anew when it was set back', () => {
    const pool = new FixedWindowPool('p', core, 'x');
    pool.observe(reading({ ...told, resetAt: NOW + 90_000, date: NOW + 30_000 }));
    expect(pool.resetTime(NOW)).toBe(NOW + 61_000);
    const back = { sentAt: NOW + 100, at: NOW + 200, date: NOW };
    pool.observe(reading({ ...told, resetAt: NOW + 60_000, ...back }));
    expect(pool.skew).toBe(-200);
  });

  it('is not taken from what somebody else reports', () => {
    const world = knowing(5, 60);
    const input: PassiveInput = {
      type: 'passive',
      at: world.now,
      provider: 'test',
      credential: 'a',
      identity: null,
      agent: 'reporter',
      head: HEAD,
      response: { status: 200, fields: [], date: world.now.wall },
      body: undefined,
      seenAt: world.now.wall - 3_600_000,
      source: 'passive',
    };
    world.script.observations = quota(world, 5, 60);
    world.governor.step(input);
    const waiter = world.arrive({ maxWaitMs: 120_000 });
    expect(waiter.effects).toEqual([]);
    expect(kinds(world.run(58_000))).toEqual([]);
    expect(kinds(world.run(4000))).toEqual(['forward']);
  });
});

describe('old news', () => {
  it('of a refusal that is over shuts nothing', () => {
    const open = spec('open', { kind: 'rolling', limit: 9, windowMs: 1000, source: 'policy' });
    const world = new World([open]);
    world.script.observations = [
      { kind: 'throttled', class: 'secondary', scope: 'identity', retryInMs: 5000, code: 'slow' },
    ];
    world.governor.step({
      type: 'passive',
      at: world.now,
      provider: 'test',
      credential: 'a',
      identity: null,
      agent: 'reporter',
      head: { ...HEAD, path: '/open' },
      response: { status: 403, fields: [], date: null },
      body: undefined,
      seenAt: world.now.wall - 60_000,
      source: 'passive',
    });
    const effects = [1, 2, 3].flatMap(() => world.arrive({ path: '/open' }).effects);
    expect(kinds(effects)).toEqual(['forward', 'forward', 'forward']);
  });
});

describe('how long it will take', () => {
  it('is not put too high behind others in a rolling window', () => {
    const own = spec('own', { kind: 'rolling', limit: 10, windowMs: 60_000, source: 'policy' });
    const pool = new RollingWindowPool('r', own, 'x');
    for (let i = 0; i < 10; i++) pool.settle(pool.hold(1, NOW + i * 6000), 1, NOW + i * 6000, true);
    const now = NOW + 55_000;
    // Ten go as the first ten run out, the next three as the first three of those do.
    const at = pool.earliestBehind(12, 1, now, 0, '');
    expect(at).toBeLessThanOrEqual(NOW + 2 * 60_000 + 2 * 6000 + 1000);
    expect(at).toBeGreaterThan(NOW + 2 * 60_000);
  });

  it('does not count a second window that has room', () => {
    const pool = new FixedWindowPool('p', core, 'x');
    pool.observe(reading({ used: 5, resetAt: NOW + 10_000 }));
    pool.observe(reading({ used: 1, resetAt: NOW + 3_000_000 }));
    expect(pool.earliestBehind(1, 1, NOW, 0, '')).toBe(NOW + 11_000);
  });
});

describe('limits', () => {
  it('that differ by credential are news only when one of them changes', () => {
    const world = new World([core], {
      options: { identify: (_p, c) => ({ id: `cred-${c}`, kind: 'seen', account: 'user-1' }) },
    });
    const ask = (credential: string, limit: number, used: number): void => {
      const { key } = world.arrive({ credential });
      const resetAt = Math.floor(world.now.wall / 1000) * 1000 + 60_000;
      const told = { limit, used, remaining: limit - used, resetAt };
      world.head(key, [{ kind: 'quota', spec: core, ...told }]);
      world.end(key);
    };
    for (let i = 0; i < 4; i++) {
      ask('a', 5000, 2 * i + 1);
      ask('b', 15_000, 2 * i + 2);
    }
    const events = world.entries.flatMap((entry) => expand(entry));
    const news = events.filter((event) => event.type === 'constraint_observed');
    expect(news.map((event) => event.payload['limit'])).toEqual([5000, 15_000]);
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
