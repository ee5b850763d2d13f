/**
 * What recording costs: entries at a given rate for some seconds, three a request of about 300
 * bytes together, as the proxy would append them. Prints; asserts nothing.
 *
 *     node bench/store.ts [requests-per-second] [seconds] [directory]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry, Who } from '../src/core/ledger/entry.ts';
import type { Clock } from '../src/core/ports.ts';
import { openSqliteStore, type SqliteStore } from '../src/store/sqlite/store.ts';

const perSecond = Number(process.argv[2] ?? 10_000);
const seconds = Number(process.argv[3] ?? 10);
const directory = mkdtempSync(join(process.argv[4] ?? tmpdir(), 'ratelord-bench-'));

const clock: Clock = { now: () => ({ wall: Date.now(), mono: performance.now() }) };
const people: Who[] = Array.from({ length: 64 }, (_, n) => ({
  agent: `agent-${String(n)}`,
  identity: `identity-${String(n % 8)}`,
  workload: 'sentinel:unknown',
  scope: `repo:acme/project-${String(n)}`,
  provider: 'github',
}));
const POOLS = Array.from({ length: 8 }, (_, n) => [
  `github/core/identity-${String(n)}`,
  `github/secondary-points/identity-${String(n)}`,
]);

/** The three entries of one request, in the order in which requests that overlap append them. */
function entry(n: number, stage: 0 | 1 | 2, seq: number, request: number): Entry {
  const who = people[n % 64] as Who;
  const pools = POOLS[n % 8] as string[];
  const at = Date.now();
  const reset = 1_795_000_000_000 + (n % 3600);
  if (stage === 0) {
    const data = [`GET`, `/repos/acme/project/issues/${String(n)}`, 'rest', 'pass', 'p-3f9a1c', 0];
    const readings = [0, 5000, 4321 - (n % 4000), reset, 12, 1, 900, 899, at, 0];
    return { seq, count: 2, at, kind: 'decided', request, who, pools, data: [...data, readings] };
  }
  if (stage === 1) {
    const data = [200, 0, 5000, 4320 - (n % 4000), reset, 3600, 'core', 'header'];
    return { seq, count: 1, at, kind: 'observed', request, who, pools: pools.slice(0, 1), data };
  }
  const data = ['complete', 'settled', 1, 0, 1843, 41.5];
  return { seq, count: 2, at, kind: 'ended', request, who, pools, data };
}

interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

function spread(samples: number[]): Spread {
  samples.sort((a, b) => a - b);
  const at = (share: number): number => samples[Math.floor((samples.length - 1) * share)] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

const show = (name: string, { p50, p99, max }: Spread, unit: string): void =>
  console.log(
    `${name.padEnd(34)} p50 ${p50.toFixed(2)}  p99 ${p99.toFixed(2)}  max ${max.toFixed(2)} ${unit}`,
  );

function open(name: string): SqliteStore {
  const opened = openSqliteStore({
    path: join(directory, name),
    clock,
    onNotice: ({ message }) => console.error(message),
  });
  if (!opened.ok) throw new Error(opened.message);
  return opened.store;
}

/** As fast as it goes: what a request costs when nothing else runs. */
function flatOut(requests: number): void {
  const store = open('flat.db');
  const flushes: number[] = [];
  let seq = 1;
  const cpu = process.cpuUsage();
  const begun = performance.now();
  for (let n = 0; n < requests; n += 64) {
    const firsts: number[] = [];
    for (const stage of [0, 1, 2] as const) {
      for (let k = 0; k < 64; k += 1) {
        if (stage === 0) firsts.push(seq);
        const next = entry(n + k, stage, seq, firsts[k] ?? 0);
        store.append(next);
        seq += next.count;
      }
    }
    const before = performance.now();
    store.flush();
    flushes.push((performance.now() - before) * 1000);
  }
  const wall = performance.now() - begun;
  const used = process.cpuUsage(cpu);
  console.log(
    `flat out: ${String(requests)} requests, ${((requests / wall) * 1000).toFixed(0)}/s, ` +
      `${((used.user + used.system) / requests).toFixed(2)} µs CPU a request (making entries included)`,
  );
  show('  transaction of 64 requests', spread(flushes), 'µs');
  const mean = flushes.reduce((a, b) => a + b, 0) / requests;
  console.log(`  ${mean.toFixed(2)} µs a request on the committing thread`);
  store.close();
  const bytes = statSync(join(directory, 'flat.db')).size / requests;
  console.log(`  ${bytes.toFixed(0)} bytes a request on disk`);
  const reader = open('flat.db');
  const from = performance.now();
  let entries = 0;
  reader.replay(0, () => (entries += 1));
  const took = performance.now() - from;
  console.log(`  replay: ${((entries / took) * 1000).toFixed(0)} entries/s`);
  reader.close();
}

/** At a rate, as the daemon would: how far behind commits are and how long they hold the thread. */
async function paced(): Promise<void> {
  const store = open('paced.db');
  const born = new Map<number, number>();
  const behind: number[] = [];
  store.onCommit((entries) => {
    const now = performance.now();
    for (const { seq } of entries) {
      behind.push(now - (born.get(seq) ?? now));
      born.delete(seq);
    }
  });
  const late: number[] = [];
  let seq = 1;
  let made = 0;
  let sampled = 0;
  const idle = performance.eventLoopUtilization();
  const cpu = process.cpuUsage();
  const begun = performance.now();
  for (let now = begun; now < begun + seconds * 1000; now = performance.now()) {
    const due = Math.floor(((now - begun) / 1000) * perSecond);
    for (; made < due; made += 1) {
      const first = seq;
      for (const stage of [0, 1, 2] as const) {
        const next = entry(made, stage, seq, first);
        born.set(seq, performance.now());
        store.append(next);
        seq += next.count;
      }
    }
    sampled = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1));
    late.push(performance.now() - sampled - 1);
  }
  const used = process.cpuUsage(cpu);
  const load = performance.eventLoopUtilization(idle).utilization;
  const { queued, lagMs } = store.stats();
  console.log(`paced: ${String(perSecond)} requests/s for ${String(seconds)} s`);
  console.log(
    `  CPU ${(((used.user + used.system) / 1e4 / seconds) | 0).toString()} % of a core, worker and this load included; ` +
      `event loop busy ${(load * 100).toFixed(0)} %; at the end ${String(queued)} queued, ${lagMs.toFixed(1)} ms behind`,
  );
  show('  append to committed', spread(behind), 'ms');
  show('  event loop late by', spread(late), 'ms');
  console.log(
    `  log's peak ${(store.peakLogBytes / 1048576).toFixed(1)} MiB, lost ${String(store.stats().lost)}`,
  );
  store.close();
}

try {
  flatOut(128_000);
  await paced();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
