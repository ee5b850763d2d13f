import type { DurationMs, EpochMs, Units } from '../units.ts';
import type { Returns } from './returns.ts';

/** What the forecaster is asked about. */
export interface Question {
  /** Units that are left. */
  readonly remaining: Units;
  /** Until the pool is full again; `null` = nobody knows, which is taken as the worst case. */
  readonly resetInMs: DurationMs | null;
  /** Units a second that come back meanwhile (buckets and rolling windows); 0 for fixed windows. */
  readonly refill: number;
  /** Where it is known when they do; `refill` is the mean of it over a window then. */
  readonly returns?: Returns;
  /** Age of the reading behind `remaining`. */
  readonly ageMs: DurationMs;
}

/** Times are seconds from `asOf`; `null` = beyond a year. */
export interface Forecast {
  /** It lasts at least so long with probability 50, 90, 99 %. */
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  /** Probability that it runs out before the reset, 0…1. */
  readonly pExhaust: number;
  /** `p90` minus the time to the reset: positive = it lasts with probability 90 %; `null` = no reset known or no end. */
  readonly margin: number | null;
  /** Units a second, and the variance of the units of one second. */
  readonly rate: number;
  readonly variance: number;
  readonly model: string;
  readonly asOf: EpochMs;
}

/** Longer than this is as good as for ever, seconds (one year). */
export const FOREVER = 31_536_000;
