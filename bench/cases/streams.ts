/** Event streams: how much later each chunk arrives than without a proxy. */
import { fileURLToPath } from 'node:url';
import { startRatelord } from '../contestants.ts';
import { median, round, target, type Findings, type Plan, type Row } from '../results.ts';
import { runJson } from '../run-json.ts';
import type { Stage } from '../stage.ts';

export interface StreamsJob {
  readonly url: string;
  readonly path: string;
  readonly streams: number;
}

interface Delays {
  readonly chunks: number;
  readonly p50: number;
  readonly p99: number;
}

const STREAMS = 200;
const EVERY_MS = 20;
const CLIENT = fileURLToPath(new URL('../load/streams.ts', import.meta.url));

export async function streams(stage: Stage, plan: Plan): Promise<Findings> {
  const ours = await startRatelord(stage, { openai: stage.ports.node });
  const chunks = plan.quick ? 50 : 100;
  const query = `?chunks=${String(chunks)}&every=${String(EVERY_MS)}`;
  const ask = (url: string, mount: string, count: number): Promise<Delays> => {
    const job: StreamsJob = { url, path: `${mount}/v1/chat/completions${query}`, streams: count };
    const env = { BENCH_JOB: JSON.stringify(job) };
    return runJson('rest', [process.execPath, CLIENT], env, 60_000);
  };
  const direct: Delays[] = [];
  const through: Delays[] = [];
  const cpu: number[] = [];
  try {
    // One stream first: of a quota nobody knows yet, everybody else would wait for it.
    await ask(ours.url, ours.openai, 1);
    const rounds = plan.quick ? 1 : 3;
    for (let n = 0; n < rounds; n += 1) {
      plan.progress(`event streams: round ${String(n + 1)} of ${String(rounds)}`);
      direct.push(await ask(`http://127.0.0.1:${String(stage.ports.node)}`, '', STREAMS));
      const before = ours.process.cpuUs();
      const seen = await ask(ours.url, ours.openai, STREAMS);
      cpu.push((ours.process.cpuUs() - before) / seen.chunks);
      through.push(seen);
    }
  } finally {
    await ours.process.stop();
  }
  const middle = (of: 'p50' | 'p99', from: readonly Delays[]): number =>
    median(from.map((delays) => delays[of]));
  const added = (of: 'p50' | 'p99'): number => middle(of, through) - middle(of, direct);
  const row = (name: string, from: readonly Delays[], cpuUs: number | null): Row => ({
    case: 'event streams',
    load: `${String(STREAMS)} streams, a chunk each ${String(EVERY_MS)} ms`,
    name,
    rps: null,
    ratio_http_proxy_3: null,
    ratio_nginx: null,
    p50_us: Math.round(middle('p50', from)),
    p99_us: Math.round(middle('p99', from)),
    cpu_us: cpuUs,
    busy: null,
    note: 'delay and CPU of a chunk',
  });
  return {
    rows: [row('no proxy', direct, null), row('ratelord', through, round(median(cpu)))],
    targets: [
      target('event streams: p50 added, µs', 'at most', 120, added('p50')),
      target('event streams: p99 added, ms', 'at most', 2, added('p99') / 1000),
    ],
    skipped: [],
  };
}
