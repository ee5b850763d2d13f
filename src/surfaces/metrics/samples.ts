import type { DaemonFacts, EngineView, LedgerReader, PoolView } from '../../query/ports.ts';
import type { RequestMeter } from './meter.ts';
import { OTHER, type Buckets } from './tally.ts';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricSpec {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly type: 'counter' | 'gauge';
  read(sources: MetricSources): Iterable<Sample>;
}

export interface HistogramSpec {
  readonly name: string;
  readonly help: string;
  read(sources: MetricSources): Buckets;
}

export interface MetricSources {
  readonly meter: RequestMeter;
  readonly view: EngineView;
  readonly store: Pick<LedgerReader['store'], 'stats' | 'state'>;
  readonly facts: Pick<DaemonFacts, 'version' | 'node' | 'startedAt' | 'now'>;
}

/** More pools than this are not shown one by one: a scrape has to stay a scrape. */
export const MAX_POOLS = 2000;

const one = (value: number): Sample[] => [{ labels: {}, value }];
const POOL = ['provider', 'pool', 'identity', 'model'] as const;
const SHARED = 'Of pools that differ in nothing but an agent or scope, the tightest is shown';

export const HISTOGRAMS: readonly HistogramSpec[] = [
  {
    name: 'ratelord_wait_seconds',
    help: 'How long requests waited because policy or a quota made them; 0 when they did not',
    read: ({ meter }) => meter.wait,
  },
  {
    name: 'ratelord_overhead_seconds',
    help: 'Time spent in ratelord itself, policy waits excluded',
    read: ({ meter }) => meter.overheads,
  },
];

export const METRICS: readonly MetricSpec[] = [
  {
    name: 'ratelord_requests_total',
    help: 'Governed requests by what was decided',
    labels: ['provider', 'decision'],
    type: 'counter',
    *read({ meter }) {
      for (const [provider, counts] of meter.decisions.entries()) {
        for (const [decision, value] of Object.entries<number>({ ...counts })) {
          yield { labels: { provider, decision }, value };
        }
      }
    },
  },
  {
    name: 'ratelord_upstream_responses_total',
    help: 'Answers of origin servers by status',
    labels: ['provider', 'status'],
    type: 'counter',
    *read({ meter }) {
      for (const [provider, counts] of meter.statuses.entries()) {
        for (const [at, value] of counts.entries()) {
          if (value > 0) yield { labels: { provider, status: String(at + 100) }, value };
        }
      }
    },
  },
  {
    name: 'ratelord_upstream_throttled_total',
    help: 'Refusals by providers, by kind of limit',
    labels: ['provider', 'kind'],
    type: 'counter',
    read: ({ view }) =>
      view.totals().throttled.map(({ provider, kind, count }) => ({
        labels: { provider, kind },
        value: count,
      })),
  },
  poolMetric('ratelord_pool_limit', 'What a quota allows in its window', (pool) => pool.limit),
  poolMetric('ratelord_pool_remaining', 'What is left of a quota', (pool) => pool.remaining),
  poolMetric('ratelord_pool_reset_seconds', 'Seconds until a quota resets', resetSeconds),
  {
    name: 'ratelord_forecast_exhaustion_seconds',
    help: `Seconds until a quota is predicted to run out. ${SHARED}`,
    labels: [...POOL, 'quantile'],
    type: 'gauge',
    *read({ view }) {
      for (const { labels, pool } of shownPools(view)) {
        for (const [quantile, seconds] of forecastOf(pool)) {
          if (seconds !== null) yield { labels: { ...labels, quantile }, value: seconds };
        }
      }
    },
  },
  {
    name: 'ratelord_queue_depth',
    help: 'Requests waiting now',
    labels: ['provider'],
    type: 'gauge',
    read: ({ view }) =>
      view.queueDepth().map(({ provider, depth }) => ({ labels: { provider }, value: depth })),
  },
  {
    name: 'ratelord_in_flight_requests',
    help: 'Requests forwarded and not ended',
    labels: [],
    type: 'gauge',
    read: ({ view }) => one(view.inFlight()),
  },
  {
    name: 'ratelord_ledger_events_total',
    help: 'Events recorded since the start',
    labels: ['type'],
    type: 'counter',
    read: ({ view }) =>
      view.totals().events.map(({ type, count }) => ({ labels: { type }, value: count })),
  },
  {
    name: 'ratelord_ledger_lag_seconds',
    help: 'Age of the oldest entry that is not committed',
    labels: [],
    type: 'gauge',
    read: ({ store }) => one(store.stats().lagMs / 1000),
  },
  {
    name: 'ratelord_ledger_lost_total',
    help: 'Entries dropped because the ledger could not be written for too long',
    labels: [],
    type: 'counter',
    read: ({ store }) => one(store.stats().lost),
  },
  {
    name: 'ratelord_ledger_writable',
    help: '1 while the ledger is being written, else 0',
    labels: [],
    type: 'gauge',
    read: ({ store }) => one(store.state().state === 'ok' ? 1 : 0),
  },
  {
    name: 'ratelord_cost_usd_total',
    help: 'Money spent since the start, where the price is known',
    labels: ['provider', 'model'],
    type: 'counter',
    read: ({ view }) =>
      view.totals().cost.map(({ provider, model, micro_usd }) => ({
        labels: { provider, model },
        value: micro_usd / 1_000_000,
      })),
  },
  {
    name: 'ratelord_malformed_fields_total',
    help: 'Rate-limit fields of providers that could not be read and were ignored',
    labels: ['provider', 'field'],
    type: 'counter',
    *read({ meter, view }) {
      for (const { provider, field, count } of view.totals().malformed ?? []) {
        yield { labels: { provider, field }, value: count };
      }
      // What the proxy itself could not read, such as a WebSocket stream.
      for (const [provider, fields] of meter.malformedFields.entries()) {
        for (const [field, { count }] of fields.entries()) {
          yield { labels: { provider, field }, value: count };
        }
      }
    },
  },
  {
    name: 'ratelord_rules_skipped_total',
    help: 'Times a policy rule could not be judged because a value was not known or it failed',
    labels: ['rule'],
    type: 'counter',
    read: ({ view }) =>
      (view.totals().rules_skipped ?? []).map(({ rule, count }) => ({
        labels: { rule },
        value: count,
      })),
  },
  {
    name: 'ratelord_tunnels_total',
    help: 'Tunnels to hosts that are not governed',
    labels: ['event'],
    type: 'counter',
    read: ({ meter }) =>
      Object.entries(meter.tunnels).map(([event, value]: [string, number]) => ({
        labels: { event },
        value,
      })),
  },
  {
    name: 'ratelord_build_info',
    help: 'Always 1; the labels tell what is running',
    labels: ['version', 'node'],
    type: 'gauge',
    read: ({ facts }) => [{ labels: { version: facts.version, node: facts.node }, value: 1 }],
  },
  {
    name: 'process_start_time_seconds',
    help: 'Start time of the process since the Unix epoch in seconds',
    labels: [],
    type: 'gauge',
    read: ({ facts }) => one(facts.startedAt / 1000),
  },
  {
    name: 'process_resident_memory_bytes',
    help: 'Resident memory in bytes',
    labels: [],
    type: 'gauge',
    read: () => one(process.memoryUsage.rss()),
  },
  {
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time spent in seconds',
    labels: [],
    type: 'counter',
    read: () => {
      const { user, system } = process.cpuUsage();
      return one((user + system) / 1_000_000);
    },
  },
];

function poolMetric(
  name: string,
  help: string,
  valueOf: (pool: PoolView, now: number) => number | null,
): MetricSpec {
  return {
    name,
    help: `${help}. ${SHARED}`,
    labels: POOL,
    type: 'gauge',
    *read({ view, facts }) {
      const now = facts.now();
      for (const { labels, pool } of shownPools(view)) {
        const value = valueOf(pool, now);
        if (value !== null) yield { labels, value };
      }
    },
  };
}

function resetSeconds(pool: PoolView, now: number): number | null {
  if (pool.reset_at === null) return null;
  return Math.max(0, (Date.parse(pool.reset_at) - now) / 1000);
}

function forecastOf({ forecast }: PoolView): [string, number | null][] {
  if (forecast === undefined) return [];
  return [
    ['0.5', forecast.p50_s],
    ['0.9', forecast.p90_s],
    ['0.99', forecast.p99_s],
  ];
}

interface ShownPool {
  readonly labels: Readonly<Record<string, string>>;
  readonly pool: PoolView;
}

/**
 * One pool per label set. Agents are no labels, so the partitions of a limit that is counted per
 * agent fall together: the tightest of them stands for all.
 */
function shownPools(view: EngineView): Iterable<ShownPool> {
  const shown = new Map<string, ShownPool>();
  for (const pool of view.pools()) {
    const { provider, identity, model } = pool;
    const key = [provider, pool.pool, identity, model ?? ''].join('\0');
    const known = shown.get(key);
    if (known === undefined && shown.size >= MAX_POOLS) continue;
    if (known !== undefined && ratioLeft(known.pool) <= ratioLeft(pool)) continue;
    const labels = { provider, pool: pool.pool, identity: identity === '' ? OTHER : identity };
    shown.set(key, { labels: model === undefined ? labels : { ...labels, model }, pool });
  }
  return shown.values();
}

function ratioLeft({ remaining, limit }: PoolView): number {
  if (remaining === null) return Infinity;
  return limit === null || limit === 0 ? remaining : remaining / limit;
}
