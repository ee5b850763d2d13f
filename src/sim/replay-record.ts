/** The ledger's entries put together again: what each request asked, and what came of it. */
import type { Draw } from '../core/claim.ts';
import { evolve } from '../core/governor/evolve.ts';
import type { EngineState } from '../core/governor/state.ts';
import type { Entry } from '../core/ledger/entry.ts';
import {
  ACCOUNT_PREFIX,
  FLAG_INTENT,
  FLAG_OBSERVE_ONLY,
  RETRIED,
  type DecidedData,
  type EndedData,
  type ObservedData,
  type WokeData,
} from '../core/ledger/layout.ts';
import type { Observation, ThrottleObservation } from '../core/observation.ts';
import type { DurationMs, EpochMs, Seq, Units } from '../core/units.ts';

export type Decision = 'pass' | 'delay' | 'reject' | 'left' | 'open';

/** What came of a request: in the record, or in the replay. */
export interface Outcome {
  /** When it was first judged: `pass`, `delay` or `reject`. */
  verdict: string;
  /** In the end. `left`: its client left while it waited; `open`: the record ends before. */
  decision: Decision;
  /** Of a refusal. */
  code: string;
  reason: string;
  waitedMs: DurationMs;
  /** Micro-USD, `null` when not known or unpriced. */
  cost: number | null;
}

export interface RecordedRequest {
  readonly seq: Seq;
  readonly entry: Entry;
  readonly asked: DecidedData;
  /** Pools of the provider; those of the policy are drawn on as the other policy says. */
  readonly draws: readonly Draw[];
  /** Arrived before the first entry and waited then: decided again, but not reported. */
  readonly carried: boolean;
  /** Recorded and not carried out (`mode: observe`). */
  readonly observing: boolean;
  readonly before: Outcome;
  /** When it was sent: once, or once an attempt. */
  readonly sentAt: EpochMs[];
  retried: boolean;
  headAt: EpochMs | null;
  endedAt: EpochMs | null;
  ended: EndedData | null;
  readonly charges: Map<string, Units>;
}

/** An `observed` entry in the terms in which a provider tells it. */
export interface RecordedAnswer {
  readonly source: ObservedData[0];
  readonly status: number;
  readonly date: EpochMs | null;
  readonly observations: readonly Observation[];
}

export interface Recording {
  /** In order of their numbers. */
  readonly entries: readonly Entry[];
  readonly requests: ReadonlyMap<Seq, RecordedRequest>;
  /** By the number of the `observed` entry. */
  readonly answers: ReadonlyMap<Seq, RecordedAnswer>;
}

/**
 * @param state the fold of everything before the first entry; it is folded on
 * @param waiting `decided` entries from before, of those who waited when the first entry was made
 */
export function readRecording(
  entries: readonly Entry[],
  state: EngineState,
  waiting: readonly Entry[],
): Recording {
  const requests = new Map<Seq, RecordedRequest>();
  for (const entry of waiting) {
    const request = requestOf(entry, state, true);
    if (request !== null) requests.set(entry.seq, request);
  }
  const answers = new Map<Seq, RecordedAnswer>();
  for (const entry of entries) {
    // First: the entry itself makes the pools it speaks of.
    evolve(state, entry);
    if (entry.kind === 'observed') answers.set(entry.seq, answerOf(entry, state));
    if (entry.kind === 'decided') {
      const request = requestOf(entry, state, false);
      if (request !== null) requests.set(entry.seq, request);
    } else note(requests.get(entry.request), entry);
  }
  return { entries, requests, answers };
}

function requestOf(entry: Entry, state: EngineState, carried: boolean): RecordedRequest | null {
  const asked = entry.data as unknown as DecidedData;
  if ((asked[16] & FLAG_INTENT) !== 0) return null;
  const draws: Draw[] = [];
  for (const [index, units, sure] of asked[11]) {
    const spec = state.pools.get(entry.pools[index] ?? '')?.spec;
    if (spec !== undefined && spec.source !== 'policy') {
      draws.push({ spec, units, sure: sure === 1 });
    }
  }
  const observing = (asked[16] & FLAG_OBSERVE_ONLY) !== 0;
  const verdict = asked[0];
  const decision: Decision =
    verdict === 'delay' ? 'open' : verdict === 'reject' ? 'reject' : 'pass';
  return {
    seq: entry.seq,
    entry,
    asked,
    draws,
    carried,
    observing,
    before: { verdict, decision, code: asked[1], reason: asked[2], waitedMs: 0, cost: null },
    sentAt: verdict === 'pass' || observing ? [entry.at] : [],
    retried: false,
    headAt: null,
    endedAt: null,
    ended: null,
    charges: new Map(),
  };
}

/** What a later entry adds to its request. */
function note(request: RecordedRequest | undefined, entry: Entry): void {
  if (request === undefined) return;
  const { before } = request;
  if (entry.kind === 'woke') {
    const [verdict, code, reason, waitedMs] = entry.data as unknown as WokeData;
    before.waitedMs = waitedMs;
    before.decision = verdict === 'pass' ? 'delay' : 'reject';
    if (verdict === 'pass') request.sentAt.push(entry.at);
    else Object.assign(before, { code, reason });
  } else if (entry.kind === 'observed') {
    if (entry.data[0] === 'head') request.headAt = entry.at;
  } else if (entry.kind === 'ended') noteEnd(request, entry);
}

function noteEnd(request: RecordedRequest, entry: Entry): void {
  const data = entry.data as unknown as EndedData;
  if (data[0] === RETRIED) {
    request.retried = true;
    request.before.decision = 'open';
    return;
  }
  request.ended = data;
  request.endedAt = entry.at;
  for (const [index, units] of data[8]) request.charges.set(entry.pools[index] ?? '', units);
  const cost = data[9] ?? null;
  request.before.cost = cost !== null && cost >= 0 ? cost : null;
  if (data[0] === 'gone' && request.before.decision === 'open') request.before.decision = 'left';
}

function answerOf(entry: Entry, state: EngineState): RecordedAnswer {
  const data = entry.data as unknown as ObservedData;
  const specOf = (index: number) => state.pools.get(entry.pools[index] ?? '')?.spec;
  const observations: Observation[] = [];
  if (data[7] >= 0) {
    const account = (entry.pools[data[7]] ?? '').slice(ACCOUNT_PREFIX.length);
    observations.push({ kind: 'account', account });
  }
  for (const row of data[4]) {
    const spec = specOf(row[0]);
    if (spec === undefined) continue;
    observations.push({
      kind: 'quota',
      spec,
      ...(row[1] === null ? {} : { limit: row[1] }),
      ...(row[2] === null ? {} : { remaining: row[2] }),
      ...(row[3] === null ? {} : { used: row[3] }),
      ...(row[4] === null ? {} : { resetAt: row[4] }),
      ...(row[5] === null ? {} : { resetIn: row[5] }),
      ...(row[6] === null ? {} : { windowMs: row[6] }),
      free: row[7] === 1,
    });
  }
  for (const row of data[5]) {
    const spec = specOf(row[2]);
    observations.push({
      kind: 'throttled',
      class: row[0] as ThrottleObservation['class'],
      scope: row[1] as ThrottleObservation['scope'],
      ...(spec === undefined ? {} : { spec }),
      ...(row[3] === null ? {} : { retryInMs: row[3] }),
      code: row[4],
    });
  }
  for (const [index, units] of data[6]) {
    const spec = specOf(index);
    if (spec !== undefined) observations.push({ kind: 'charge', spec, units });
  }
  return { source: data[0], status: data[1], date: data[3], observations };
}
