import type { DaemonFacts, EngineView, LedgerReader, PolicyView, ProviderView } from './ports.ts';
import { timestamp } from './wording.ts';

export interface LedgerHealth {
  readonly state: 'ok' | 'degraded';
  /** Age of the oldest entry that is not committed. */
  readonly lag_ms: number;
  readonly queued: number;
  /** Entries dropped because they could not be written for too long. */
  readonly lost: number;
  readonly last_seq: number;
  /** Only while degraded. */
  readonly reason?: string;
  readonly since?: string;
}

export interface Health {
  readonly status: 'ok' | 'degraded' | 'initializing';
  readonly version: string;
  readonly uptime_s: number;
  readonly pid: number;
  readonly node: string;
  readonly mode: 'enforce' | 'observe';
  readonly proxy: string;
  readonly api: string;
  readonly ca: string | null;
  readonly data: string;
  readonly now: string;
  readonly ledger: LedgerHealth;
  readonly policy: Pick<PolicyView, 'hash' | 'source' | 'loaded_at'>;
  readonly providers: readonly ProviderView[];
  readonly queue_depth: number;
  readonly in_flight: number;
  /** What is wrong with the daemon itself, in words; empty when `ok`. */
  readonly problems: readonly string[];
  readonly notices: readonly string[];
}

/** What anybody may know, also without the token. */
export function briefHealth(health: Health): Pick<Health, 'status' | 'version' | 'uptime_s'> {
  return { status: health.status, version: health.version, uptime_s: health.uptime_s };
}

/** `degraded` is about the daemon; a provider in trouble is listed, and is no fault of ours. */
export function readHealth(facts: DaemonFacts, view: EngineView, reader: LedgerReader): Health {
  const policy = view.policy();
  const { ledger, problem } = ledgerHealth(reader);
  const problems = [
    ...(problem === null ? [] : [problem]),
    ...policy.refused.map((why) => `the policy file was refused, the old one rules: ${why}`),
  ];
  const now = facts.now();
  return {
    status: !facts.ready() ? 'initializing' : problems.length > 0 ? 'degraded' : 'ok',
    version: facts.version,
    uptime_s: Math.max(0, Math.floor((now - facts.startedAt) / 1000)),
    pid: facts.pid,
    node: facts.node,
    mode: policy.mode,
    proxy: facts.proxy,
    api: facts.api,
    ca: facts.ca,
    data: facts.data,
    now: timestamp(now),
    ledger,
    policy: { hash: policy.hash, source: policy.source, loaded_at: policy.loaded_at },
    providers: view.providers(),
    queue_depth: view.queueDepth().reduce((sum, queue) => sum + queue.depth, 0),
    in_flight: view.inFlight(),
    problems,
    notices: [...facts.notices(), ...policy.notices],
  };
}

function ledgerHealth(reader: LedgerReader): {
  ledger: LedgerHealth;
  problem: string | null;
} {
  const state = reader.store.state();
  const stats = reader.store.stats();
  const common = {
    state: state.state,
    lag_ms: stats.lagMs,
    queued: stats.queued,
    lost: stats.lost,
    last_seq: stats.lastSeq,
  };
  if (state.state === 'ok') return { ledger: common, problem: null };
  return {
    ledger: { ...common, reason: state.reason, since: timestamp(state.since) },
    problem: `the ledger is not being written (${state.reason}); governing goes on from memory`,
  };
}
