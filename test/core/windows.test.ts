/** One window of a provider, put together from readings that are old, out of order, or told in seconds to go. */
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../src/core/observation.ts';
import { makePool } from '../../src/core/quota/make.ts';
import type { Pool } from '../../src/core/quota/pool.ts';
import type { Reading } from '../../src/core/quota/reading.ts';
import { spec, World } from './world.ts';

const T0 = 1_700_000_000_000;
const LIMIT = 100;

/** A window of a minute that the provider opened at `T0`. */
function pool(windowMs: number | null = 60_000): Pool {
  return makePool(
    'test/me/minute',
    spec('minute', windowMs === null ? {} : { windowMs, limit: LIMIT }),
    'me',
  );
}

/** Milliseconds since `T0`; the reset is told in whole seconds to go when it was judged. */
interface Told {
  readonly sent: number;
  readonly judged: number;
  readonly at: number;
  readonly used: number;
}

function read(to: Pool, { sent, judged, at, used }: Told, more: Partial<Reading> = {}): void {
  const toGo = 60_000 * Math.ceil((judged + 1) / 60_000) - judged;
  to.observe({
    ...{ limit: LIMIT, remaining: LIMIT - used, used, windowMs: null, date: null },
    ...{ resetAt: null, resetIn: Math.ceil(toGo / 1000) * 1000 },
    ...{ sentAt: T0 + sent, at: T0 + at, now: T0 + at },
    ...more,
  });
}

function opensAt(of: Pool, now: number, units = 1): number {
  return of.earliest(units, T0 + now, 0, 'me') - T0;
}

describe('seconds to go in answers that come late', () => {
  it('tell of one window, whose end is what all of them leave open', () => {
    const minute = pool(null);
    read(minute, { sent: 0, judged: 0, at: 9000, used: 1 });
    expect(minute.figures(T0 + 9000).resetAt).toBe(T0 + 69_000);
    read(minute, { sent: 2000, judged: 2050, at: 9500, used: 5 });
    read(minute, { sent: 9600, judged: 9700, at: 9800, used: LIMIT });
    expect(minute.figures(T0 + 9800).resetAt).toBe(T0 + 60_800);
    read(minute, { sent: 9700, judged: 9750, at: 19_000, used: 90 });
    expect(opensAt(minute, 19_000)).toBe(61_800);
  });

  it('never end it before its end, whatever the order', () => {
    for (const late of [100, 4000, 30_000]) {
      const minute = pool();
      for (let i = 0; i < 30; i++) {
        const judged = 900 * i + 77;
        const back = i % 3 === 0 ? late : 60;
        read(minute, { sent: judged - 50, judged, at: judged + back, used: LIMIT });
      }
      expect(opensAt(minute, 31_000)).toBeGreaterThanOrEqual(60_000);
      expect(opensAt(minute, 31_000)).toBeLessThan(62_000);
    }
  });

  it('do not bring back a window that has ended', () => {
    const minute = pool();
    read(minute, { sent: 0, judged: 50, at: 100, used: 50 });
    expect(opensAt(minute, 61_500, LIMIT)).toBe(61_500);
    read(minute, { sent: 55_000, judged: 55_050, at: 62_000, used: LIMIT });
    expect(opensAt(minute, 62_000, LIMIT)).toBe(62_000);
    // Judged in the next one, it counts.
    read(minute, { sent: 61_600, judged: 61_650, at: 62_500, used: LIMIT });
    expect(opensAt(minute, 62_500)).toBeGreaterThan(119_000);
  });

  it('count in the next one where windows are as short as answers take', () => {
    const second = pool(1000);
    read(second, { sent: 0, judged: 50, at: 100, used: 5 }, { resetIn: 1000 });
    expect(opensAt(second, 2100)).toBe(2100);
    read(second, { sent: 2050, judged: 2060, at: 2100, used: LIMIT }, { resetIn: 1000 });
    expect(opensAt(second, 2100)).toBeGreaterThan(3050);
  });

  it('tell windows of one key apart that end at different times', () => {
    const minute = pool();
    read(minute, { sent: 0, judged: 50, at: 100, used: 10 });
    read(minute, { sent: 200, judged: 250, at: 300, used: LIMIT }, { resetIn: 30_000 });
    expect(opensAt(minute, 300)).toBeGreaterThanOrEqual(30_250);
    expect(opensAt(minute, 300)).toBeLessThan(32_000);
  });
});

describe('a reset told as a point in time', () => {
  it('lasts until its second is past, and the later one counts where it flickers', () => {
    const minute = pool();
    for (const [at, resetAt] of [
      [400, 60_000],
      [900, 61_000],
      [1400, 60_000],
    ] as const) {
      const told = { sent: at - 100, judged: at - 50, at, used: LIMIT };
      read(minute, told, { resetAt: T0 + resetAt, resetIn: null });
    }
    expect(opensAt(minute, 1400)).toBe(62_000);
  });
});

describe('a quota that answers tell of first', () => {
  const [any, minute] = [spec('any', { limit: 1000, windowMs: 60_000 }), spec('minute')];
  const told = (used: number): Observation => ({
    ...{ kind: 'quota', spec: minute, limit: LIMIT, used, remaining: LIMIT - used },
    ...{ resetIn: 50_000, windowMs: 60_000 },
  });

  it('takes those that were sent before for our own', () => {
    const world = new World([any, minute]);
    const keys = Array.from({ length: 8 }, () => world.arrive({ path: '/any' }).key);
    world.pass(100);
    for (const [i, key] of keys.entries()) {
      world.head(key, [told(i + 1)]);
      world.end(key);
    }
    const pool = world.governor.state.pools.get('test/cred-a/minute');
    expect(pool?.figures(world.now.wall).used).toBe(8);
    expect(pool?.outside).toBeNull();
    const { key } = world.arrive({ path: '/minute' });
    world.pass(500);
    world.head(key, [told(30)]);
    expect(pool?.outside?.units).toBeGreaterThan(10);
  });
});
