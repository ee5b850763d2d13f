import { describe, expect, it } from 'vitest';
import type { PoolView } from '../../src/query/ports.ts';
import { findPool } from '../../src/surfaces/cli/find-pool.ts';
import { chartText } from '../../src/surfaces/cli/text/chart-text.ts';

const NOW = Date.UTC(2026, 10, 21, 14, 20);
const MINUTE = 60_000;
const iso = (at: number): string => new Date(at).toISOString();

const POOL: PoolView = {
  id: 'github/gh-ci/core',
  provider: 'github',
  pool: 'core',
  identity: 'gh-ci',
  unit: 'requests',
  kind: 'fixed',
  limit: 1000,
  used: 500,
  remaining: 500,
  reserved: 0,
  reset_at: iso(NOW + 30 * MINUTE),
  window_s: 3600,
  observed_at: iso(NOW),
  source: 'observed',
  forecast: {
    p50_s: 1500,
    p90_s: 1200,
    p99_s: 900,
    p_exhaust: 0.83,
    margin_s: -600,
    burn_rate: 0.333,
    burn_variance: 0.5,
    model: 'm',
    as_of: iso(NOW),
  },
  history: [
    [iso(NOW - 30 * MINUTE), 0],
    [iso(NOW - 15 * MINUTE), 250],
    [iso(NOW - MINUTE), 483],
  ],
};

const draw = (pool: PoolView, columns = 80, colours = false): string[] =>
  chartText(pool, { colours, columns }, NOW).split('\n');
/** Rows of the picture, from the top, without their labels. */
const rows = (lines: readonly string[]): string[] =>
  lines.filter((line) => line.includes('┤')).map((line) => line.slice(line.indexOf('┤') + 1));

describe('the picture of a pool', () => {
  it('shows use so far, the cone, the reset, and the odds', () => {
    const lines = draw(POOL);
    expect(lines.slice(0, 2)).toEqual([
      'github/gh-ci/core',
      '500 of 1,000 requests used, resets in 30 min',
    ]);
    expect(lines.filter((line) => /^\s*(1,000|500|0) [┤┼]/.test(line))).toHaveLength(3);
    expect(lines.join('\n')).toMatch(/13:50 +now +14:50 UTC/);
    expect(lines).toContain('lasts 25 min (50%), 20 min (90%), 15 min (99%)');
    expect(lines).toContain('runs out before its reset with 83% probability; 0.333 a second asked');
    const picture = rows(lines);
    const [top = ''] = picture;
    // Fastest first: the 99 % line meets the limit before the others do.
    expect(top.trim()).toMatch(/^░+▒+▓+$/);
    // The bottom row is used up early on, and then foreseen to be.
    expect(picture.at(-1)?.trim()).toMatch(/^█+▓+$/);
    const width = 80 - '1,000 ┤'.length;
    expect((picture.at(-1) ?? '').lastIndexOf('█')).toBeCloseTo(width / 2, -1);
  });

  it('tells the days of a long window apart', () => {
    const times = (window: number, ahead: number): string | undefined =>
      draw({ ...POOL, window_s: window / 1000, reset_at: iso(NOW + ahead) }).find((line) =>
        line.endsWith('UTC'),
      );
    const hour = 60 * MINUTE;
    expect(times(24 * hour, 9 * hour + 40 * MINUTE)).toMatch(/ Sat 00:00 +now +Sun 00:00 UTC$/);
    expect(times(23 * hour, 9 * hour + 40 * MINUTE)).toMatch(/^ +01:00 +now +00:00 UTC$/);
    expect(times(7 * 24 * hour, 24 * hour)).toMatch(/ 2026-11-15 14:20 +2026-11-22 14:20 UTC$/);
  });

  it('tells what is spent by the hour, as money', () => {
    const forecast = POOL.forecast ?? null;
    const spent = forecast && { ...forecast, burn_rate: 10.8 };
    const lines = draw({ ...POOL, unit: 'usd', limit: 5e6, remaining: 4e6, forecast: spent });
    expect(lines.at(-2)).toBe(
      'runs out before its reset with 83% probability; $0.0389 an hour asked',
    );
  });

  it('says of an empty pool that it is empty, and of no reset what there is not', () => {
    const forecast = POOL.forecast ?? null;
    const spent = forecast && { ...forecast, p50_s: 0, p90_s: 0, p99_s: 0, p_exhaust: 1 };
    expect(draw({ ...POOL, remaining: 0, forecast: spent }).at(-2)).toBe(
      'empty; 0.333 a second asked',
    );
    const rolling = { ...POOL, kind: 'rolling', reset_at: null } as const;
    expect(draw(rolling).at(-2)).toContain('runs out within 1 h with 83% probability');
    expect(draw({ ...rolling, window_s: null }).at(-2)).toContain('runs out with 83% probability');
  });

  it('rises as the history does', () => {
    const heights = (lines: readonly string[]): number[] => {
      const picture = rows(lines);
      return Array.from({ length: 36 }, (_, x) => picture.filter((row) => row[x] === '█').length);
    };
    const rising = heights(draw(POOL));
    for (let x = 1; x < rising.length; x++) {
      expect(rising[x]).toBeGreaterThanOrEqual(rising[x - 1] ?? 0);
    }
    expect(rising.at(-1)).toBeGreaterThan(4);
    const fell = { ...POOL, history: [...(POOL.history ?? []), [iso(NOW - 1000), 0] as const] };
    expect(heights(draw({ ...fell, used: 0, remaining: 1000 })).at(-1)).toBeGreaterThan(3);
  });

  it.each([40, 60, 100, 200])('fits into %i columns', (columns) => {
    for (const line of draw(POOL, columns)) {
      if (!/[┤┼]|UTC$/.test(line)) continue;
      expect(line.length).toBeLessThanOrEqual(columns);
    }
  });

  it('has colours only where they are wanted', () => {
    expect(draw(POOL, 80, false).join('')).not.toContain('\u001B');
    expect(draw(POOL, 80, true).join('')).toContain('\u001B[33m▒');
  });

  it('says why there is nothing to draw, or to foresee', () => {
    expect(draw({ ...POOL, limit: null }).join('\n')).toContain('its limit is not known');
    expect(draw({ ...POOL, kind: 'concurrent' }).join('\n')).toContain('slots are held');
    const quiet = draw({ ...POOL, forecast: null, history: [] });
    expect(quiet).toContain('No forecast yet: nothing was asked of it.');
    expect(rows(quiet)).toHaveLength(12);
  });
});

describe('the pool that is meant', () => {
  const pools = ['github/a/core', 'github/b/core', 'github/a/search', 'policy/day'].map(
    (id): PoolView => ({ ...POOL, id, pool: id.slice(id.lastIndexOf('/') + 1) }),
  );

  it('is found by its id or by its end', () => {
    expect(findPool(pools, 'github/a/core').id).toBe('github/a/core');
    expect(findPool(pools, 'a/core').id).toBe('github/a/core');
    expect(findPool(pools, 'search').id).toBe('github/a/search');
  });

  it('is not guessed', () => {
    expect(() => findPool(pools, 'core')).toThrow(
      '`core` may be any of `github/a/core`, `github/b/core`',
    );
    expect(() => findPool(pools, 'serch')).toThrow(
      'there is no pool `serch`; the nearest is `github/a/search`',
    );
    expect(() => findPool(pools, 'policy/dya')).toThrow('the nearest is `policy/day`');
    expect(() => findPool([], 'x')).toThrow('no pool is known yet');
  });
});
