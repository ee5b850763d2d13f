/** The results, for people. */
import { table } from './markdown-table.ts';
import type { Machine } from './machine.ts';
import type { Row, Target } from './results.ts';

export interface Report {
  readonly date: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly node: string;
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
  readonly skipped: readonly string[];
}

const ROW_HEADS = ['load', 'name', 'requests/s', '× hp3', '× nginx', 'p50 µs', 'p99 µs', 'CPU µs'];
const TARGET_HEADS = ['target', 'measured', 'wanted', 'met'];

const cell = (value: number | null): string => (value === null ? '' : String(value));

export function markdown(report: Report): string {
  const { machine, node } = report;
  const tools = Object.entries(machine.tools).map(([name, version]) => `${name} ${version}`);
  const about = [
    `${machine.cpu}, ${String(machine.cores)} cores, ${String(machine.memory_mb)} MB`,
    `${machine.os}, kernel ${machine.kernel}, Node ${node.replace(/^v/, '')}, ${tools.join(', ')}`,
    machine.pinned
      ? 'The process under test had a core to itself; origin and load shared another.'
      : 'Nothing was pinned to a core.',
  ];
  const cases = [...new Set(report.rows.map((row) => row.case))].map((name) => {
    const rows = report.rows.filter((row) => row.case === name);
    return `## ${name}\n\n${table(ROW_HEADS, rows.map(cells))}\n${notes(rows)}`;
  });
  const targets = report.targets.map((one) => [
    one.name,
    one.value === null ? (one.reason ?? '') : String(one.value),
    `${one.wanted} ${String(one.bound)}`,
    one.met === null ? '–' : one.met ? 'yes' : 'no',
  ]);
  const skipped = report.skipped.map((text) => `- left out: ${text}`).join('\n');
  return [
    `# Benchmarks, ${report.date}${report.quick ? ' (quick)' : ''}`,
    about.join('  \n'),
    ...cases,
    `## Targets\n\n${table(TARGET_HEADS, targets)}`,
    ...(skipped === '' ? [] : [skipped]),
    '',
  ].join('\n\n');
}

function cells(row: Row): string[] {
  return [
    row.load,
    row.name,
    cell(row.rps),
    cell(row.ratio_http_proxy_3),
    cell(row.ratio_nginx),
    cell(row.p50_us),
    cell(row.p99_us),
    cell(row.cpu_us),
  ];
}

function notes(rows: readonly Row[]): string {
  return rows
    .flatMap(({ load, name, note }) => (note === undefined ? [] : [`- ${load}, ${name}: ${note}`]))
    .map((line) => `\n${line}`)
    .join('');
}
