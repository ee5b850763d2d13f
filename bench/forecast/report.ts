/** The results, for people. */
import type { Machine } from '../machine.ts';
import { table } from '../markdown-table.ts';
import type { Row } from './scores.ts';
import type { ForecastTarget } from './targets.ts';

export interface ForecastReport {
  readonly date: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly node: string;
  readonly rows: readonly Row[];
  readonly targets: readonly ForecastTarget[];
}

const HEADS = [
  ...['horizon', 'model', 'P50 %', 'P90 %', 'P99 %'],
  ...['pinball s', '/ best', 'CRPS s', 'skill', 'n'],
];
const TARGET_HEADS = [
  'target',
  'measured',
  'wanted',
  'met',
  'rows missed',
  'by > 2 SE',
  'worst row',
];

export function markdown(report: ForecastReport): string {
  const { machine, node, quick, date, rows } = report;
  const series = [...new Set(rows.map(({ trace, unit }) => `${trace}, ${unit}`))];
  const tables = series.flatMap((name) => {
    const own = rows.filter(({ trace, unit }) => `${trace}, ${unit}` === name);
    const cold = own.filter(({ phase }) => phase === 'cold');
    const settled = own.filter(({ phase }) => phase === 'settled');
    return [
      `## ${name}`,
      ...(settled.length > 0 ? [table(HEADS, settled.map(cells))] : []),
      ...(cold.length > 0 ? ['Before the warm-up is over:', table(HEADS, cold.map(cells))] : []),
    ];
  });
  const targets = report.targets.map((one) => [
    one.name,
    one.value === null ? (one.reason ?? '') : String(one.value),
    `${one.wanted} ${String(one.bound)}`,
    one.met === null ? '–' : one.met ? 'yes' : 'no',
    one.met === null ? '–' : `${String(one.missed)} of ${String(one.rows)}`,
    one.met === null ? '–' : String(one.missed_beyond_2_se),
    one.worst ?? '',
  ]);
  return [
    `# Forecasts, ${date}${quick ? ' (quick)' : ''}`,
    `${machine.cpu}, ${String(machine.cores)} cores, Node ${node.replace(/^v/, '')}. ` +
      'What the columns mean is in docs/forecast.md; ± are standard errors of a block bootstrap, ' +
      'or of a jackknife over days where several were pooled.',
    ...tables,
    `## Targets (the worst row counts)`,
    table(TARGET_HEADS, targets),
    '',
  ].join('\n\n');
}

function cells(row: Row): string[] {
  const percent = (value: number, error: number): string =>
    `${(100 * value).toFixed(1)} ± ${Number.isFinite(error) ? (100 * error).toFixed(1) : '?'}`;
  const of = (value: number, error: number): string =>
    `${value.toFixed(3)} ± ${Number.isFinite(error) ? error.toFixed(3) : '?'}`;
  return [
    `${String(row.horizon_s)} s`,
    row.model,
    percent(row.coverage_p50, row.coverage_p50_se),
    percent(row.coverage_p90, row.coverage_p90_se),
    percent(row.coverage_p99, row.coverage_p99_se),
    row.pinball.toPrecision(4),
    of(row.pinball_ratio, row.pinball_ratio_se),
    row.crps.toPrecision(4),
    row.brier_skill === null ? '–' : of(row.brier_skill, row.brier_skill_se ?? NaN),
    String(row.n),
  ];
}
