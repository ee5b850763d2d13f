import { describe, expect, it } from 'vitest';
import { makePool } from '../../src/core/quota/make.ts';
import { Outside } from '../../src/core/quota/outside.ts';
import { PoissonQuantile } from '../../src/core/quota/poisson.ts';
import type { Pool } from '../../src/core/quota/pool.ts';
import type { Observation } from '../../src/core/observation.ts';
import { simulate, type Setting } from './outsiders.ts';
import { spec, World } from './world.ts';

const T0 = 1_700_000_000_000;
const MINUTE = 60_000;

function exceeding(k: number, mean: number): number {
  let term = Math.exp(-mean);
  let below = 0;
  for (let i = 0; i <= k; i++) {
    below += term;
    term *= mean / (i + 1);
  }
  return 1 - below;
}

describe('a Poisson quantile', () => {
  const quantile = new PoissonQuantile(1e-3, 3.09);

  it('is the smallest number that is exceeded seldom enough', () => {
    for (const mean of [0.0005, 0.01, 0.3, 1, 4.2, 17, 40, 60]) {
      const k = quantile.of(mean);
      expect([mean, exceeding(k, mean) <= 1e-3]).toEqual([mean, true]);
      if (k > 0) expect([mean, exceeding(k - 1, mean) > 1e-3]).toEqual([mean, true]);
    }
  });

  it('goes on for large means, and is nothing for none', () => {
    expect(quantile.of(0)).toBe(0);
    expect(exceeding(quantile.of(200), 200)).toBeLessThan(1.2e-3);
    expect(quantile.of(200)).toBeLessThan(250);
    expect(quantile.of(1e6)).toBeGreaterThan(1e6 + 3000);
  });
});

/** 100,000 tokens a minute, charged at admission by a rule that is not ours. */
class TokenBucket {
  now = T0;
  level = 0;
  readonly pool = makePool(
    'test/me/tokens',
    spec('tokens', { kind: 'bucket', unit: 'tokens', windowMs: MINUTE }),
    'me',
  );
  private readonly charged: number;

  /** @param charged for each token that we estimate */
  constructor(charged: number) {
    this.charged = charged;
  }

  /** One request of 500 tokens by our estimate, after a second. */
  ask(): void {
    const limit = 100_000;
    this.now += 1000;
    this.level = Math.max(0, this.level - (limit / MINUTE) * 1100) + 500 * this.charged;
    const hold = this.pool.hold(500, this.now);
    const sentAt = this.now;
    this.now += 100;
    const remaining = Math.floor(limit - this.level);
    const told = { limit, remaining, used: null, resetAt: null, resetIn: null, windowMs: null };
    this.pool.observe({ ...told, at: this.now, now: this.now, sentAt, date: null });
    this.pool.settle(hold, 500, this.now, true);
  }
}

/** A window of `limit`, read every so often. */
class Reader {
  now = T0;
  reset = T0 + 10 * MINUTE;
  used = 0;
  readonly pool: Pool;
  readonly limit: number;

  constructor(limit = 1000) {
    this.limit = limit;
    this.pool = makePool('test/me/core', spec('core', { windowMs: 10 * MINUTE }), 'me');
  }

  /** One request of ours; others take `others` before it. */
  ask(others = 0): void {
    this.used += others + 1;
    const hold = this.pool.hold(1, this.now);
    this.read(400);
    this.pool.settle(hold, 1, this.now, true);
  }

  read(rtt = 0): void {
    const sentAt = this.now;
    this.now += rtt;
    const { limit, used, reset: resetAt, now } = this;
    const told = { limit, used, remaining: limit - used, resetAt, resetIn: null, windowMs: null };
    this.pool.observe({ ...told, at: now, now, sentAt, date: null });
  }

  nextWindow(): void {
    this.now = this.reset + 2000;
    this.reset = this.now + 10 * MINUTE;
    this.used = 0;
  }

  get room(): boolean {
    return this.pool.earliest(1, this.now, 0, 'me') <= this.now;
  }
}

/** Others took `perMinute` of it for so long, in steps of ten seconds. */
function watched(minutes: number, perMinute: number): Reader {
  const reader = new Reader();
  reader.ask();
  for (let i = 0; i < minutes * 6; i++) {
    reader.now += 9600;
    reader.ask(perMinute / 6);
  }
  return reader;
}

describe('others', () => {
  it('are not inferred from the first reading of a window that nobody watched', () => {
    const reader = new Reader(5000);
    reader.ask(3000);
    expect(reader.pool.outside).toBeNull();
    reader.now += 1000;
    // Whether our first one was in the first reading is not certain: one less is.
    reader.ask(3);
    expect(reader.pool.outside?.units).toBe(2);
  });

  it('have a rate, and the size of their batches', () => {
    const one = watched(5, 60).pool.outside;
    expect(one?.units).toBe(299);
    expect(one?.rate).toBeGreaterThan(0.9);
    expect(one?.rate).toBeLessThan(1.2);
    expect(one?.batch).toBeLessThan(3);
    const reader = new Reader();
    reader.ask();
    for (let i = 0; i < 400; i++) reader.ask(i % 40 === 20 ? 20 : 0);
    expect(reader.pool.outside?.batch).toBeGreaterThan(15);
    expect(reader.pool.outside?.batch).toBeLessThan(25);
  });

  it('are reckoned with before the next reading, the more the longer it is ago', () => {
    const reader = watched(5, 60);
    const left = 1000 - reader.used;
    const fits = (units: number) => reader.pool.earliest(units, reader.now, 0, '') <= reader.now;
    expect([fits(left), fits(left - 8)]).toEqual([false, true]);
    reader.now += 10_000;
    expect([fits(left - 8), fits(left - 40)]).toEqual([false, true]);
  });

  it('are expected in the next window as well, and those who came are told of it', () => {
    const reader = watched(5, 60);
    reader.nextWindow();
    const fits = (units: number) => reader.pool.earliest(units, reader.now, 0, '') <= reader.now;
    const first = reader.pool.hold(1, reader.now);
    expect([fits(999), fits(980)]).toEqual([false, true]);
    reader.pool.release(first);
    reader.ask(7);
    expect(reader.pool.outside?.units).toBe(7);
  });

  it('shut nobody out who goes alone after a reset, however long ago it was', () => {
    const reader = watched(5, 60);
    reader.nextWindow();
    reader.now += 9 * MINUTE * 10;
    expect(reader.room).toBe(true);
    reader.pool.hold(1, reader.now);
    expect(reader.room).toBe(false);
  });

  it('may have gone in a silence: where much was left, one asks', () => {
    const reader = watched(3, 240);
    const askedAt = reader.now - 400;
    reader.now += 59_000;
    expect(1000 - reader.used).toBeGreaterThan(200);
    // Long before the reset.
    expect(reader.pool.earliest(1, reader.now, 0, 'me')).toBe(askedAt + 60_000);
    reader.now = askedAt + 60_000;
    expect(reader.room).toBe(true);
    reader.pool.hold(1, reader.now);
    expect(reader.room).toBe(false);
  });

  it('may have taken the little that was left: nobody asks before the reset', () => {
    const reader = watched(4, 240);
    expect(1000 - reader.used).toBeLessThan(60);
    reader.now += 61_000;
    expect(reader.pool.earliest(1, reader.now, 0, 'me')).toBe(reader.reset + 1000);
  });

  it('are forgotten when they have gone', () => {
    const reader = watched(2, 60);
    expect(reader.pool.outside).not.toBeNull();
    for (let i = 0; i < 600 && reader.pool.outside !== null; i++) {
      reader.nextWindow();
      reader.ask();
      reader.now += 9 * MINUTE;
      reader.ask();
    }
    expect(reader.pool.outside).toBeNull();
  });

  it('are seen in rolling windows too', () => {
    const rolling = spec('rolling', { kind: 'rolling', limit: 100, windowMs: MINUTE });
    const pool = makePool('test/me/rolling', rolling, 'me');
    const read = (remaining: number, at: number) =>
      pool.observe({
        ...{ limit: 100, remaining, used: null, resetAt: null, resetIn: null, windowMs: null },
        ...{ at, now: at, sentAt: at - 100, date: null },
      });
    read(60, T0);
    expect(pool.outside).toBeNull();
    read(48, T0 + 1000);
    expect(pool.outside?.units).toBe(12);
    expect(pool.earliest(48, T0 + 1000, 0, '')).toBeGreaterThan(T0 + 1000);
  });
});

describe('what is told of others', () => {
  it('is told when first noticed beyond noise, when it doubled, and once a minute', () => {
    const outside = new Outside(T0, 0, MINUTE);
    outside.note(2, T0, T0 + 1000);
    expect(outside.news(1000, T0)).toBeNull();
    outside.note(3, T0 + 1000, T0 + 2000);
    expect(outside.news(1000, T0)).toMatchObject({ units: 5, since: T0 });
    outside.reported(5, T0 + 2000);
    outside.note(4, T0 + 2000, T0 + 90_000);
    expect(outside.news(1000, T0 + 90_000)).toBeNull();
    outside.note(1, T0 + 90_000, T0 + 91_000);
    expect(outside.news(1000, T0 + 61_000)).toBeNull();
    expect(outside.news(1000, T0 + 91_000)).toMatchObject({ units: 10 });
    outside.restart();
    expect(outside.news(1000, T0 + 200_000)).toBeNull();
  });

  it('is noticed in a bucket of tokens, whatever our estimates are worth', () => {
    for (const charged of [0.25, 1, 3.9]) {
      const bucket = new TokenBucket(charged);
      for (let i = 0; i < 40; i++) bucket.ask();
      expect([charged, bucket.pool.outside]).toEqual([charged, null]);
      bucket.level += 20_000;
      bucket.ask();
      const noticed = bucket.pool.outside?.units ?? 0;
      expect(noticed).toBeLessThanOrEqual(20_000);
      expect(noticed).toBeGreaterThan(12_000);
    }
  });

  it('is not told from what was sent without an estimate', () => {
    const bucket = new TokenBucket(1);
    for (let i = 0; i < 5; i++) bucket.ask();
    bucket.pool.unexplained(bucket.now);
    bucket.level += 20_000;
    for (let i = 0; i < 5; i++) bucket.ask();
    expect(bucket.pool.outside).toBeNull();
    bucket.now += 2 * MINUTE;
    bucket.ask();
    bucket.level += 20_000;
    bucket.ask();
    expect(bucket.pool.outside?.units).toBeGreaterThan(12_000);
  });

  it('is not told from answers to requests whose content was not read', () => {
    const tokens = spec('tokens', { kind: 'bucket', unit: 'tokens', windowMs: MINUTE });
    const world = new World([tokens]);
    for (const remaining of [99_000, 98_000, 60_000, 59_000]) {
      const { key } = world.arrive({ path: '/tokens:100:guess' });
      world.pass(100);
      world.head(key, [{ kind: 'quota', spec: tokens, limit: 100_000, remaining }]);
      world.end(key);
    }
    expect(world.governor.state.pools.get('test/cred-a/tokens')?.outside).toBeNull();
  });

  it('is not told from quotas in units that are drawn on blindly', () => {
    const pool = makePool(
      't/me/tokens',
      spec('tokens', { unit: 'tokens', windowMs: MINUTE }),
      'me',
    );
    for (let i = 1; i < 9; i++) {
      const now = T0 + i * 1000;
      const hold = pool.hold(1, now - 500);
      const told = { limit: 9000, used: i * 700, remaining: 9000 - i * 700, resetAt: T0 + MINUTE };
      const times = { at: now, now, sentAt: now - 500, date: now };
      pool.observe({ ...told, ...times, resetIn: null, windowMs: null });
      pool.settle(hold, 1, now, true);
    }
    expect(pool.outside).toBeNull();
  });

  it('is noticed although two keys of the account are told different limits', () => {
    const core = spec('core', { windowMs: 3_600_000 });
    const world = new World([core]);
    const resetAt = T0 + 1_800_000;
    let used = 0;
    for (let i = 0; i < 40; i++) {
      for (const [credential, limit] of [['a', 5000] as const, ['b', 6000] as const]) {
        world.pass(1000);
        const { key } = world.arrive({ credential });
        world.pass(50);
        used += i < 20 ? 1 : 2;
        const told = { kind: 'quota', spec: core, limit, used, resetAt } as const;
        world.head(key, [{ kind: 'account', account: 'both' }, told]);
        world.end(key);
      }
    }
    expect(world.governor.state.pools.get('test/both/core')?.outside?.units).toBeGreaterThan(37);
  });

  it('is an event of the pool, without a name in its payload', () => {
    const core = spec('core', { windowMs: 3_600_000 });
    const world = new World([core]);
    const told = (used: number): Observation[] => [
      { kind: 'quota', spec: core, limit: 100, used, resetAt: T0 + 1_800_000 },
    ];
    const ask = (used: number): void => {
      world.pass(1000);
      const { key } = world.arrive();
      world.pass(100);
      world.head(key, told(used));
      world.end(key);
    };
    for (const used of [40, 41, 42]) ask(used);
    expect(world.entries.filter(({ data }) => data[0] === 'drift_detected')).toEqual([]);
    ask(53);
    const events = world.entries.filter(({ data }) => data[0] === 'drift_detected');
    expect(events).toMatchObject([
      {
        pools: ['test/cred-a/core'],
        data: ['drift_detected', { units: 9, share_of_limit: 0.09 }],
      },
    ]);
    const payload = events[0]?.data[1] as { rate_per_s: number; since: string };
    expect(payload.rate_per_s).toBeGreaterThan(2);
    expect(Date.parse(payload.since)).toBeGreaterThan(T0);
    ask(70);
    expect(world.entries.filter(({ data }) => data[0] === 'drift_detected')).toHaveLength(1);
  });
});

describe('the margin for others', () => {
  const setting: Setting = {
    ...{ seed: 11, windows: 120, limit: 1250, windowMs: 60_000 },
    ...{ outside: 0.2, batch: 1, inFlight: 20, travelMs: 200 },
  };

  it.each([
    { outside: 0, batch: 1, most: 0, least: 0.999 },
    { outside: 0.05, batch: 1, most: 0, least: 0.995 },
    { outside: 0.2, batch: 1, most: 0, least: 0.995 },
    { outside: 0.5, batch: 1, most: 0, least: 0.995 },
    { outside: 0.05, batch: 10, most: 1, least: 0.995 },
    { outside: 0.2, batch: 10, most: 1, least: 0.995 },
  ])('keeps refusals away: $outside of the limit, by $batch', ({ outside, batch, most, least }) => {
    const outcome = simulate({ ...setting, outside, batch });
    expect(outcome.refusedIn).toBeLessThanOrEqual(most);
    expect(outcome.used).toBeGreaterThanOrEqual(least);
    expect(outcome.falsely).toBe(0);
    if (outside === 0) expect(outcome.pool.outside).toBeNull();
  });
});
