/** What the forecasts want of themselves. Computed from the rows and never asserted away. */
import { MODEL } from '../../src/core/forecast/forecaster.ts';
import { target, type Target } from '../results.ts';
import type { Cost } from './cost.ts';
import type { Row } from './scores.ts';

export function targetsOf(
  rows: readonly Row[],
  dayLong: ReadonlySet<string>,
  cost: Cost,
): Target[] {
  const own = rows.filter(({ model }) => model === MODEL.id);
  const long = own.filter(({ trace }) => dayLong.has(trace));
  const short = own.filter(({ trace }) => !dayLong.has(trace));
  const talks = own.filter(({ trace }) => /azure.*conv/i.test(trace));
  const off = ({ coverage_p90 }: Row): number => Math.abs(coverage_p90 - 0.9);
  const skill = ({ brier_skill }: Row): number => brier_skill ?? NaN;
  const none = 'no such trace was given';
  const flat = 'no trace was given, or on none both outcomes came about';
  return [
    target('P90 coverage off 90 %, hour-long', 'at most', 0.04, highest(short, off), none),
    target('P90 coverage off 90 %, day-long', 'at most', 0.02, highest(long, off), none),
    target(
      'P99 coverage',
      'at least',
      0.98,
      lowest(own, (row) => row.coverage_p99),
      none,
    ),
    target('Brier skill', 'at least', 0, lowest(own, skill), flat),
    target('Brier skill, Azure conversations', 'at least', 0.4, lowest(talks, skill), none),
    target('pinball over the best baseline', 'at most', 1, highest(own, overBest(rows)), none),
    target('update p99, µs', 'at most', 5, cost.update_p99_us),
    target('forecast p99, µs', 'at most', 50, cost.forecast_p99_us),
    target('state of a pool, bytes', 'at most', 16_384, cost.state_bytes),
  ];
}

function overBest(rows: readonly Row[]): (row: Row) => number {
  return ({ trace, unit, horizon_s, model, pinball }) => {
    const rivals = rows.filter(
      (row) =>
        row.trace === trace &&
        row.unit === unit &&
        row.horizon_s === horizon_s &&
        row.model !== model,
    );
    return pinball / Math.min(...rivals.map((row) => row.pinball));
  };
}

/** The worst row decides; `null` when there is none that tells. */
function highest(rows: readonly Row[], figure: (row: Row) => number): number | null {
  const values = rows.map(figure).filter((value) => Number.isFinite(value));
  return values.length === 0 ? null : Math.max(...values);
}

function lowest(rows: readonly Row[], figure: (row: Row) => number): number | null {
  const value = highest(rows, (row) => -figure(row));
  return value === null ? null : -value;
}
