/** Load on a server, and what it cost the process under test. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { which } from '../machine.ts';
import type { Started } from '../processes.ts';
import { runJson } from '../run-json.ts';

/** What one run of the load saw. Times in microseconds. */
export interface Sample {
  readonly rps: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
  readonly requests: number;
  /** CPU of the process under test for each request. */
  readonly cpu: number;
  /** Share of its core that the process under test used: below 0.9 something else was the limit. */
  readonly busy: number;
}

export interface Load {
  /** Where to connect to, `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** The request target, in absolute-form too. */
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly body: string | null;
  readonly connections: number;
  readonly seconds: number;
  /** Through a CONNECT to this authority, and TLS inside it. */
  readonly through?: { readonly authority: string; readonly ca: string };
  /** Every request on a connection of its own. */
  readonly fresh?: boolean;
  /** Requests a second, sent on time whatever comes back; absent: as fast as it goes. */
  readonly rate?: number;
}

interface Counted {
  readonly requests: number;
  readonly duration_us: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  /** Where more was sent than measured: all of it. */
  readonly answered?: number;
  readonly elapsed_us?: number;
}

const WRK_SCRIPT = fileURLToPath(new URL('wrk.lua', import.meta.url));
const GENERATOR = fileURLToPath(new URL('generator.ts', import.meta.url));
let files = 0;

/** wrk where it can, else a generator on Node. */
export async function apply(load: Load, under: Started | null, folder: string): Promise<Sample> {
  const byWrk = load.through === undefined && load.rate === undefined && load.fresh !== true;
  const before = under?.cpuUs() ?? 0;
  const wrk = byWrk ? which('wrk') : null;
  const seen = wrk === null ? await generate(load) : await runWrk(wrk, load, folder);
  const cpu = (under?.cpuUs() ?? 0) - before;
  return {
    rps: (seen.requests / seen.duration_us) * 1e6,
    p50: seen.p50,
    p99: seen.p99,
    failed: seen.failed,
    requests: seen.requests,
    cpu: seen.requests === 0 ? 0 : cpu / (seen.answered ?? seen.requests),
    busy: cpu / (seen.elapsed_us ?? seen.duration_us),
  };
}

function runWrk(wrk: string, load: Load, folder: string): Promise<Counted> {
  const env: Record<string, string> = { BENCH_METHOD: load.method, BENCH_PATH: load.path };
  if (load.body !== null) {
    const file = join(folder, `body-${String(++files)}`);
    writeFileSync(file, load.body);
    env['BENCH_BODY_FILE'] = file;
  }
  const settings = ['-t', '1', '-c', String(load.connections), '-d', `${String(load.seconds)}s`];
  const command = [wrk, ...settings, '--timeout', '10s', '-s', WRK_SCRIPT, load.url];
  return runJson('rest', command, env, allowed(load));
}

function generate(load: Load): Promise<Counted> {
  const job = JSON.stringify(load);
  return runJson('rest', [process.execPath, GENERATOR], { BENCH_JOB: job }, allowed(load));
}

function allowed(load: Load): number {
  return (load.seconds + 20) * 1000;
}
