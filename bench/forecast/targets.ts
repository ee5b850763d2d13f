/** What the forecasts want of themselves. Computed from the rows and never asserted away. */
import { MODEL } from '../../src/core/forecast/forecaster.ts';
import { target, type Target } from '../results.ts';
import type { Cost } from './cost.ts';
import type { Row } from './scores.ts';

/** The worst row is the value; a miss is a miss however small, what chance explains is told apart. */
export interface ForecastTarget extends Target {
  /** Rows that were judged, that miss, and that miss by more than two standard errors. */
  readonly rows: number;
  readonly missed: number;
  readonly missed_beyond_2_se: number;
  /** Which row is the worst; `null` when there is none. */
  readonly worst: string | null;
}

/** What is read off a row, and by how much it may be off by chance. */
interface Figure {
  readonly of: (row: Row) => number;
  readonly error: (row: Row) => number;
}

const ERRORS = 2;
const NONE = 'no such trace was given';
const FLAT = 'no trace was given, or on none both outcomes came about';

const P90_OFF: Figure = {
  of: ({ coverage_p90 }) => Math.abs(coverage_p90 - 0.9),
  error: ({ coverage_p90_se, n }) => coverageError(coverage_p90_se, 0.9, n),
};
const P99: Figure = {
  of: ({ coverage_p99 }) => coverage_p99,
  error: ({ coverage_p99_se, n }) => coverageError(coverage_p99_se, 0.99, n),
};
const SKILL: Figure = {
  of: ({ brier_skill }) => brier_skill ?? NaN,
  error: ({ brier_skill_se }) => brier_skill_se ?? NaN,
};
/** No chance in it: not once. */
const CROSSED: Figure = { of: ({ crossed }) => crossed, error: () => 0 };
const OVER_BEST: Figure = {
  of: ({ pinball_ratio }) => pinball_ratio,
  error: ({ pinball_ratio_se }) => pinball_ratio_se,
};

/** Where nothing was missed the blocks do not differ: it is no surer than so many tries can be. */
function coverageError(measured: number, wanted: number, n: number): number {
  const least = Math.sqrt((wanted * (1 - wanted)) / Math.max(1, n));
  return Number.isFinite(measured) ? Math.max(measured, least) : least;
}

export function targetsOf(
  rows: readonly Row[],
  dayLong: ReadonlySet<string>,
  cost: Cost,
): ForecastTarget[] {
  const own = rows.filter(({ model }) => model === MODEL.id);
  const settled = own.filter(({ phase }) => phase === 'settled');
  const cold = own.filter(({ phase }) => phase === 'cold');
  const long = ({ trace }: Row): boolean => dayLong.has(trace);
  const short = (row: Row): boolean => !long(row);
  const talks = settled.filter(({ trace }) => /azure.*conv/i.test(trace));
  const cheap = (name: string, bound: number, value: number): ForecastTarget => {
    const one = target(name, 'at most', bound, value);
    const missed = one.met === false ? 1 : 0;
    return { ...one, rows: 1, missed, missed_beyond_2_se: missed, worst: null };
  };
  return [
    judge('P90 coverage off 90 %, hour-long', 'at most', 0.04, settled.filter(short), P90_OFF),
    judge('P90 coverage off 90 %, day-long', 'at most', 0.02, settled.filter(long), P90_OFF),
    judge('P99 coverage', 'at least', 0.98, settled, P99),
    judge('Brier skill', 'at least', 0, settled, SKILL, FLAT),
    judge('Brier skill, Azure conversations', 'at least', 0.4, talks, SKILL),
    judge('pinball over the best baseline', 'at most', 1, settled, OVER_BEST),
    judge('claims that contradict each other', 'at most', 0, own, CROSSED),
    judge('cold: P90 coverage off 90 %, hour-long', 'at most', 0.04, cold.filter(short), P90_OFF),
    judge('cold: P90 coverage off 90 %, day-long', 'at most', 0.02, cold.filter(long), P90_OFF),
    judge('cold: P99 coverage', 'at least', 0.98, cold, P99),
    cheap('update p99, µs', 5, cost.update_p99_us),
    cheap('forecast p99, µs', 50, cost.forecast_p99_us),
    cheap('state of a pool, bytes', 16_384, cost.state_bytes),
  ];
}

function judge(
  name: string,
  wanted: Target['wanted'],
  bound: number,
  rows: readonly Row[],
  figure: Figure,
  none = NONE,
): ForecastTarget {
  const sign = wanted === 'at most' ? 1 : -1;
  const excess = (row: Row): number => sign * (figure.of(row) - bound);
  // A row on which both outcomes never came about has no skill to tell of.
  const judged = rows.filter((row) => !Number.isNaN(figure.of(row)));
  const missed = judged.filter((row) => excess(row) > 0);
  // What nothing is known of, chance does not excuse.
  const beyond = missed.filter((row) => !(excess(row) <= ERRORS * figure.error(row)));
  const worst = judged.reduce<Row | null>(
    (so, row) => (so === null || excess(row) > excess(so) ? row : so),
    null,
  );
  return {
    ...target(name, wanted, bound, worst === null ? null : figure.of(worst), none),
    rows: judged.length,
    missed: missed.length,
    missed_beyond_2_se: beyond.length,
    worst: worst === null ? null : `${worst.trace}, ${worst.unit}, ${String(worst.horizon_s)} s`,
  };
}
