/** From the packed entry to the events readers see. Pure: the same entry, the same events. */
import type { EpochMs, JsonObject, JsonValue, Seq } from '../units.ts';
import type { Entry } from './entry.ts';
import type { EventType, LedgerEvent } from './event.ts';
import {
  COST_UNKNOWN,
  FLAG_INTENT,
  FLAG_OBSERVE_ONLY,
  NEWS_LIMIT,
  NEWS_WINDOW,
  RETRIED,
  type DecidedData,
  type DrawRow,
  type EndedData,
  type ObservedData,
  type RuleRow,
  type WokeData,
} from './layout.ts';

const SCHEMA_VERSION = 1;

/** Id of a request, as in `x-ratelord-id`. */
export function requestId(seq: Seq): string {
  return `rl_${seq.toString(36)}`;
}

export function eventId(seq: Seq): string {
  return `ev_${seq.toString(36)}`;
}

/** One event before its envelope: type, pool (index in the entry, −1 none), payload. */
type Draft = readonly [type: EventType, pool: number, payload: JsonObject];

/** Events of an entry, in order of `seq`; always `entry.count` of them. */
export function expand(entry: Entry): LedgerEvent[] {
  const drafts = draftsOf(entry);
  const at = iso(entry.at);
  const correlation = entry.request > 0 ? requestId(entry.request) : eventId(entry.seq);
  return drafts.map(([type, pool, payload], index) => {
    const seq = entry.seq + index;
    const poolId = pool >= 0 ? entry.pools[pool] : undefined;
    return {
      seq,
      event_id: eventId(seq),
      type,
      schema_version: SCHEMA_VERSION,
      ts_event: 'seen_at' in payload ? iso(payload['seen_at'] as EpochMs) : at,
      ts_ingest: at,
      agent_id: entry.who.agent,
      identity_id: entry.who.identity,
      workload_id: entry.who.workload,
      scope_id: entry.who.scope,
      ...(entry.who.provider === '' ? {} : { provider_id: entry.who.provider }),
      ...(poolId === undefined ? {} : { pool_id: poolId }),
      correlation_id: correlation,
      causation_id: causation(entry, index),
      payload,
    };
  });
}

/** What led to it: the event before it in its entry, else the request's first event, else itself. */
function causation(entry: Entry, index: number): string {
  if (index > 0) return eventId(entry.seq + index - 1);
  return entry.request > 0 ? eventId(entry.request) : eventId(entry.seq);
}

function draftsOf(entry: Entry): Draft[] {
  switch (entry.kind) {
    case 'decided':
      return decided(entry, entry.data as unknown as DecidedData);
    case 'woke':
      return woke(entry, entry.data as unknown as WokeData);
    case 'observed':
      return observed(entry, entry.data as unknown as ObservedData);
    case 'ended':
      return ended(entry, entry.data as unknown as EndedData);
    case 'event':
      return [[entry.data[0] as EventType, entry.pools.length > 0 ? 0 : -1, payloadOf(entry)]];
  }
}

function payloadOf(entry: Entry): JsonObject {
  return (entry.data[1] ?? {}) as JsonObject;
}

/** How many events a `decided` entry takes. */
export function decidedCount(data: DecidedData): number {
  let count = 2 + (data[0] === 'delay' ? 1 : 0);
  for (const rule of data[12]) if (isTriggered(rule)) count += 1;
  return count;
}

/** A skipped rule is in the decision, but did nothing. */
export function isTriggered(rule: RuleRow): boolean {
  return rule[1] !== 'skipped';
}

function decided(entry: Entry, data: DecidedData): Draft[] {
  const [verdict, code, reason, method, host, path, endpoint, model, priority, maxWait] = data;
  const intent = (data[16] & FLAG_INTENT) !== 0;
  const asked = intent ? {} : { method, host, path };
  const drafts: Draft[] = [
    [
      'intent_submitted',
      -1,
      {
        ...asked,
        endpoint,
        model,
        priority,
        max_wait_ms: maxWait,
        source: intent ? 'api' : 'proxy',
      },
    ],
    [
      'intent_decided',
      data[13],
      {
        decision: verdict,
        code: emptyNull(code),
        reason: emptyNull(reason),
        ...asked,
        model,
        rules: data[12].map((rule) => ruleJson(entry, rule)),
        pools: data[11].map((draw) => drawJson(entry, draw)),
        blocking_pool: poolName(entry, data[13]),
        wait_ms: data[14],
        max_wait_ms: maxWait,
        retry_in_ms: data[17],
        policy_hash: data[10],
        estimate: estimateJson(data[15]),
        enforced: (data[16] & FLAG_OBSERVE_ONLY) === 0,
      },
    ],
  ];
  for (const rule of data[12]) {
    if (isTriggered(rule)) drafts.push(['policy_triggered', rule[2], ruleJson(entry, rule)]);
  }
  if (verdict === 'delay') {
    drafts.push(['throttle_advised', data[13], { wait_ms: data[14], reason: emptyNull(reason) }]);
  }
  return drafts;
}

function woke(entry: Entry, data: WokeData): Draft[] {
  return [
    [
      'intent_decided',
      data[5],
      {
        decision: data[0],
        code: emptyNull(data[1]),
        reason: emptyNull(data[2]),
        rules: [],
        pools: data[4].map((draw) => drawJson(entry, draw)),
        blocking_pool: poolName(entry, data[5]),
        waited_ms: data[3],
        retry_in_ms: data[6],
        enforced: true,
      },
    ],
  ];
}

/** How many events an `observed` entry takes. */
export function observedCount(data: ObservedData): number {
  let count = data[5].length + (data[0] === 'poll' ? 1 : 0) + (data[9].length > 0 ? 1 : 0);
  for (const quota of data[4]) {
    count += 1 + (quota[8] & NEWS_LIMIT ? 1 : 0) + (quota[8] & NEWS_WINDOW ? 1 : 0);
  }
  // Something must stand for an entry that only charges or names an account.
  return count === 0 ? 1 : count;
}

function observed(entry: Entry, data: ObservedData): Draft[] {
  const [source, status, sentAt, , quotas, throttles, charges] = data;
  const drafts: Draft[] = [];
  for (const [pool, limit, remaining, used, resetAt, resetIn, windowMs, free, news] of quotas) {
    const figures = { limit, remaining, used, reset_at: resetAt, reset_in_ms: resetIn };
    const when = source === 'passive' ? { seen_at: sentAt } : {};
    drafts.push([
      'usage_observed',
      pool,
      { ...figures, window_ms: windowMs, status, source, free: free === 1, ...when },
    ]);
    if (news & NEWS_LIMIT)
      drafts.push(['constraint_observed', pool, { limit, window_ms: windowMs }]);
    if (news & NEWS_WINDOW) {
      drafts.push(['reset_observed', pool, { reset_at: resetAt, reset_in_ms: resetIn }]);
    }
  }
  for (const [kind, scope, pool, retryIn, code, until] of throttles) {
    drafts.push([
      'provider_error',
      pool,
      {
        kind,
        scope,
        code,
        status,
        retry_in_ms: retryIn,
        blocked_until: until > 0 ? iso(until) : null,
      },
    ]);
  }
  if (source === 'poll')
    drafts.push(['provider_poll_observed', -1, { status, pools: quotas.length }]);
  if (data[9].length > 0)
    drafts.push(['provider_error', -1, { kind: 'malformed', fields: data[9] }]);
  if (drafts.length === 0) {
    const told = charges.map(([pool, units]) => ({ pool: poolName(entry, pool), units }));
    drafts.push(['constraint_observed', charges[0]?.[0] ?? -1, { status, source, charges: told }]);
  }
  return drafts;
}

/** How many events an `ended` entry takes. */
export function endedCount(data: EndedData): number {
  return data[7] === '' ? 1 : 2;
}

function ended(entry: Entry, data: EndedData): Draft[] {
  const [ending, status, durationMs, waitedMs, bytesUp, bytesDown, tokens, error, charges] = data;
  const settled: Draft = [
    'usage_settled',
    -1,
    {
      ending,
      outcome: outcomeOf(ending),
      status: status === 0 ? null : status,
      waited_ms: waitedMs,
      duration_ms: durationMs,
      // An attempt ends with its head, before anybody has counted.
      ...(ending === RETRIED ? {} : { bytes_up: bytesUp, bytes_down: bytesDown }),
      ...(tokens === null
        ? {}
        : {
            input_tokens: tokens[0],
            cached_tokens: tokens[1],
            output_tokens: tokens[2],
            reasoning_tokens: tokens[3],
          }),
      ...costJson(data[9]),
      charges: charges.map(([pool, units]) => ({ pool: poolName(entry, pool), units })),
    },
  ];
  return error === ''
    ? [settled]
    : [settled, ['provider_error', -1, { kind: 'transport', code: error }]];
}

/** Unpriced is not free: its cost is `null`. */
function costJson(cost: EndedData[9]): JsonObject {
  if (cost === undefined) return {};
  if (cost === null) return { cost_micro_usd: null, cost_usd: null, unpriced: true };
  if (cost === COST_UNKNOWN) return { cost_micro_usd: null, cost_usd: null };
  return { cost_micro_usd: cost, cost_usd: cost / 1e6 };
}

/** `unknown` is honest: sent, and nobody knows the charge. */
function outcomeOf(ending: string): string {
  if (ending === 'complete' || ending === 'truncated' || ending === RETRIED) return 'settled';
  if (ending === 'gone' || ending === 'unreachable') return 'released';
  return 'unknown';
}

function drawJson(entry: Entry, draw: DrawRow): JsonObject {
  const [pool, units, sure, limit, remaining, held, resetIn, age, unit, estimated] = draw;
  return {
    pool: poolName(entry, pool),
    units,
    sure: sure === 1,
    limit,
    remaining,
    held,
    reset_in_ms: resetIn,
    age_ms: age,
    ...(unit === undefined || unit === null ? {} : { unit }),
    ...(estimated === undefined ? {} : { estimated }),
  };
}

function ruleJson(entry: Entry, [rule, effect, pool, detail]: RuleRow): JsonObject {
  return { rule, effect, pool: poolName(entry, pool), detail };
}

function estimateJson(estimate: DecidedData[15]): JsonValue {
  if (estimate === null) return null;
  return { input_bytes: estimate[0], input_tokens: estimate[1], output_tokens: estimate[2] };
}

function poolName(entry: Entry, index: number): string | null {
  return index < 0 ? null : (entry.pools[index] ?? null);
}

function emptyNull(text: string): string | null {
  return text === '' ? null : text;
}

function iso(at: EpochMs): string {
  return new Date(at).toISOString();
}
