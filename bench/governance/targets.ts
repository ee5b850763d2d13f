/** What ratelord wants of itself. Computed from the rows and never asserted away. */
import { target, type Target } from '../results.ts';
import { ratelord, ratelordStatic } from './governors/ratelord.ts';
import { NOT_PLAYED, type Lost } from './lost.ts';
import type { Row } from './report.ts';
import type { Shows, Workload } from './stage.ts';

type Figure = (row: Row) => number | null;

const best = (row: Row): number | null =>
  row.greedy_value === 0 ? null : row.value / row.greedy_value;

/** The worst of them; `null` when none was measured. */
function worst(
  rows: readonly Row[],
  figure: Figure,
  pick: (...values: number[]) => number,
): number | null {
  const values = rows.map(figure).filter((value) => value !== null);
  return values.length === 0 ? null : pick(...values);
}

/**
 * @param rows at most one of a governor on a workload; only ratelord's own are judged
 * @param windows of all rows, `null` for a quick run
 * @param lost what the shipped scenarios lose
 */
export function targetsOf(
  workloads: readonly Workload[],
  rows: readonly Row[],
  windows: number | null,
  lost: Lost = NOT_PLAYED,
): Target[] {
  const own = rows.filter(({ governor }) => governor === ratelord.name);
  const about = (...shows: Shows[]): readonly Row[] =>
    own.filter((row) => {
      const workload = workloads.find(({ name }) => name === row.workload);
      return workload !== undefined && shows.every((one) => workload.shows.has(one));
    });
  const strangers = (row: Row): boolean =>
    about('outsiders').includes(row) || about('batches').includes(row);
  const alone = own.filter((row) => !strangers(row));
  const why = 'the workloads of this target were not run, or told nothing of it';
  const least = (name: string, bound: number, rows: readonly Row[], figure: Figure): Target =>
    target(name, 'at least', bound, worst(rows, figure, Math.min), why);
  const most = (name: string, bound: number, rows: readonly Row[], figure: Figure): Target =>
    target(name, 'at most', bound, worst(rows, figure, Math.max), why);
  return [
    most('429s per million, nobody outside', 0, alone, (row) => row.upstream_429_per_million),
    most('429s a window, 20 % outside', 1e-3, about('outsiders'), perWindow),
    most('429s a window, 20 % outside in tens', 1e-2, about('batches'), perWindow),
    least('utilisation, saturated, alone', 0.999, alone.filter(saturated(about)), used),
    least('utilisation, saturated, 20 % outside', 0.995, own.filter(strangers), used),
    least('value of the oracle, traces', 0.97, about('trace'), (row) => row.value_vs_oracle),
    least('value of the oracle, stationary', 0.99, about('stationary'), ofOracle),
    // Where all values are alike first come, first served with perfect knowledge is the oracle itself.
    least('value, × first come first served, values differ', 1, about('priority'), best),
    least('value, × static shares, two classes', 1, about('stationary', 'priority'), (row) =>
      overStatic(row, rows),
    ),
    least('Jain, cost skew and a flooder', 0.99, about('fairness'), (row) => row.jain),
    most('service gap violations', 0, own, (row) => row.gap_violations),
    most('false early refusals', 0.02, own, inVain),
    most('waiters that timed out', 0.005, own, (row) => row.timed_out),
    most('stampede after a reset', 1.1, about('herd'), (row) => row.stampede),
    target(
      `lost for good in ${scenariosIn(lost)}`,
      'at most',
      0.01,
      lost.worst,
      'the scenarios are not played with `--only`',
    ),
    target('windows in all', 'at least', 3000, windows, 'a quick run'),
    target(
      'live: relative difference from the simulator',
      'at most',
      0.02,
      null,
      'run with `--live`',
    ),
  ];
}

/** Whether foreseeing is worth more than a fixed share that somebody once chose. */
function overStatic(row: Row, rows: readonly Row[]): number | null {
  const fixed = rows.find(
    ({ workload, governor }) => workload === row.workload && governor === ratelordStatic.name,
  );
  return fixed === undefined || fixed.value === 0 ? null : row.value / fixed.value;
}

/** `S-01, S-06`, or from the first to the last where none is missing. */
function scenariosIn({ byScenario }: Lost): string {
  const ids = Object.keys(byScenario).map((name) => name.slice(0, 3).replace('s', 'S-'));
  const span = `${ids[0] ?? 'S-01'}…${ids.at(-1) ?? 'S-10'}`;
  return ids.length === 0 || ids.length === 10 ? span : ids.join(', ');
}

/** A share of fewer says nothing. */
const ENOUGH_REFUSALS = 50;
const inVain: Figure = (row) =>
  row.governor_refusals < ENOUGH_REFUSALS ? null : row.false_refusals;
const perWindow: Figure = (row) => row.upstream_429_per_window;
const used: Figure = (row) => row.utilisation;
const ofOracle: Figure = (row) => row.value_vs_oracle;

function saturated(about: (...shows: Shows[]) => readonly Row[]): (row: Row) => boolean {
  const rows = new Set(about('saturated'));
  return (row) => rows.has(row);
}
