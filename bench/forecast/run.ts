/**
 * Whether forecasts come true: walks traces forward and scores what ratelord and three baselines say.
 * docs/forecast.md defines every figure. Progress goes to stderr. A full run takes a few seconds for
 * each day of a trace and writes `bench/results/` unless told not to; `--quick` ends within a minute.
 *
 *     npm run bench:forecast -- [TRACE…] [--seeds N] [--budget habit|lately]
 *                               [--quick] [--json] [--no-keep] [--seed TEXT]
 *
 * Without a TRACE, small made ones are scored, whose answers are known. `--seeds N` scores N single
 * days of each trace that has days (or N drawings of each made one), each from nothing, and pools them.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from '../machine.ts';
import { measureCost } from './cost.ts';
import { pooled } from './pool.ts';
import { markdown, type ForecastReport } from './report.ts';
import { BASELINE_NAMES, scoreSeries } from './score-series.ts';
import type { Row } from './scores.ts';
import type { Extent } from './series.ts';
import { dayLongOf, madeSubjects, recordedSubjects, type Subject } from './subjects.ts';
import { targetsOf } from './targets.ts';
import type { Budget } from './walk.ts';

const begun = performance.now();
const FULL = { days: 62, arrivals: 40_000_000, origins: 20_000 } as const;
const QUICK = { days: 7, arrivals: 2_000_000, origins: 2_000 } as const;
function progress(text: string): void {
  const s = Math.round((performance.now() - begun) / 1000);
  process.stderr.write(`[${String(s).padStart(3)} s] ${text}\n`);
}

function fail(code: 1 | 2, text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(code);
}

const why = (error: unknown): string => (error instanceof Error ? error.message : 'failed');

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        'no-keep': { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        seeds: { type: 'string', default: '0' },
        budget: { type: 'string', default: 'habit' },
      },
    });
  } catch (error) {
    return fail(2, why(error));
  }
}

function seedsOf(text: string): number {
  const seeds = Number(text);
  if (/^\d{1,3}$/.test(text) && seeds !== 1) return seeds;
  return fail(
    2,
    `\`--seeds ${text}\`: a number of days from 2 to 999, or 0 for the trace as it is`,
  );
}

function budgetOf(text: string): Budget {
  if (text === 'habit' || text === 'lately') return text;
  return fail(2, `\`--budget ${text}\`: either \`habit\` or \`lately\``);
}

function read(path: string, extent: Extent, seeds: number, seed: string): readonly Subject[] {
  const trace = basename(path).replace(/\.(csv|txt)$/, '');
  try {
    return recordedSubjects(trace, readFileSync(path, 'utf8'), extent, seeds, seed);
  } catch (error) {
    return fail(1, `\`${path}\` cannot be scored: ${why(error)}`);
  }
}

function scoreSubject(
  { trace, walks, isPooled }: Subject,
  most: number,
  budget: Budget,
): readonly Row[] {
  const walked = walks.map(({ day, series }) => {
    progress(`${series.trace}, ${series.unit}: ${String(series.seconds)} s`);
    return { day, rows: scoreSeries(series, most, budget) };
  });
  return isPooled ? pooled(trace, walked, BASELINE_NAMES) : walked.flatMap(({ rows }) => rows);
}

function keep(report: ForecastReport): void {
  const folder = fileURLToPath(new URL('../results/', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const cpu = report.machine.cpu.replace(/[^A-Za-z0-9]+/g, '-').toLowerCase();
  const name = `${folder}forecast-${report.date}-${cpu}-${String(report.machine.cores)}-cores`;
  writeFileSync(`${name}.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${name}.md`, markdown(report));
  progress(`written to ${name}.md`);
}

const { values, positionals } = readArguments();
const extent = values.quick ? QUICK : FULL;
const seeds = seedsOf(values.seeds);
const budget = budgetOf(values.budget);
// All are read before any is scored: a wrong path should not cost minutes.
const subjects =
  positionals.length === 0
    ? madeSubjects(extent, seeds, values.seed)
    : positionals.flatMap((path) => read(path, extent, seeds, values.seed));
progress('measuring what an update and a forecast cost');
const cost = measureCost();
const rows = subjects.flatMap((subject) => scoreSubject(subject, extent.origins, budget));
const report: ForecastReport = {
  date: new Date().toISOString().slice(0, 10),
  quick: values.quick,
  machine: describeMachine(),
  node: process.version,
  rows,
  targets: targetsOf(rows, dayLongOf(subjects), cost),
};
process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : markdown(report));
if (!values.quick && !values['no-keep']) keep(report);
