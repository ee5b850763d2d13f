import type { DaemonFacts, EngineView, LedgerReader } from '../../query/ports.ts';
import type { RequestMeter } from './meter.ts';
import { POOL_METRICS } from './pool-samples.ts';
import type { Buckets } from './tally.ts';

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

const one = (value: number): Sample[] => [{ labels: {}, value }];

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
  {
    name: 'ratelord_retries_total',
    help: 'Refusals by providers after which the request was sent once more from here',
    labels: ['provider'],
    type: 'counter',
    read: ({ view }) =>
      (view.totals().retries ?? []).map(({ provider, count }) => ({
        labels: { provider },
        value: count,
      })),
  },
  ...POOL_METRICS,
  {
    name: 'ratelord_queue_depth',
    help: 'Requests waiting now',
    labels: ['provider'],
    type: 'gauge',
    read: ({ view }) =>
      view.queueDepth().map(({ provider, depth }) => ({ labels: { provider }, value: depth })),
  },
  {
    name: 'ratelord_turns_total',
    help: 'Requests that went while others waited, by what made them go',
    labels: ['turn'],
    type: 'counter',
    read: ({ view }) =>
      (view.totals().turns ?? []).map(({ turn, count }) => ({ labels: { turn }, value: count })),
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
    name: 'ratelord_unpriced_requests_total',
    help: 'Requests to models whose price is not known: no money was counted for them',
    labels: ['provider', 'model'],
    type: 'counter',
    read: ({ view }) =>
      (view.totals().unpriced ?? []).map(({ provider, model, count }) => ({
        labels: { provider, model },
        value: count,
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
