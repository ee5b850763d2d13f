/** The results, for people. */
import type { Machine } from '../machine.ts';
import type { Target } from '../results.ts';
import type { Row } from './scores.ts';

export interface ForecastReport {
  readonly date: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly node: string;
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
}

const HEADS = ['horizon', 'model', 'P50 %', 'P90 %', 'P99 %', 'pinball s', 'CRPS s', 'skill', 'n'];

export function markdown(report: ForecastReport): string {
  const { machine, node, quick, date, rows } = report;
  const series = [...new Set(rows.map(({ trace, unit }) => `${trace}, ${unit}`))];
  const tables = series.map((name) => {
    const own = rows.filter(({ trace, unit }) => `${trace}, ${unit}` === name);
    return `## ${name}\n\n${table(HEADS, own.map(cells))}`;
  });
  const targets = report.targets.map((one) => [
    one.name,
    one.value === null ? (one.reason ?? '') : String(one.value),
    `${one.wanted} ${String(one.bound)}`,
    one.met === null ? '–' : one.met ? 'yes' : 'no',
  ]);
  return [
    `# Forecasts, ${date}${quick ? ' (quick)' : ''}`,
    `${machine.cpu}, ${String(machine.cores)} cores, Node ${node.replace(/^v/, '')}. ` +
      'What the columns mean is in docs/forecast.md; ± are standard errors of a block bootstrap.',
    ...tables,
    `## Targets (the worst row counts)\n\n${table(['target', 'measured', 'wanted', 'met'], targets)}`,
    '',
  ].join('\n\n');
}

function cells(row: Row): string[] {
  const percent = (value: number, error: number): string =>
    `${(100 * value).toFixed(1)} ± ${(100 * error).toFixed(1)}`;
  const skill =
    row.brier_skill === null
      ? '–'
      : `${row.brier_skill.toFixed(3)} ± ${(row.brier_skill_se ?? NaN).toFixed(3)}`;
  return [
    `${String(row.horizon_s)} s`,
    row.model,
    percent(row.coverage_p50, row.coverage_p50_se),
    percent(row.coverage_p90, row.coverage_p90_se),
    percent(row.coverage_p99, row.coverage_p99_se),
    row.pinball.toPrecision(4),
    row.crps.toPrecision(4),
    skill,
    String(row.n),
  ];
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, at) =>
    Math.max(head.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, at) => text.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(heads), rule, ...rows.map(line)].join('\n');
}
