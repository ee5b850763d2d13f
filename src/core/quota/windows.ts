import { SECOND, type DurationMs, type EpochMs, type Units } from '../units.ts';
import type { Reading } from './reading.ts';

/** Two resets at most this far apart are one window: they jitter by a second. */
export const SAME_WINDOW_MS: DurationMs = 2 * SECOND;

/** When a window ends, on the provider's clock: somewhere between. */
export interface WindowEnd {
  readonly least: EpochMs;
  readonly most: EpochMs;
}

/** One window of a provider, as its readings tell of it. */
export interface Window {
  /** Earliest end that its readings leave open, on the provider's clock. */
  least: EpochMs;
  /** Latest end, on the provider's clock. */
  reset: EpochMs;
  /** Largest `used` seen; answers arrive out of order and it never falls inside a window. */
  used: Units;
  seenAt: EpochMs;
  /** When the newest request was sent whose answer told of it. */
  askedAt: EpochMs;
  /** What was used before others were watched for; `null` = the next reading tells. */
  base: Units | null;
  /** What we sent that may be counted in `used` beyond `base`. */
  own: Units;
  /** Certainly used by others since `base`. */
  others: Units;
}

/**
 * The end that a reading tells of, `null` when it tells of none. A time to go was right at the moment
 * of judging, which nobody knows: some time between sending and the answer, however late that came.
 * @param skew the provider's clock minus ours
 */
export function endTold(reading: Reading, skew: DurationMs): WindowEnd | null {
  const { resetAt, resetIn, sentAt, at } = reading;
  if (resetAt !== null) return { least: resetAt, most: resetAt };
  if (resetIn === null) return null;
  const most = at + skew + resetIn;
  return { least: Math.min(most, sentAt + skew + resetIn), most };
}

export function windowOf(end: WindowEnd, used: Units, { at, sentAt }: Reading): Window {
  const { least, most } = end;
  return { least, reset: most, used, seenAt: at, askedAt: sentAt, base: null, own: 0, others: 0 };
}

export function isSameWindow(window: Pick<Window, 'least' | 'reset'>, end: WindowEnd): boolean {
  return end.least - window.reset <= SAME_WINDOW_MS && window.least - end.most <= SAME_WINDOW_MS;
}

/**
 * Whether a reading that came late is of the window that ended: it may be, and the window after that
 * ends later than the reading tells.
 */
export function isOfEnded(end: WindowEnd, endedAt: EpochMs, windowMs: DurationMs): boolean {
  const { least, most } = end;
  return least <= endedAt + SAME_WINDOW_MS && most < endedAt + windowMs - SAME_WINDOW_MS;
}

/** @param byOurs whether its end was worked out by our clock, which was set back */
export function moveBack(window: Window, by: DurationMs, byOurs: boolean): void {
  if (byOurs) {
    window.least -= by;
    window.reset -= by;
  }
  window.seenAt -= by;
  window.askedAt -= by;
}

/** Another reading of the same window. What both leave open is its end; the later where they differ. */
export function readAgain(
  window: Window,
  other: Pick<Window, 'least' | 'reset' | 'used' | 'seenAt' | 'askedAt'>,
): void {
  window.used = Math.max(window.used, other.used);
  window.least = Math.max(window.least, other.least);
  window.reset = Math.max(window.least, Math.min(window.reset, other.reset));
  window.seenAt = Math.max(window.seenAt, other.seenAt);
  window.askedAt = Math.max(window.askedAt, other.askedAt);
}

/**
 * Units that only others can have used, beyond those already known of. Everything of ours that may
 * be in the reading is taken to be in it, so it is certain; what it misses, a later one shows.
 */
export function othersShownBy(window: Window, used: Units): Units {
  const more = used - (window.base ?? used) - window.own - window.others;
  if (more <= 0) return 0;
  window.others += more;
  return more;
}

/** Open holds are left out of `own`: they are set aside again when it is read back. */
export function windowRow(window: Window, held: Units) {
  const { least, reset, used, seenAt, askedAt, base, own, others } = window;
  return [reset, used, seenAt, askedAt, base, own - held, others, least] as const;
}

export function windowFrom(row: ReturnType<typeof windowRow>): Window {
  const [reset, used, seenAt, askedAt, base, own, others, least] = row;
  return { least, reset, used, seenAt, askedAt, base, own, others };
}
