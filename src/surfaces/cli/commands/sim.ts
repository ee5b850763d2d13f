/** `ratelord sim FILE…`: scenarios in virtual time, with what must hold of them. */
import type { AgentReport, JudgedInvariant, SimReport } from '../../../core/sim-report.ts';
import type { CliShell, SimOutcome } from '../shell.ts';
import { createPaint, type Paint } from '../text/paint.ts';
import { tableText } from '../text/table.ts';

/** All that it needs of the world. */
export type SimShell = Pick<CliShell, 'out' | 'err' | 'simulate'>;

export interface SimFlags {
  readonly seed?: string;
  readonly trace?: string;
  readonly json?: boolean;
}

const FAILED = 1;
const WRONG_USAGE = 2;
/** Agents are many, and most of them alike: the worst come first, the rest is counted. */
const MOST_AGENTS = 12;

/** Resolves with the exit code: 1 when a scenario cannot be run or does not pass. */
export async function simCommand(
  shell: SimShell,
  files: readonly string[],
  flags: SimFlags,
): Promise<number> {
  const seed = flags.seed === undefined ? null : Number(flags.seed);
  if (seed !== null && (!Number.isInteger(seed) || seed < 0)) {
    shell.err.write(`\`${String(flags.seed)}\` is no seed: it must be a whole number\n`);
    return WRONG_USAGE;
  }
  const reports: SimReport[] = [];
  let code = 0;
  for (const file of files) {
    const outcome = await runOne(shell, file, seed, flags.trace ?? null);
    if (!outcome.ok) {
      code = FAILED;
      for (const problem of outcome.problems) shell.err.write(`${problem}\n`);
      continue;
    }
    const { report } = outcome;
    if (!report.passed) code = FAILED;
    if (flags.json === true) reports.push(report);
    else shell.out.write(reportText(report, createPaint(shell.out.colours), shell.out.columns));
  }
  if (flags.json === true) shell.out.write(jsonText(reports, files.length, code));
  return code;
}

/** One scenario is one object; of several, the object that holds them. */
function jsonText(reports: readonly SimReport[], files: number, code: number): string {
  const [only] = reports;
  if (files === 1) return only === undefined ? '' : `${JSON.stringify(only)}\n`;
  return `${JSON.stringify({ passed: code === 0, runs: reports })}\n`;
}

async function runOne(
  shell: SimShell,
  file: string,
  seed: number | null,
  trace: string | null,
): Promise<SimOutcome> {
  const { err } = shell;
  if (!err.terminal) return shell.simulate({ file, seed, trace });
  const progress = (part: number): void => {
    err.write(`\r${file}: ${String(Math.round(part * 100)).padStart(3)} %`);
  };
  const outcome = await shell.simulate({ file, seed, trace, progress });
  err.write(`\r\u001B[K`);
  return outcome;
}

function reportText(report: SimReport, paint: Paint, columns: number): string {
  const { scenario, seed, passed, reason, requests, virtual_s, wall_s } = report;
  const verdict = passed ? paint.good('passed') : paint.bad('FAILED');
  const why = reason === '' ? '' : `: ${reason}`;
  const span = `${spanText(virtual_s)} in ${wall_s.toFixed(1)} s`;
  return [
    `${paint.strong(scenario)}  ${verdict}${why}\n`,
    paint.dim(`seed ${seed}, ${requests} requests, ${span}\n`),
    invariantsText(report.invariants, paint, columns),
    `${upstreamText(report)}\n`,
    agentsText(report.agents, columns),
    '\n',
  ].join('');
}

function invariantsText(
  invariants: readonly JudgedInvariant[],
  paint: Paint,
  columns: number,
): string {
  if (invariants.length === 0) return '';
  return tableText(
    invariants,
    [
      {
        title: '',
        cell: ({ passed }) => (passed ? 'ok' : 'FAIL'),
        paint: (text, { passed }) => (passed ? paint.good(text) : paint.bad(text)),
      },
      { title: 'VALUE', align: 'right', cell: ({ value }) => numberText(value) },
      { title: 'BOUND', align: 'right', cell: ({ bound }) => boundText(bound) },
      { title: 'INVARIANT', cell: ({ name }) => name },
    ],
    columns,
  );
}

function upstreamText({ upstream, governor, jobs }: SimReport): string {
  const used =
    upstream.utilisation === null ? '' : `, ${(upstream.utilisation * 100).toFixed(2)} % used`;
  return [
    `upstream: ${upstream.served} served, ${upstream.refused} refused, ${upstream.failed} failed${used}`,
    `governor: ${governor.passed} passed, ${governor.delayed} delayed, ${governor.refused} refused, ${governor.retried} retried`,
    `jobs: ${jobs.served} served, ${jobs.lost} lost, ${jobs.open} open at the end`,
  ].join('\n');
}

function agentsText(agents: readonly AgentReport[], columns: number): string {
  const worst = [...agents].sort(
    (a, b) => b.lost - a.lost || (b.wait_p99_ms ?? 0) - (a.wait_p99_ms ?? 0),
  );
  const shown = worst.slice(0, MOST_AGENTS);
  const table = tableText(
    shown,
    [
      { title: 'AGENT', cell: ({ id }) => id },
      { title: 'SERVED', align: 'right', cell: ({ served }) => String(served) },
      { title: 'LOST', align: 'right', cell: ({ lost }) => String(lost) },
      { title: 'REFUSALS', align: 'right', cell: ({ refused }) => String(refused) },
      { title: 'WAIT P50', align: 'right', cell: ({ wait_p50_ms }) => waitText(wait_p50_ms) },
      { title: 'WAIT P99', align: 'right', cell: ({ wait_p99_ms }) => waitText(wait_p99_ms) },
    ],
    columns,
  );
  const rest = agents.length - shown.length;
  return rest === 0 ? table : `${table}and ${rest} more\n`;
}

function numberText(value: number | null): string {
  if (value === null) return 'nothing';
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)));
}

function boundText({ min, max }: JudgedInvariant['bound']): string {
  if (min !== undefined && max !== undefined) return `${min} … ${max}`;
  return min === undefined ? `≤ ${String(max)}` : `≥ ${min}`;
}

function waitText(ms: number | null): string {
  if (ms === null) return '-';
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function spanText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
