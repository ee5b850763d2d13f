/**
 * `reset` has as many meanings as vendors: epoch seconds (GitLab, Exa), epoch milliseconds (Linear),
 * epoch with decimals (Discord), seconds from now (Replicate, Together, IETF), a Go duration (Groq),
 * RFC 3339 (Anthropic), ISO to the minute (Jira). Which one it is shows by plausibility: a quota
 * resets within about a year of the response's own `Date`.
 */
import type { DurationMs, EpochMs } from '../../src/core/units.ts';
import { parseGoDuration } from '../dialects/go-duration.ts';
import { parseDecimal } from '../dialects/retry-after.ts';

export interface Reset {
  /** Absolute, on the provider's clock. */
  at: EpochMs | undefined;
  /** Relative to the response. */
  in: DurationMs | undefined;
}

const NEAR_MS = 400 * 86_400_000;
/** 2001-09-09 and 2128-06-11: the years in which a number is an epoch when there is no `Date`. */
const EPOCH_FROM = 1e12;
const EPOCH_TO = 5e12;

/** Fills `into`; false when the value means nothing. */
export function readReset(value: string, date: EpochMs | null, into: Reset): boolean {
  into.at = into.in = undefined;
  const number = parseDecimal(value);
  if (!Number.isNaN(number)) return readNumber(number, date, into);
  const text = value.trim();
  const duration = parseGoDuration(text);
  if (!Number.isNaN(duration)) {
    into.in = Math.ceil(duration);
    return true;
  }
  if (text.length > 40 || !/^(?:\d{4}-\d\d-\d\dT|[A-Za-z]{3,9}, )/.test(text)) return false;
  const at = Date.parse(text);
  if (Number.isNaN(at) || !isEpoch(at, date)) return false;
  into.at = at;
  return true;
}

function readNumber(number: number, date: EpochMs | null, into: Reset): boolean {
  if (isEpoch(number * 1000, date)) into.at = Math.floor(number * 1000);
  else if (isEpoch(number, date)) into.at = Math.floor(number);
  else if (number * 1000 <= NEAR_MS) into.in = Math.ceil(number * 1000);
  else return false;
  return true;
}

function isEpoch(ms: number, date: EpochMs | null): boolean {
  if (date === null) return ms >= EPOCH_FROM && ms <= EPOCH_TO;
  // A Date near the epoch's start would make every small number ambiguous; there, seconds win.
  return date > NEAR_MS * 2 && Math.abs(ms - date) <= NEAR_MS;
}
