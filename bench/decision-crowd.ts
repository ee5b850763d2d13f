/**
 * Decisions while many wait: 10,000 requests of 200 agents and three classes in line, each drawing on
 * 8 pools. Arrivals join or are refused, endings let the next ones go.
 */
import type { Claim } from '../src/core/claim.ts';
import type { Effect } from '../src/core/engine.ts';
import { Governor } from '../src/core/governor/engine.ts';
import type { CompiledPolicy } from '../src/core/policy/types.ts';
import type { Provider } from '../src/core/provider.ts';
import type { Instant, Priority } from '../src/core/units.ts';

const WAITERS = 10_000;
const AGENTS = 200;
const SPECS = Array.from({ length: 8 }, (_, i) => ({
  provider: 'crowd',
  name: `pool-${String(i)}`,
  partition: '',
  unit: 'requests' as const,
  kind: (['bucket', 'rolling', 'fixed', 'concurrent'] as const)[i % 4] ?? 'bucket',
  limit: i % 4 === 3 ? 100 : 1000 + 100 * i,
  windowMs: 60_000,
  source: 'policy' as const,
}));
const PRIORITIES: readonly Priority[] = ['high', 'normal', 'normal', 'background'];

const provider: Provider = {
  id: 'crowd',
  hosts: [],
  origin: 'https://crowd.test',
  bodyNeeds: () => 'none',
  credential: () => null,
  classify: (head): Claim => ({
    provider: 'crowd',
    endpoint: 'rest',
    scope: 'sentinel:unknown',
    draws: SPECS.map((spec, i) => ({
      spec,
      units: spec.kind === 'concurrent' ? 1 : 1 + (((head.contentLength ?? 0) * (i + 3)) % 5),
      sure: true,
    })),
    stream: false,
    inputBytes: 0,
  }),
  observe: () => [],
  responseTap: () => null,
  problem: () => ({ status: 429, fields: [], body: '' }),
};

const policy: CompiledPolicy = {
  hash: 'crowd',
  source: 'bench',
  defaults: { maxWaitMs: 36_000_000, priority: 'normal' },
  limits: [],
  reserves: [],
  agents: [],
  rules: [],
  onFault: 'skip',
};

export interface Crowded {
  readonly waiting: number;
  readonly pools: number;
  /** Microseconds from an arrival to its decision, and of an ending per request that it lets go. */
  readonly arrive_p50: number;
  readonly arrive_p99: number;
  readonly release_p50: number;
  readonly release_p99: number;
  /** Of the core, for each who waits. */
  readonly bytes_per_waiter: number;
}

/** Between two endings: about one waiter's worth of room comes back. */
const STEP_MS = 200;
/** The same inputs give the same steps: what each costs is its least time of so many runs. */
const RUNS = 3;

interface Run {
  readonly arrivals: number[];
  readonly steps: number[];
  /** Requests let go, by step. */
  readonly went: readonly number[];
  readonly waiting: number;
  readonly bytes: number;
}

export function crowd(decisions: number): Crowded {
  const first = run(decisions);
  const { arrivals, steps, went, waiting, bytes } = first;
  for (let n = 1; n < RUNS; n++) {
    const again = run(decisions);
    keepLeast(arrivals, again.arrivals);
    keepLeast(steps, again.steps);
  }
  const releases = steps.flatMap((spent, i) => {
    const count = went[i] ?? 0;
    return count > 0 ? [spent / count] : [];
  });
  return {
    waiting,
    pools: SPECS.length,
    arrive_p50: quantile(arrivals, 0.5),
    arrive_p99: quantile(arrivals, 0.99),
    release_p50: quantile(releases, 0.5),
    release_p99: quantile(releases, 0.99),
    bytes_per_waiter: Math.round(bytes),
  };
}

function run(decisions: number): Run {
  const engine = new Governor({
    provider: () => provider,
    policy,
    mode: () => 'enforce',
    identify: () => ({ id: 'id', kind: 'seen' }),
  });
  let key = 0;
  let ms = 0;
  const under: number[] = [];
  const now = (): Instant => ({ wall: 1_795_000_000_000 + ms, mono: ms });
  const took = (effects: readonly Effect[]): number => {
    let gone = 0;
    for (const effect of effects) {
      if (effect.type !== 'forward') continue;
      under.push(effect.key);
      gone += 1;
    }
    return gone;
  };
  const arrive = (): number => {
    key += 1;
    const input = arrival(key, now());
    const from = process.hrtime.bigint();
    const effects = engine.step(input);
    const spent = Number(process.hrtime.bigint() - from) / 1000;
    took(effects);
    return spent;
  };
  const before = heapUsed();
  while (waitersOf(engine) < WAITERS) arrive();
  const bytes = (heapUsed() - before) / WAITERS;
  const arrivals: number[] = [];
  const steps: number[] = [];
  const went: number[] = [];
  for (let i = 0; i < decisions; i++) {
    ms += STEP_MS;
    const from = process.hrtime.bigint();
    let gone = took(engine.step({ type: 'woke', at: now() }));
    const ended = under.shift();
    if (ended !== undefined) {
      const input = { type: 'ended', at: now(), key: ended, ending: 'complete' } as const;
      gone += took(engine.step({ ...input, bytesUp: 0, bytesDown: 0 }));
    }
    steps.push(Number(process.hrtime.bigint() - from) / 1000);
    went.push(gone);
    do arrivals.push(arrive());
    while (waitersOf(engine) < WAITERS);
  }
  return { arrivals, steps, went, waiting: waitersOf(engine), bytes };
}

function keepLeast(best: number[], again: readonly number[]): void {
  for (const [i, spent] of again.entries()) best[i] = Math.min(best[i] ?? Infinity, spent);
}

function arrival(key: number, at: Instant) {
  return {
    type: 'arrived',
    at,
    key,
    head: {
      method: 'GET',
      scheme: 'https',
      host: 'crowd.test',
      port: 443,
      path: '/',
      fields: [],
      contentLength: key % 7,
      way: 'gateway',
      upgrade: false,
    },
    provider: 'crowd',
    body: undefined,
    credential: 'c',
    // One of them floods.
    agent: `agent-${String(key % 2 === 0 ? 0 : key % AGENTS)}`,
    workload: 'sentinel:unknown',
    asked: {
      priority: PRIORITIES[key % PRIORITIES.length] ?? null,
      maxWaitMs: null,
      scope: null,
      estimate: null,
    },
  } as const;
}

function waitersOf(engine: Governor): number {
  return engine.room.depth.get('crowd') ?? 0;
}

function heapUsed(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.floor((sorted.length - 1) * share)] ?? NaN;
}
