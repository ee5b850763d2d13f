/**
 * The `openai` package for Node, 7.55.0: `shouldRetry`, `retryRequest` and
 * `calculateDefaultRetryTimeoutMillis` in its `client.js`.
 */
import { field } from '../../core/head.ts';
import type { DurationMs } from '../../core/units.ts';
import type { SimResponse } from '../types.ts';
import { NODE_FETCH_TIMEOUT_MS } from './client.ts';
import type { Failure, RetryRules } from './rules.ts';

export interface OpenaiSettings {
  /** The SDK's default is 2. */
  readonly maxRetries: number;
}

/** A wait told by the server is taken only up to here; a longer one is as good as none. */
const LONGEST_TOLD_MS: DurationMs = 60_000;
const FIRST_BACKOFF_MS: DurationMs = 500;
const LONGEST_BACKOFF_MS: DurationMs = 8_000;
/** Share of the backoff that chance may take away. */
const JITTER = 0.25;

export function openaiRules({ maxRetries }: OpenaiSettings): RetryRules {
  return {
    attemptTimeoutMs: NODE_FETCH_TIMEOUT_MS,
    fieldsOf: (attempt) => [
      'user-agent',
      'OpenAI/JS 7.55.0',
      'x-stainless-lang',
      'js',
      'x-stainless-retry-count',
      String(attempt - 1),
    ],
    retryIn(failure) {
      if (failure.attempts > maxRetries || !isRetried(failure.response)) return null;
      const told = toldWait(failure);
      // Not a comparison alone: NaN, from a date that is none, is no wait either.
      if (told !== null && told >= 0 && told <= LONGEST_TOLD_MS) return told;
      const backoff = Math.min(FIRST_BACKOFF_MS * 2 ** (failure.attempts - 1), LONGEST_BACKOFF_MS);
      return backoff * (1 - failure.random.next() * JITTER);
    },
  };
}

function isRetried({ by, status, fields }: SimResponse): boolean {
  if (by === 'network') return true;
  const asked = field(fields, 'x-should-retry');
  if (asked === 'true') return true;
  if (asked === 'false') return false;
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

/** `retry-after-ms` outranks `retry-after`, which is in seconds or a date. */
function toldWait({ response, wall }: Failure): DurationMs | null {
  const ms = parseFloat(field(response.fields, 'retry-after-ms') ?? '');
  if (!Number.isNaN(ms)) return ms;
  const written = field(response.fields, 'retry-after');
  if (written === undefined || written === '') return null;
  const seconds = parseFloat(written);
  return Number.isNaN(seconds) ? Date.parse(written) - wall : seconds * 1000;
}
