/** The built package: how soon it is ready, and what it takes while nobody asks anything. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { serveArguments } from '../contestants.ts';
import { start } from '../processes.ts';
import { median, target, type Findings, type Plan } from '../results.ts';
import type { Stage } from '../stage.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const STARTS = 5;

export async function packaged(stage: Stage, plan: Plan): Promise<Findings> {
  plan.progress('building the package');
  const folder = join(stage.folder, 'package');
  build(folder);
  const readyMs: number[] = [];
  const rssMb: number[] = [];
  const starts = plan.quick ? 1 : STARTS;
  // The first start makes the CA, which only happens once.
  for (let n = 0; n <= starts; n += 1) {
    plan.progress(`the package, start ${String(n)} of ${String(starts)}`);
    const serve = serveArguments(stage, 'packaged');
    const command = [process.execPath, join(folder, 'bin/ratelord.js'), ...serve];
    const from = performance.now();
    const daemon = await start({ name: 'package', core: 'test', command, ready: 'line' });
    if (n > 0) readyMs.push(performance.now() - from);
    await sleep(plan.quick ? 1000 : 3000);
    if (n > 0) rssMb.push(daemon.rssMb());
    await daemon.stop();
  }
  return {
    rows: [],
    targets: [
      target('package: ready after, ms', 'at most', 500, median(readyMs)),
      target('package: resident while idle, MB', 'at most', 110, median(rssMb)),
    ],
    skipped: [],
  };
}

/** As it is published, with the dependencies of this checkout. */
function build(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const project = join(ROOT, 'tsconfig.build.json');
  const command = [compiler, '-p', project, '--outDir', join(folder, 'dist')];
  const built = spawnSync(process.execPath, command, { cwd: ROOT, encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`it does not build: ${built.stdout.trim()}`);
  for (const part of ['bin', 'policies', 'package.json']) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}
