/**
 * The headline table: ratelord, its peers and nobody at all govern the same demand against the same
 * upstream models in virtual time, and each is held against the best that hindsight could have done.
 * Progress goes to stderr. A full run takes about a quarter of an hour and writes `bench/results/`;
 * `--quick` takes about a minute, and its numbers are rough; of the scenarios it plays the cheap ones
 * (S-01, S-06, S-08). `--only NAME` plays the workloads whose names begin so, and no scenarios.
 *
 *     npm run bench:governance -- [--quick] [--live] [--json] [--seed N] [--only NAME] [--trace FILE]…
 *
 * `--live` plays two workloads with SDKs through the daemon instead, beside the same in virtual time:
 * about three minutes. `--trace` plays a recorded trace (Azure's or Mooncake's CSV) instead of a made one.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Random } from '../../src/sim/random.ts';
import { readTrace } from '../../src/sim/traces.ts';
import { tellLive } from './live/tell.ts';
import { lostForGood, NOT_PLAYED } from './lost.ts';
import { markdown, type GovernanceReport } from './report.ts';
import { CONTENDERS, playAll } from './table.ts';
import { targetsOf } from './targets.ts';
import { fullRun, quickRun, type Trace } from './workloads/index.ts';

const begun = performance.now();
const secondsSince = (): number => (performance.now() - begun) / 1000;

function readArguments() {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        live: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        trace: { type: 'string', multiple: true, default: [] },
        only: { type: 'string' },
      },
    }).values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : 'wrong usage'}\n`);
    process.exit(2);
  }
}

function progress(text: string): void {
  const line = `[${String(Math.round(secondsSince())).padStart(4)} s] ${text}`;
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`);
}

function traceOf(path: string): Trace {
  const arrivals = readTrace(readFileSync(path, 'utf8'), new Random(path));
  return { name: basename(path).replace(/\.csv$/, ''), arrivals };
}

function keep(report: GovernanceReport): void {
  const folder = fileURLToPath(new URL('../results/', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const name = `${folder}governance-${report.date}`;
  writeFileSync(`${name}.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${name}.md`, markdown(report));
  progress(`written to ${name}.md\n`);
}

const flags = readArguments();
if (flags.live) {
  await tellLive({ ...flags, progress });
  process.exit();
}
const traces = flags.trace.map(traceOf);
const { only } = flags;
const entries = (flags.quick ? quickRun(traces) : fullRun(traces)).filter(
  ({ workload }) => only === undefined || workload.name.startsWith(only),
);
const rows = await playAll(entries, { seed: flags.seed, progress });
const lost = only === undefined ? lostForGood(flags.quick, progress) : NOT_PLAYED;
if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
const workloads = entries.map(({ workload }) => workload);
const windows = rows.reduce((sum, row) => sum + row.windows, 0);
const report: GovernanceReport = {
  date: new Date().toISOString().slice(0, 10),
  quick: flags.quick,
  node: process.version,
  seconds: secondsSince(),
  workloads: workloads.map(({ name, about }) => ({ name, about })),
  governors: CONTENDERS.map(({ name, about }) => ({ name, about })),
  rows,
  lost_for_good: lost.byScenario,
  targets: targetsOf(workloads, rows, flags.quick ? null : windows, lost),
};
process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : markdown(report));
if (!flags.quick && only === undefined) keep(report);
