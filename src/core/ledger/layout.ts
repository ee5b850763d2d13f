/**
 * Layout of `Entry.data` by kind. Positional, to keep a request's row small; every reader and writer
 * of entries goes through these types. Pools are indexes into `Entry.pools`.
 */
import type { PoolKind, PoolSpec } from '../claim.ts';
import type { DurationMs, EpochMs, MicroUsd, Priority, QuotaUnit, Units } from '../units.ts';

/** Raised when the fold's meaning changes: snapshots of another version are not used. */
export const FOLD_VERSION = 3;

export type Verdict = 'pass' | 'delay' | 'reject';

/** `[pool, units, sure, limit, remaining, held, resetInMs, ageMs]`: readings as the decision saw them. */
export type DrawRow = readonly [
  pool: number,
  units: Units,
  sure: 0 | 1,
  limit: Units | null,
  remaining: Units | null,
  held: Units,
  resetInMs: DurationMs | null,
  ageMs: DurationMs | null,
  /** Only of money: its units are micro-USD. */
  unit?: 'usd' | null,
  /** What was estimated, where what the provider charges for it was learned to be more, or less. */
  estimated?: Units,
];

/** `[rule, effect, pool or −1, detail]` */
export type RuleRow = readonly [rule: string, effect: string, pool: number, detail: string];

/** A pool first met in this entry. Its id tells the rest: names of agents may be in there. */
export type SpecRow = readonly [
  pool: number,
  provider: string,
  name: string,
  /** Which `/name/` in the pool's id the partition follows, from 1; 0 = the pool has none. */
  partition: number,
  unit: QuotaUnit,
  kind: PoolKind,
  limit: Units | null,
  windowMs: DurationMs | null,
  source: PoolSpec['source'],
  shared: 0 | 1,
];

export const FLAG_INTENT = 1;
export const FLAG_OBSERVE_ONLY = 2;
export const FLAG_UPGRADE = 4;

export type DecidedData = readonly [
  verdict: Verdict,
  code: string,
  reason: string,
  method: string,
  host: string,
  /** Without its query. */
  path: string,
  endpoint: string,
  model: string,
  priority: Priority,
  maxWaitMs: DurationMs,
  policyHash: string,
  draws: readonly DrawRow[],
  rules: readonly RuleRow[],
  blocking: number,
  waitMs: DurationMs | null,
  estimate: readonly [inputBytes: number, inputTokens: number, outputTokens: number] | null,
  flags: number,
  retryInMs: DurationMs | null,
  specs: readonly SpecRow[],
];

export type WokeData = readonly [
  verdict: 'pass' | 'reject',
  code: string,
  reason: string,
  waitedMs: DurationMs,
  draws: readonly DrawRow[],
  blocking: number,
  retryInMs: DurationMs | null,
  specs: readonly SpecRow[],
];

export const NEWS_LIMIT = 1;
export const NEWS_WINDOW = 2;

export type QuotaRow = readonly [
  pool: number,
  limit: Units | null,
  remaining: Units | null,
  used: Units | null,
  resetAt: EpochMs | null,
  resetIn: DurationMs | null,
  windowMs: DurationMs | null,
  free: 0 | 1,
  news: number,
];

/** `until` is on our clock; `hopeless` when waiting cannot clear it. */
export type ThrottleRow = readonly [
  class_: string,
  scope: string,
  pool: number,
  retryInMs: DurationMs | null,
  code: string,
  until: EpochMs,
  hopeless: 0 | 1,
  /** Where no known quota explains it: the pool of a hidden limit, and how fast it was hit. */
  hidden?: number,
  perS?: number,
];

export type ObservedData = readonly [
  source: 'head' | 'tap' | 'poll' | 'passive',
  status: number,
  sentAt: EpochMs,
  date: EpochMs | null,
  quotas: readonly QuotaRow[],
  throttles: readonly ThrottleRow[],
  charges: readonly (readonly [pool: number, units: Units])[],
  /** Index of `account:NAME` in `Entry.pools`, or −1. */
  account: number,
  specs: readonly SpecRow[],
  malformed: readonly string[],
];

/** Ending of an attempt that the provider refused, while its request waits to be sent once more. */
export const RETRIED = 'retried';

export type EndedData = readonly [
  ending: string,
  status: number,
  durationMs: DurationMs,
  waitedMs: DurationMs,
  bytesUp: number,
  bytesDown: number,
  tokens: readonly [input: number, cached: number, output: number, reasoning: number] | null,
  error: string,
  /** What the request was charged by our own count, per pool it held. */
  charges: readonly (readonly [pool: number, units: Units])[],
  /**
   * Micro-USD; `null` when its model is unpriced, `COST_UNKNOWN` when nobody told what it used.
   * Absent where the request named no model, and in rows from before there were prices.
   */
  cost?: MicroUsd | null,
];

export const COST_UNKNOWN = -1;

/** Prefix of the pseudo pool id that carries an account's name in `Entry.pools`. */
export const ACCOUNT_PREFIX = 'account:';
