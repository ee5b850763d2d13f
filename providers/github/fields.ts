import { parseRetryAfter } from '../dialects/retry-after.ts';
import type { ResponseHead } from '../../src/core/head.ts';
import type { DurationMs, EpochMs } from '../../src/core/units.ts';
import { SECOND } from '../../src/core/units.ts';

/** The rate-limit fields of one response. −1 and `''` mean absent or unreadable. */
export interface RateFields {
  limit: number;
  remaining: number;
  used: number;
  /** Epoch seconds. */
  reset: number;
  resource: string;
  /** Milliseconds that `retry-after` asks to wait, at least a second. */
  retryInMs: DurationMs;
  /** Names the secondary limiter that refused; undocumented. */
  limitedBy: string;
  /** Names of fields that could not be read; `null` while there are none. */
  malformed: string[] | null;
}

/** 9999-12-31: later resets are no times. */
export const LATEST_S = 253_402_300_799;
const NAME = /^[\w.-]{1,64}$/;

export function isBucketName(name: string): boolean {
  return NAME.test(name);
}

/**
 * One pass over the raw fields. Name lengths tell most of them apart, so that hardly any field is
 * compared and none is copied. The first of duplicates counts.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#checking-the-status-of-your-rate-limit
 */
export function readRateFields(head: ResponseHead): RateFields {
  const { fields } = head;
  const read: RateFields = {
    limit: -1,
    remaining: -1,
    used: -1,
    reset: -1,
    resource: '',
    retryInMs: -1,
    limitedBy: '',
    malformed: null,
  };
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    switch (name.length) {
      case 17: // x-ratelimit-limit, x-ratelimit-reset
        if (isNamed(name, 'x-ratelimit-limit')) {
          if (read.limit < 0) read.limit = count(read, 'x-ratelimit-limit', value);
        } else if (isNamed(name, 'x-ratelimit-reset')) {
          if (read.reset < 0) read.reset = epoch(read, value);
        }
        break;
      case 16:
        if (read.used < 0 && isNamed(name, 'x-ratelimit-used')) {
          read.used = count(read, 'x-ratelimit-used', value);
        }
        break;
      case 21:
        if (read.remaining < 0 && isNamed(name, 'x-ratelimit-remaining')) {
          read.remaining = count(read, 'x-ratelimit-remaining', value);
        }
        break;
      case 20:
        if (read.resource === '' && isNamed(name, 'x-ratelimit-resource')) {
          if (NAME.test(value)) read.resource = value;
          else spoil(read, 'x-ratelimit-resource');
        }
        break;
      case 11:
        if (read.retryInMs < 0 && isNamed(name, 'retry-after')) {
          read.retryInMs = retryIn(read, value, head.date);
        }
        break;
      case 13:
        if (read.limitedBy === '' && isNamed(name, 'gh-limited-by')) {
          // Present but odd still tells that a limiter spoke.
          read.limitedBy = NAME.test(value) ? value : 'unreadable';
        }
        break;
      default:
    }
  }
  return read;
}

/** Whether any field of the primary limits was there and readable. */
export function saysQuota(read: RateFields): boolean {
  return read.limit >= 0 || read.remaining >= 0 || read.used >= 0;
}

function isNamed(name: string, lower: string): boolean {
  return name === lower || name.toLowerCase() === lower;
}

function spoil(read: RateFields, field: string): void {
  (read.malformed ??= []).push(field);
}

function count(read: RateFields, field: string, value: string): number {
  const number = wholeNumber(value);
  if (number < 0) spoil(read, field);
  return number;
}

function epoch(read: RateFields, value: string): number {
  const seconds = wholeNumber(value);
  if (seconds >= 0 && seconds <= LATEST_S) return seconds;
  spoil(read, 'x-ratelimit-reset');
  return -1;
}

/** GitHub has sent it blank: then it counts as absent, not as unreadable. */
function retryIn(read: RateFields, value: string, date: EpochMs | null): DurationMs {
  if (value === '') return -1;
  const ms = parseRetryAfter(value, date);
  if (!Number.isNaN(ms)) return Math.max(SECOND, ms);
  spoil(read, 'retry-after');
  return -1;
}

/** A non-negative decimal integer of at most 15 digits, else −1. */
export function wholeNumber(text: string): number {
  const length = text.length;
  if (length === 0 || length > 15) return -1;
  let number = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}
