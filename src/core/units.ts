/**
 * Scalars with their unit in the type. These are flavours: a plain number fits any of them, but a
 * value already known to be a duration does not fit where a point in time is wanted.
 */
type Flavour<Name extends string> = number & { readonly __unit?: Name };

/** Wall-clock point in time, integer milliseconds since 1970-01-01T00:00Z. */
export type EpochMs = Flavour<'epoch_ms'>;
/** Reading of a monotonic clock in milliseconds; comparable only inside one process. */
export type MonoMs = Flavour<'mono_ms'>;
/** Length of time in milliseconds. */
export type DurationMs = Flavour<'duration_ms'>;
/** Quota units (requests, LLM tokens, points, micro-USD: the pool says which). */
export type Units = Flavour<'units'>;
/** Money in millionths of a US dollar, integer. */
export type MicroUsd = Flavour<'micro_usd'>;
/** Position in the ledger; starts at 1, rises by one an event, never reused. */
export type Seq = Flavour<'seq'>;

/** Both clocks, read together. Windows use `wall`, waits use `mono`. `wall` never runs backwards. */
export interface Instant {
  readonly wall: EpochMs;
  readonly mono: MonoMs;
}

export const SECOND: DurationMs = 1000;
export const MINUTE: DurationMs = 60_000;
export const HOUR: DurationMs = 3_600_000;
export const DAY: DurationMs = 86_400_000;

/** Dimensions nobody knows are sentinels, never null. */
export const UNKNOWN = 'sentinel:unknown';
export const SYSTEM = 'sentinel:system';
export const GLOBAL = 'sentinel:global';

/** What a quota counts. */
export type QuotaUnit =
  'requests' | 'tokens' | 'input_tokens' | 'output_tokens' | 'points' | 'usd' | 'images' | 'bytes';

export type Priority = 'high' | 'normal' | 'background';

export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };
