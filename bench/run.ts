/**
 * What the README's numbers come from: ratelord and its peers, side by side, in interleaved rounds.
 * Prints a table, or with `--json` one object; progress goes to stderr. A full run takes about ten
 * minutes and writes `bench/results/`; `--quick` takes less than one, and its numbers are rough.
 *
 *     npm run bench -- [--quick] [--json]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bulk } from './cases/bulk.ts';
import { decision } from './cases/decision.ts';
import { packaged } from './cases/package.ts';
import { plain } from './cases/plain.ts';
import { streams } from './cases/streams.ts';
import { tls } from './cases/tls.ts';
import { complete } from './expected.ts';
import { describeMachine } from './machine.ts';
import { stopAll } from './processes.ts';
import { markdown, type Report } from './report.ts';
import type { Findings, Plan } from './results.ts';
import { openStage, type Stage } from './stage.ts';

const KNOWN = new Set(['--quick', '--json']);
const flags = process.argv.slice(2);
const unknown = flags.filter((flag) => !KNOWN.has(flag));
if (unknown.length > 0) {
  process.stderr.write(`unknown: ${unknown.join(' ')} (known: ${[...KNOWN].join(' ')})\n`);
  process.exit(2);
}
const quick = flags.includes('--quick');
const begun = performance.now();
const plan: Plan = {
  quick,
  rounds: quick ? 1 : 5,
  seconds: quick ? 1 : 3,
  progress(text) {
    const s = Math.round((performance.now() - begun) / 1000);
    process.stderr.write(`[${String(s).padStart(3)} s] ${text}\n`);
  },
};

async function measure(stage: Stage): Promise<Findings> {
  const cases: readonly (readonly [string, () => Promise<Findings>])[] = [
    ['plain', () => plain(stage, plan)],
    ['intercepted', () => tls(stage, plan)],
    ['event streams', () => streams(stage, plan)],
    ['decision', () => decision(plan)],
    ['package', () => packaged(stage, plan)],
    ['large contents', () => bulk(stage, plan)],
  ];
  const all: Findings[] = [];
  for (const [name, run] of cases) {
    try {
      all.push(await run());
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'failed';
      all.push({ rows: [], targets: [], skipped: [`${name}: ${reason}`] });
    }
  }
  return {
    rows: all.flatMap(({ rows }) => rows),
    targets: complete(all.flatMap(({ targets }) => targets)),
    skipped: all.flatMap(({ skipped }) => skipped),
  };
}

function keep(report: Report): void {
  const folder = fileURLToPath(new URL('results/', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const cpu = report.machine.cpu.replace(/[^A-Za-z0-9]+/g, '-').toLowerCase();
  const name = `${folder}${report.date}-${cpu}-${String(report.machine.cores)}-cores`;
  writeFileSync(`${name}.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${name}.md`, markdown(report));
  plan.progress(`written to ${name}.md`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stopAll();
    process.exit(1);
  });
}
const machine = describeMachine();
const stage = await openStage();
try {
  const found = await measure(stage);
  for (const text of found.skipped) plan.progress(`left out: ${text}`);
  const date = new Date().toISOString().slice(0, 10);
  const report: Report = { date, quick, machine, node: process.version, ...found };
  process.stdout.write(flags.includes('--json') ? `${JSON.stringify(report)}\n` : markdown(report));
  if (!quick) keep(report);
} finally {
  stage.close();
}
