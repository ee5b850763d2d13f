/**
 * The engine's outside: inputs in, effects out.
 *
 *     arrived ──► forward | respond | (nothing: it waits)
 *     woke ─────► forward* respond*        one timer for all waiters, set by `wakeAt()`
 *     head ─────► (observations settle pools, waiters may be freed) retry? forward*
 *     tapped ───► forward*
 *     ended ────► forward*
 *
 * The engine owns all state; one call is one synchronous, atomic step. It never performs anything.
 */
import type { Claim, Usage } from './claim.ts';
import type { RequestHead, ResponseHead } from './head.ts';
import type { Entry } from './ledger/entry.ts';
import type { Observation } from './observation.ts';
import type { CompiledPolicy } from './policy/types.ts';
import type { Refusal } from './provider.ts';
import type { DurationMs, Instant, JsonObject, MonoMs, Priority, Seq } from './units.ts';

export type Input =
  | ArrivedInput
  | WokeInput
  | HeadInput
  | TappedInput
  | EndedInput
  | PassiveInput
  | IntentInput
  | PolicyInput
  | NoteInput
  | ClosingInput;

/** A request is complete enough to be decided. `key` is the shell's own, unique among the living. */
export interface ArrivedInput {
  readonly type: 'arrived';
  readonly at: Instant;
  readonly key: number;
  readonly head: RequestHead;
  readonly provider: string;
  /** The request body's JSON text, when the provider wanted it and it fitted. */
  readonly body: string | undefined;
  /** Hex of the credential's keyed hash, or `''` for an anonymous request. */
  readonly credential: string;
  readonly agent: string;
  readonly workload: string;
  readonly asked: Asked;
  /** The shell can send the same content again: a refusal by the provider may be retried. */
  readonly replayable?: boolean;
}

/** What the client asked of ratelord itself; every member already validated. */
export interface Asked {
  readonly priority: Priority | null;
  readonly maxWaitMs: DurationMs | null;
  readonly scope: string | null;
  /** Units by name from `x-ratelord-estimate`, e.g. `{tokens: 1200}`. */
  readonly estimate: Readonly<Record<string, number>> | null;
}

export interface WokeInput {
  readonly type: 'woke';
  readonly at: Instant;
}

export interface HeadInput {
  readonly type: 'head';
  readonly at: Instant;
  readonly key: number;
  readonly head: ResponseHead;
}

/** A tap of the response (or of one WebSocket message) told something. */
export interface TappedInput {
  readonly type: 'tapped';
  readonly at: Instant;
  readonly key: number;
  readonly observations: readonly Observation[];
  readonly usage: Usage | null;
}

export type Ending =
  | 'complete'
  | 'gone' // the client left before anything was sent upstream
  | 'aborted' // the client left after it was sent: the charge is unknown
  | 'truncated' // the origin broke off
  | 'unreachable' // never reached the origin: nothing was charged
  | 'failed'; // sent, but no answer came: the charge is unknown

export interface EndedInput {
  readonly type: 'ended';
  readonly at: Instant;
  readonly key: number;
  readonly ending: Ending;
  /** Content bytes sent to and received from the origin. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Short code when it failed, e.g. `ECONNREFUSED`. */
  readonly error?: string;
}

/** Fields seen elsewhere (`POST /v1/observations`) or a poll's answer. */
export interface PassiveInput {
  readonly type: 'passive';
  readonly at: Instant;
  readonly provider: string;
  readonly credential: string;
  /** Configured identity, when named outright. */
  readonly identity: string | null;
  readonly agent: string;
  readonly head: RequestHead;
  readonly response: ResponseHead;
  readonly body: string | undefined;
  /** When it was seen (wall clock), possibly in the past. */
  readonly seenAt: number;
  readonly source: 'passive' | 'poll';
}

/** Asks without sending. Answered by an `answer` effect with the same key. */
export interface IntentInput {
  readonly type: 'intent';
  readonly at: Instant;
  readonly key: number;
  readonly agent: string;
  readonly identity: string;
  readonly workload: string;
  readonly scope: string;
  readonly urgency: Priority;
  readonly expectedCost: number | null;
  readonly durationHintMs: DurationMs | null;
  readonly provider: string | null;
  /** Why it is denied unjudged: the names in it are unknown. Recorded like any other answer. */
  readonly denied?: string;
}

export interface PolicyInput {
  readonly type: 'policy';
  readonly at: Instant;
  readonly policy: CompiledPolicy;
}

/** Any other event for the ledger. */
export interface NoteInput {
  readonly type: 'note';
  readonly at: Instant;
  readonly event: string;
  readonly agent: string;
  readonly identity: string;
  readonly provider: string;
  readonly payload: JsonObject;
}

/** The daemon stops: everybody who waits is refused. */
export interface ClosingInput {
  readonly type: 'closing';
  readonly at: Instant;
}

export type Effect =
  | ForwardEffect
  | RespondEffect
  | RetryEffect
  | AnswerEffect
  | { readonly type: 'append'; readonly entry: Entry };

/** Send it now: its reservation is held. Check first that the client is still there. */
export interface ForwardEffect {
  readonly type: 'forward';
  readonly key: number;
  readonly id: string;
  /** `pass` or `delay` (it waited). */
  readonly decision: 'pass' | 'delay';
  readonly waitedMs: DurationMs;
  readonly claim: Claim;
  readonly warnings: readonly string[];
  /** Value of the `RateLimit-Policy` / `RateLimit` items to add, or `''`. */
  readonly quotaPolicyField: string;
  readonly quotaField: string;
}

/** Refuse it. The shell asks the provider for the shape. */
export interface RespondEffect {
  readonly type: 'respond';
  readonly key: number;
  readonly waitedMs: DurationMs;
  readonly refusal: Refusal;
}

/**
 * The provider refused it, and it waits again: the answer whose head was just handed in is not
 * passed on. A `forward` or `respond` follows, possibly in the same step.
 */
export interface RetryEffect {
  readonly type: 'retry';
  readonly key: number;
}

export interface AnswerEffect {
  readonly type: 'answer';
  readonly key: number;
  readonly id: string;
  readonly decision: 'approve' | 'approve_with_modifications' | 'deny_with_reason';
  readonly waitMs: DurationMs;
  readonly reason: string | null;
  readonly evaluation: JsonObject;
}

export interface Engine {
  /** The returned array is reused by the next step: interpret it before stepping again. */
  step(input: Input): readonly Effect[];
  /** When the engine next wants a `woke` input (monotonic), or `null`. */
  wakeAt(): MonoMs | null;
  readonly seq: Seq;
}
