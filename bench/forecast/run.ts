/**
 * Whether forecasts come true: walks traces forward and scores what ratelord and three baselines say.
 * docs/forecast.md defines every figure. Progress goes to stderr. A full run of a day-long trace takes
 * about half a minute and writes `bench/results/`; `--quick` ends within a minute.
 *
 *     npm run bench:forecast -- [TRACE…] [--quick] [--json] [--seed TEXT]
 *
 * Without a TRACE, small made ones are scored, whose answers are known.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from '../machine.ts';
import { measureCost } from './cost.ts';
import { madeSeries } from './made.ts';
import { markdown, type ForecastReport } from './report.ts';
import { scoreSeries } from './score-series.ts';
import type { Row } from './scores.ts';
import { readSeries, type Extent, type Series } from './series.ts';
import { targetsOf } from './targets.ts';
import { isDayLong } from './walk.ts';

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
        seed: { type: 'string', default: '1' },
      },
    });
  } catch (error) {
    return fail(2, why(error));
  }
}

function read(path: string, extent: Extent): readonly Series[] {
  try {
    return readSeries(
      basename(path).replace(/\.(csv|txt)$/, ''),
      readFileSync(path, 'utf8'),
      extent,
    );
  } catch (error) {
    return fail(1, `\`${path}\` cannot be scored: ${why(error)}`);
  }
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
// All are read before any is scored: a wrong path should not cost minutes.
const all =
  positionals.length === 0
    ? madeSeries(values.seed, extent)
    : positionals.flatMap((path) => read(path, extent));
progress('measuring what an update and a forecast cost');
const cost = measureCost();
const rows: Row[] = [];
for (const series of all) {
  progress(`${series.trace}, ${series.unit}: ${String(series.seconds)} s`);
  rows.push(...scoreSeries(series, extent.origins));
}
const dayLong = new Set(all.filter(isDayLong).map(({ trace }) => trace));
const report: ForecastReport = {
  date: new Date().toISOString().slice(0, 10),
  quick: values.quick,
  machine: describeMachine(),
  node: process.version,
  rows,
  targets: targetsOf(rows, dayLong, cost),
};
process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : markdown(report));
if (!values.quick) keep(report);
