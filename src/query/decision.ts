import type { LedgerEvent } from '../core/ledger/event.ts';
import type { JsonObject, Seq } from '../core/units.ts';
import { flagOf, numberOf, objectOf, objectsOf, textOf } from './payload.ts';
import type { LedgerReader } from './ports.ts';

/** A pool as the decision saw it. Units in the pool's own; `null` = not known then. */
export interface PoolReading {
  readonly pool: string;
  readonly units: number | null;
  /** False when `units` was an estimate. */
  readonly sure: boolean;
  readonly limit: number | null;
  readonly remaining: number | null;
  readonly held: number | null;
  readonly reset_in_ms: number | null;
  readonly age_ms: number | null;
  readonly window_ms: number | null;
  /** `usd`: its figures are micro-USD; `null` = not said, which is any other unit. */
  readonly unit: string | null;
  /** What was estimated, where `units` is what providers' answers taught to set aside for it. */
  readonly estimated: number | null;
}

export interface RuleReading {
  readonly rule: string;
  readonly effect: string;
  readonly pool: string | null;
  readonly detail: string;
}

/** One time that the request was judged; a request that waited was judged more than once. */
export interface Verdict {
  readonly seq: Seq;
  readonly at: string;
  readonly decision: 'pass' | 'delay' | 'reject';
  readonly code: string | null;
  readonly reason: string | null;
  readonly rules: readonly RuleReading[];
  readonly pools: readonly PoolReading[];
  readonly blocking_pool: string | null;
  /** How long it was expected to wait. */
  readonly wait_ms: number | null;
  /** After what time the caller may come back; `null` = not said, or never. */
  readonly retry_in_ms: number | null;
  readonly max_wait_ms: number | null;
  readonly policy_hash: string | null;
  readonly estimate: JsonObject | null;
  /** False when it was only recorded and not carried out (`mode: observe`). */
  readonly enforced: boolean;
}

/** What a provider said about one pool in its answer. */
export interface Told {
  readonly pool: string | null;
  readonly limit: number | null;
  readonly remaining: number | null;
  readonly used: number | null;
  readonly reset_at: string | null;
  readonly status: number | null;
}

export interface Ended {
  readonly at: string;
  readonly ending: string;
  readonly status: number | null;
  readonly waited_ms: number | null;
  readonly duration_ms: number | null;
  readonly bytes_up: number | null;
  readonly bytes_down: number | null;
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  /** `null` = not known, or `unpriced`. */
  readonly cost_micro_usd: number | null;
  /** Its model has no price. */
  readonly unpriced: boolean;
  readonly charges: readonly {
    readonly pool: string;
    readonly units: number;
    readonly sure: boolean;
  }[];
}

/** It was sent, refused by the provider, and waited to be sent once more. */
export interface Attempt {
  /** 1 for the first. */
  readonly number: number;
  /** When it was refused. */
  readonly at: string;
  readonly status: number | null;
}

export interface DecisionRecord {
  readonly id: string;
  readonly at: string;
  readonly agent: string;
  readonly identity: string;
  readonly workload: string;
  readonly scope: string;
  readonly provider: string | null;
  readonly method: string | null;
  readonly host: string | null;
  readonly path: string | null;
  readonly model: string | null;
  /** As in `x-ratelord-decision`: `delay` when it waited and then passed. */
  readonly decision: 'pass' | 'delay' | 'reject';
  readonly state: 'waiting' | 'under_way' | 'refused' | 'ended';
  readonly waited_ms: number;
  /** Oldest first, never empty. */
  readonly verdicts: readonly Verdict[];
  readonly told: readonly Told[];
  /** Attempts before the last, oldest first; mostly none. */
  readonly attempts: readonly Attempt[];
  readonly ended: Ended | null;
  readonly events: readonly LedgerEvent[];
}

/** Ending of an attempt, as in core/ledger/layout.ts. */
const RETRIED = 'retried';

const REQUEST_ID = /^rl_([0-9a-z]{1,11})(?:[^0-9a-z].*)?$/;

/**
 * Sequence number of the request's first event, of an id as in `x-ratelord-id`: `rl_` and base 36,
 * perhaps with a suffix. A bare number is taken as one. `null`: not an id.
 */
export function requestSeq(id: string): Seq | null {
  const text = id.trim().toLowerCase();
  const encoded = REQUEST_ID.exec(text)?.[1];
  const seq =
    encoded !== undefined ? parseInt(encoded, 36) : /^\d{1,16}$/.test(text) ? Number(text) : 0;
  return Number.isSafeInteger(seq) && seq > 0 ? seq : null;
}

/** `null`: the ledger has no such request. */
export function findDecision(reader: LedgerReader, id: string): DecisionRecord | null {
  const seq = requestSeq(id);
  if (seq === null) return null;
  reader.store.flush();
  const entries = reader.store.readRequest(seq);
  if (entries.length > 0) return decisionOf(entries.flatMap((entry) => reader.expand(entry)));
  // A number out of the middle of a request, as `events` prints it.
  const [holder] = reader.store.read({ after: seq - 1, limit: 1 });
  if (holder === undefined || holder.seq > seq || holder.request === 0) return null;
  return decisionOf(
    reader.store.readRequest(holder.request).flatMap((entry) => reader.expand(entry)),
  );
}

/** `null` when nothing was decided in these events. */
export function decisionOf(events: readonly LedgerEvent[]): DecisionRecord | null {
  const [first] = events;
  const verdicts = events.filter((e) => e.type === 'intent_decided').map(verdictOf);
  const last = verdicts.at(-1);
  if (first === undefined || last === undefined) return null;
  const about = events.filter((e) => e.type.startsWith('intent_')).map((e) => e.payload);
  const settled = events.filter((e) => e.type === 'usage_settled');
  const retried = settled.filter((e) => textOf(e.payload, 'ending') === RETRIED);
  const ended = endedOf(settled.findLast((e) => !retried.includes(e)));
  const refusedAt = retried.at(-1)?.seq ?? 0;
  const waitedFor = verdicts.some((v) => v.decision === 'delay');
  return {
    id: first.correlation_id.startsWith('rl_')
      ? first.correlation_id
      : `rl_${first.seq.toString(36)}`,
    at: first.ts_event,
    agent: first.agent_id,
    identity: first.identity_id,
    workload: first.workload_id,
    scope: first.scope_id,
    provider: first.provider_id ?? null,
    method: firstText(about, 'method'),
    host: firstText(about, 'host'),
    path: firstText(about, 'path'),
    model: firstText(about, 'model'),
    decision:
      last.decision === 'pass' && (waitedFor || retried.length > 0) ? 'delay' : last.decision,
    state: ended === null && refusedAt > last.seq ? 'waiting' : stateOf(last, ended),
    waited_ms: waitedMs(verdicts, ended),
    verdicts,
    told: events.filter((e) => e.type === 'usage_observed').map(toldOf),
    attempts: retried.map(({ ts_event, payload }, index) => ({
      number: index + 1,
      at: ts_event,
      status: numberOf(payload, 'status'),
    })),
    ended,
    events,
  };
}

function firstText(payloads: readonly JsonObject[], name: string): string | null {
  for (const payload of payloads) {
    const value = textOf(payload, name);
    if (value !== null) return value;
  }
  return null;
}

function stateOf(last: Verdict, ended: Ended | null): DecisionRecord['state'] {
  if (last.decision === 'reject' && last.enforced) return 'refused';
  if (ended !== null) return 'ended';
  return last.decision === 'delay' && last.enforced ? 'waiting' : 'under_way';
}

/** What the settlement says, else the time between the first verdict and the last. */
function waitedMs(verdicts: readonly Verdict[], ended: Ended | null): number {
  if (ended?.waited_ms != null) return ended.waited_ms;
  const [first] = verdicts;
  const last = verdicts.at(-1);
  if (first === undefined || last === undefined) return 0;
  return Math.max(0, Date.parse(last.at) - Date.parse(first.at));
}

function verdictOf(event: LedgerEvent): Verdict {
  const { payload } = event;
  const decision = textOf(payload, 'decision');
  return {
    seq: event.seq,
    at: event.ts_event,
    decision: decision === 'reject' || decision === 'delay' ? decision : 'pass',
    code: textOf(payload, 'code'),
    reason: textOf(payload, 'reason'),
    rules: objectsOf(payload, 'rules').map((rule) => ({
      rule: textOf(rule, 'rule') ?? 'unnamed',
      effect: textOf(rule, 'effect') ?? 'pass',
      pool: textOf(rule, 'pool'),
      detail: textOf(rule, 'detail') ?? '',
    })),
    pools: objectsOf(payload, 'pools').map(readingOf),
    blocking_pool: textOf(payload, 'blocking_pool'),
    wait_ms: numberOf(payload, 'wait_ms'),
    retry_in_ms: numberOf(payload, 'retry_in_ms'),
    max_wait_ms: numberOf(payload, 'max_wait_ms'),
    policy_hash: textOf(payload, 'policy_hash'),
    estimate: objectOf(payload, 'estimate'),
    enforced: (flagOf(payload, 'enforced') ?? true) && textOf(payload, 'mode') !== 'observe',
  };
}

function readingOf(pool: JsonObject): PoolReading {
  return {
    pool: textOf(pool, 'pool') ?? 'unnamed',
    units: numberOf(pool, 'units'),
    sure: flagOf(pool, 'sure') ?? true,
    limit: numberOf(pool, 'limit'),
    remaining: numberOf(pool, 'remaining'),
    held: numberOf(pool, 'held'),
    reset_in_ms: numberOf(pool, 'reset_in_ms'),
    age_ms: numberOf(pool, 'age_ms'),
    window_ms: numberOf(pool, 'window_ms'),
    unit: textOf(pool, 'unit'),
    estimated: numberOf(pool, 'estimated'),
  };
}

function toldOf(event: LedgerEvent): Told {
  const { payload } = event;
  const resetMs = numberOf(payload, 'reset_at');
  return {
    pool: event.pool_id ?? textOf(payload, 'pool'),
    limit: numberOf(payload, 'limit'),
    remaining: numberOf(payload, 'remaining'),
    used: numberOf(payload, 'used'),
    reset_at: resetMs === null ? textOf(payload, 'reset_at') : new Date(resetMs).toISOString(),
    status: numberOf(payload, 'status'),
  };
}

function endedOf(event: LedgerEvent | undefined): Ended | null {
  if (event === undefined) return null;
  const { payload } = event;
  const tokens = objectOf(payload, 'tokens') ?? payload;
  return {
    at: event.ts_event,
    ending: textOf(payload, 'ending') ?? 'complete',
    status: numberOf(payload, 'status'),
    waited_ms: numberOf(payload, 'waited_ms'),
    duration_ms: numberOf(payload, 'duration_ms'),
    bytes_up: numberOf(payload, 'bytes_up'),
    bytes_down: numberOf(payload, 'bytes_down'),
    input_tokens: numberOf(tokens, 'input_tokens') ?? numberOf(tokens, 'input'),
    output_tokens: numberOf(tokens, 'output_tokens') ?? numberOf(tokens, 'output'),
    cost_micro_usd: numberOf(payload, 'cost_micro_usd'),
    unpriced: flagOf(payload, 'unpriced') ?? false,
    charges: objectsOf(payload, 'charges').map((charge) => ({
      pool: textOf(charge, 'pool') ?? 'unnamed',
      units: numberOf(charge, 'units') ?? 0,
      sure: flagOf(charge, 'sure') ?? true,
    })),
  };
}
