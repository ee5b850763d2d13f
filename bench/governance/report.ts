/** The headline table: what machines read, and the same for people. */
import { table } from '../markdown-table.ts';
import type { Target } from '../results.ts';

export interface Row {
  readonly workload: string;
  readonly governor: string;
  /** Windows of the quota that the workload is about. */
  readonly windows: number;
  /** Requests refused by the origin for want of quota, whatever the status (GitHub says 403). */
  readonly upstream_429_per_million: number | null;
  /** Of the quota, over windows in which more was wanted than there was. */
  readonly utilisation: number | null;
  readonly value_vs_oracle: number | null;
  /** From a served job's arrival until the request that served it left for the origin. */
  readonly wait_p50_ms: number | null;
  readonly wait_p99_ms: number | null;
  /** Among agents of one class while all were backlogged, where each had ten maximal requests. */
  readonly jain: number | null;
  /** Pairs of agents whose difference in service went beyond the bound of SFQ(D). */
  readonly gap_violations: number;
  /** Of what the governor refused before its wait was over, what would have fitted into it. */
  readonly false_refusals: number | null;
  /** Requests that came back in the first second after a reset, over the service rate. */
  readonly stampede: number | null;

  readonly sent: number;
  readonly upstream_429: number;
  readonly upstream_429_per_window: number | null;
  /** Jobs given up, of those that ended. */
  readonly lost_ratio: number | null;
  readonly value: number;
  readonly oracle_value: number;
  /** First come, first served with perfect knowledge of the quota. */
  readonly greedy_value: number;
  /** Those that `false_refusals` is of. */
  readonly governor_refusals: number;
  /** Requests that waited as long as they would and were refused then, of all that asked. */
  readonly timed_out: number | null;
  readonly wait_by_priority_ms: Readonly<
    Record<string, { readonly p50: number | null; readonly p99: number | null }>
  >;
}

export interface GovernanceReport {
  readonly date: string;
  readonly quick: boolean;
  readonly node: string;
  readonly seconds: number;
  readonly workloads: readonly { readonly name: string; readonly about: string }[];
  readonly governors: readonly { readonly name: string; readonly about: string }[];
  readonly rows: readonly Row[];
  /** Share of jobs lost for good that hindsight finds room for, by scenario. */
  readonly lost_for_good?: Readonly<Record<string, number>>;
  readonly targets: readonly Target[];
}

const HEADS = [
  'governor',
  'windows',
  '429s / million',
  'utilisation',
  'value / oracle',
  'wait p50 s',
  'wait p99 s',
  'p99 by class s',
  'Jain',
  'gap violations',
  'false refusals',
  'stampede',
  'lost',
];

const percent = (ratio: number | null): string =>
  ratio === null ? '–' : `${(ratio * 100).toFixed(2)} %`;
const plain = (value: number | null, places: number): string =>
  value === null ? '–' : value.toFixed(places);
const seconds = (ms: number | null): string => (ms === null ? '–' : (ms / 1000).toFixed(1));

function cells(row: Row): string[] {
  const classes = Object.entries(row.wait_by_priority_ms);
  return [
    row.governor,
    String(row.windows),
    plain(row.upstream_429_per_million, 0),
    percent(row.utilisation),
    percent(row.value_vs_oracle),
    seconds(row.wait_p50_ms),
    seconds(row.wait_p99_ms),
    classes.map(([name, { p99 }]) => `${name} ${seconds(p99)}`).join(', '),
    plain(row.jain, 4),
    String(row.gap_violations),
    row.false_refusals === null
      ? '–'
      : `${percent(row.false_refusals)} of ${String(row.governor_refusals)}`,
    plain(row.stampede, 2),
    percent(row.lost_ratio),
  ];
}

export function markdown(report: GovernanceReport): string {
  const sections = report.workloads.map(({ name, about }) => {
    const rows = report.rows.filter((row) => row.workload === name);
    return `## ${name}\n\n${about}.\n\n${table(HEADS, rows.map(cells))}`;
  });
  const governors = report.governors.map(({ name, about }) => `- **${name}**: ${about}.`);
  const targets = report.targets.map((one) => [
    one.name,
    one.value === null ? (one.reason ?? '') : String(one.value),
    `${one.wanted} ${String(one.bound)}`,
    one.met === null ? '–' : one.met ? 'yes' : '**no**',
  ]);
  const windows = report.rows.reduce((sum, row) => sum + row.windows, 0);
  return [
    `# Governance, ${report.date}${report.quick ? ' (quick)' : ''}`,
    `Virtual time, the same jobs for everybody; ${String(windows)} windows in ${String(Math.round(report.seconds))} s, Node ${report.node.replace(/^v/, '')}.`,
    governors.join('\n'),
    ...sections,
    `## Targets\n\n${table(['target', 'measured', 'wanted', 'met'], targets)}`,
    '',
  ].join('\n\n');
}
