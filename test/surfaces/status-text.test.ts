import { describe, expect, it } from 'vitest';
import type { Health } from '../../src/query/health.ts';
import type { ForecastView, PoolView } from '../../src/query/ports.ts';
import { statusText } from '../../src/surfaces/cli/text/status-text.ts';

/** A Saturday. */
const NOW = Date.UTC(2026, 10, 21, 14, 20);
const HOUR = 3_600_000;
const iso = (at: number): string => new Date(at).toISOString();

const HEALTH: Health = {
  status: 'ok',
  version: '0.1.0',
  uptime_s: 60,
  pid: 1,
  node: 'v26.0.0',
  mode: 'enforce',
  proxy: 'http://127.0.0.1:1',
  api: 'http://127.0.0.1:2',
  ca: null,
  data: 'ratelord',
  now: iso(NOW),
  ledger: { state: 'ok', lag_ms: 0, queued: 0, lost: 0, last_seq: 1 },
  policy: { hash: 'a1b2c3d4e5f6', source: 'defaults', loaded_at: iso(NOW) },
  providers: [],
  queue_depth: 0,
  in_flight: 0,
  problems: [],
  notices: [],
};

const POOL: PoolView = {
  id: 'github/gh-ci/core',
  provider: 'github',
  pool: 'core',
  identity: 'gh-ci',
  unit: 'requests',
  kind: 'fixed',
  limit: 5000,
  used: 5,
  remaining: 4995,
  reserved: 0,
  reset_at: iso(NOW + HOUR),
  window_s: 3600,
  observed_at: iso(NOW),
  source: 'observed',
};

/** What is said of when `pool` runs out. */
function foretold(
  pool: Partial<PoolView>,
  said: Pick<ForecastView, 'p50_s' | 'p_exhaust'> & Partial<ForecastView>,
): string {
  const forecast: ForecastView = {
    p90_s: null,
    p99_s: null,
    margin_s: null,
    burn_rate: 1,
    burn_variance: 1,
    model: 'm',
    as_of: iso(NOW),
    ...said,
  };
  const output = { colours: false, columns: Infinity };
  const lines = statusText(HEALTH, [{ ...POOL, ...pool, forecast }], output, NOW).split('\n');
  const title = lines.findIndex((line) => line.startsWith('PROVIDER'));
  const [from, to] = ['FORECAST', 'USED BY'].map((name) => lines[title]?.indexOf(name));
  return (lines[title + 1] ?? '').slice(from, to).trim();
}

describe('the forecast of a pool', () => {
  it('is a span, or a day and a time, and the odds', () => {
    expect(foretold({}, { p50_s: 1200, p_exhaust: 0.83 })).toBe(
      'empty in 20 min (83% before reset)',
    );
    const week = { reset_at: iso(NOW + 7 * 24 * HOUR), window_s: 7 * 86_400 };
    expect(foretold(week, { p50_s: 54_900, p_exhaust: 0.999 })).toBe(
      'empty Sun 05:35 UTC (>99% before reset)',
    );
    const month = { reset_at: iso(NOW + 30 * 24 * HOUR), window_s: 30 * 86_400 };
    expect(foretold(month, { p50_s: 7 * 86_400, p_exhaust: 0.9 })).toBe(
      'empty 2026-11-28 14:20 UTC (90% before reset)',
    );
    expect(foretold({}, { p50_s: null, p_exhaust: 0.1 })).toBe('may last (10% empty before reset)');
  });

  it('is that it lasts where the reset comes first and nothing speaks against it', () => {
    expect(foretold({}, { p50_s: 54_900, p_exhaust: 0.004 })).toBe('lasts');
    expect(foretold({}, { p50_s: null, p_exhaust: 0 })).toBe('lasts');
    // Counted from when it was foretold, it ends before the reset.
    const old = { p50_s: 5400, p_exhaust: 0.004, as_of: iso(NOW - HOUR) };
    expect(foretold({}, old)).toBe('empty in 1 h 30 min');
    // No reset saves what refills too slowly.
    const bucket = { kind: 'bucket', reset_at: iso(NOW + 60_000), window_s: 60 } as const;
    expect(foretold(bucket, { p50_s: 54_900, p_exhaust: 0.004 })).toBe('empty Sun 05:35 UTC');
  });

  it('of an empty pool is no forecast', () => {
    expect(foretold({ remaining: 0 }, { p50_s: 0, p_exhaust: 1 })).toBe('empty');
    expect(foretold({ remaining: 3, reserved: 3 }, { p50_s: 0, p_exhaust: 1 })).toBe('empty');
    // It was emptied since.
    expect(foretold({ remaining: 0 }, { p50_s: 0.9, p_exhaust: 0.999 })).toBe('empty');
  });

  it('speaks of no reset where there is none', () => {
    const rolling = { kind: 'rolling', reset_at: null, window_s: 60 } as const;
    expect(foretold(rolling, { p50_s: 30, p_exhaust: 0.7 })).toBe(
      'empty in 30 s (70% within 1 min)',
    );
    expect(foretold(rolling, { p50_s: null, p_exhaust: 0.1 })).toBe(
      'may last (10% empty within 1 min)',
    );
    const unknown = { reset_at: null, window_s: null };
    expect(foretold(unknown, { p50_s: 30, p_exhaust: 0.7 })).toBe(
      'empty in 30 s (70% of running out)',
    );
    expect(foretold(unknown, { p50_s: null, p_exhaust: 0.1 })).toBe(
      'may last (10% of running out)',
    );
  });
});
