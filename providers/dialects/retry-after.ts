/**
 * `Retry-After`: delay in seconds or an HTTP-date (RFC 9110 section 10.2.3), and the SDKs' finer
 * `retry-after-ms`. Seconds with a fraction are accepted, as the OpenAI SDKs and Shopify do.
 */
import { field } from '../../src/core/head.ts';
import type { ResponseHead } from '../../src/core/head.ts';
import type { DurationMs } from '../../src/core/units.ts';

/** `undefined` = not there; `NaN` = there, but unreadable. */
export interface RetryAfter {
  readonly ms: DurationMs | undefined;
  readonly malformed: string | undefined;
}

const ABSENT: RetryAfter = { ms: undefined, malformed: undefined };
/** Beyond this a value is a mistake (or milliseconds): nobody is told to come back next year. */
const MAX_MS = 366 * 86_400_000;

/** An HTTP-date is read against the response's own `Date`; without one it cannot be used. */
export function readRetryAfter(head: ResponseHead): RetryAfter {
  const fine = field(head.fields, 'retry-after-ms');
  let malformed: string | undefined;
  if (fine !== undefined) {
    const ms = parseDecimal(fine);
    if (ms <= MAX_MS) return { ms: Math.ceil(ms), malformed: undefined };
    malformed = 'retry-after-ms';
  }
  const coarse = field(head.fields, 'retry-after');
  if (coarse === undefined || coarse.trim() === '') {
    return malformed === undefined ? ABSENT : { ms: undefined, malformed };
  }
  const ms = parseRetryAfter(coarse, head.date);
  return Number.isNaN(ms) ? { ms: undefined, malformed: 'retry-after' } : { ms, malformed };
}

/** @returns milliseconds ≥ 0, or `NaN` */
export function parseRetryAfter(value: string, date: number | null): DurationMs {
  const seconds = parseDecimal(value);
  if (seconds * 1000 <= MAX_MS) return Math.ceil(seconds * 1000);
  if (!/^\s*[A-Za-z]{3,9},/.test(value) || value.length > 64) return NaN;
  const at = Date.parse(value);
  if (Number.isNaN(at) || date === null) return NaN;
  const wait = Math.max(0, at - date);
  return wait <= MAX_MS ? wait : NaN;
}

/** Plain non-negative decimal, or `NaN`. */
export function parseDecimal(value: string): number {
  return value.length <= 24 && /^\s*\d+(?:\.\d+)?\s*$/.test(value) ? Number(value) : NaN;
}
