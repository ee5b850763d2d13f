import { describe, expect, it } from 'vitest';
import { scoreSeries } from '../../bench/forecast/score-series.ts';
import type { Row } from '../../bench/forecast/scores.ts';
import { ofCounts, type Series } from '../../bench/forecast/series.ts';
import { targetsOf } from '../../bench/forecast/targets.ts';
import { MODEL } from '../../src/core/forecast/forecaster.ts';
import { Random } from '../../src/sim/random.ts';

const own = (rows: readonly Row[]): Row[] => rows.filter(({ model }) => model === MODEL.id);

function poisson(seconds: number, seed: string): Series {
  const random = new Random(seed);
  const counts = new Array<number>(seconds).fill(0);
  for (let at = random.exponential(1 / 8); at < seconds; at += random.exponential(1 / 8)) {
    counts[Math.floor(at)] = (counts[Math.floor(at)] ?? 0) + 1;
  }
  return ofCounts('poisson', counts, { days: 1, arrivals: 1e6 });
}

describe('targets', () => {
  const cost = { update_p99_us: 1, forecast_p99_us: 10, state_bytes: 9 };
  const rows = scoreSeries(poisson(1_800, 'targets'), 500);
  const met = (name: string, of = rows): boolean | null | undefined =>
    targetsOf(of, new Set(), cost).find((one) => one.name === name)?.met;

  it('leaves open what no trace could tell, with a reason', () => {
    expect(met('P90 coverage off 90 %, day-long')).toBeNull();
    expect(met('Brier skill, Azure conversations')).toBeNull();
    for (const one of targetsOf([], new Set(), cost)) {
      if (one.met === null) expect(one.reason).toMatch(/no /);
    }
    expect(met('update p99, µs')).toBe(true);
  });

  it('lets the worst row decide', () => {
    expect(
      met(
        'P99 coverage',
        rows.map((row) => ({ ...row, coverage_p99: 0.99 })),
      ),
    ).toBe(true);
    const one = rows.map((row, i) => ({ ...row, coverage_p99: i === 0 ? 0.9 : 0.99 }));
    expect(met('P99 coverage', one)).toBe(false);
    const beaten = rows.map((row) => ({ ...row, pinball_ratio: 1.001 }));
    expect(met('pinball over the best baseline', beaten)).toBe(false);
  });

  it('calls a miss a miss, and tells apart what chance may have done', () => {
    const judged = (coverage_p90: number, coverage_p90_se: number, n: number) =>
      targetsOf(
        own(rows).map((row) => ({ ...row, coverage_p90, coverage_p90_se, n })),
        new Set(),
        cost,
      ).find(({ name }) => name === 'P90 coverage off 90 %, hour-long');
    expect(judged(0.93, 0.001, 1e6)).toMatchObject({ met: true, missed: 0, rows: 2 });
    expect(judged(0.95, 0.02, 100)).toMatchObject({ met: false, missed: 2, missed_beyond_2_se: 0 });
    expect(judged(0.95, 0.001, 1e6)).toMatchObject({ met: false, missed_beyond_2_se: 2 });
    // Where every claim came true the blocks do not differ: sixteen tries cannot tell 95 from 100 %.
    expect(judged(1, 0, 16)).toMatchObject({ met: false, missed: 2, missed_beyond_2_se: 0 });
    expect(judged(1, 0, 1_000)?.missed_beyond_2_se).toBe(2);
    expect(judged(1, 0, 16)?.worst).toMatch(/^poisson, requests, \d+ s$/);
  });

  it('does not excuse a miss whose error nobody knows', () => {
    const unsure = own(rows).map((row) => ({ ...row, pinball_ratio: 1.2, pinball_ratio_se: NaN }));
    const one = targetsOf(unsure, new Set(), cost).find(({ name }) => name.startsWith('pinball'));
    expect(one).toMatchObject({ met: false, missed: 2, missed_beyond_2_se: 2 });
  });

  it('judges the first minutes apart', () => {
    const first = rows.map((row) => ({ ...row, coverage_p99: row.phase === 'cold' ? 0.5 : 1 }));
    expect(met('P99 coverage', first)).toBe(true);
    expect(met('cold: P99 coverage', first)).toBe(false);
  });
});
