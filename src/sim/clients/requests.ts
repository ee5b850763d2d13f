/**
 * Python's `requests` with urllib3's `Retry` mounted, as its users set it: urllib3 2.x,
 * `src/urllib3/util/retry.py` (`is_retry`, `increment`, `get_backoff_time`, `sleep`).
 */
import { field } from '../../core/head.ts';
import type { DurationMs } from '../../core/units.ts';
import type { Failure, RetryRules } from './rules.ts';

export interface RequestsSettings {
  readonly total: number;
  /** Seconds. */
  readonly backoffFactor: number;
  readonly statusForcelist: readonly number[];
  /** `null`: every method, which is what callers of an LLM API set, because they POST. */
  readonly allowedMethods: readonly string[] | null;
}

/** What tutorials and answers show: `Retry(total=5, backoff_factor=1, status_forcelist=[…])`. */
export const USUAL_RETRY: RequestsSettings = {
  total: 5,
  backoffFactor: 1,
  statusForcelist: [429, 500, 502, 503, 504],
  allowedMethods: null,
};

/** urllib3's own `DEFAULT_ALLOWED_METHODS`. */
export const IDEMPOTENT_METHODS = ['HEAD', 'GET', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'] as const;

/** Retried even when not in the list, if the answer says when: `RETRY_AFTER_STATUS_CODES`. */
const TOLD_STATUSES: readonly number[] = [413, 429, 503];
const LONGEST_BACKOFF_MS: DurationMs = 120_000;
const LONGEST_TOLD_MS: DurationMs = 21_600_000;

export function requestsRules(settings: RequestsSettings): RetryRules {
  return {
    // `requests` waits for ever unless it is told otherwise.
    attemptTimeoutMs: Infinity,
    fieldsOf: () => ['user-agent', 'python-requests/2.34.2'],
    retryIn(failure) {
      if (failure.attempts > settings.total || !isRetried(failure, settings)) return null;
      const told = toldWait(failure);
      // A wait of nothing is taken for none: the backoff follows.
      if (told !== null && told > 0) return told;
      // The first retry comes at once; after that 2, 4, 8 … times the factor.
      if (failure.attempts === 1) return 0;
      const backoff = settings.backoffFactor * 1000 * 2 ** (failure.attempts - 1);
      return Math.min(LONGEST_BACKOFF_MS, backoff);
    },
  };
}

function isRetried({ job, response }: Failure, settings: RequestsSettings): boolean {
  if (settings.allowedMethods !== null && !settings.allowedMethods.includes(job.method)) {
    return false;
  }
  if (response.by === 'network' || settings.statusForcelist.includes(response.status)) return true;
  const told = field(response.fields, 'retry-after') !== undefined;
  return told && TOLD_STATUSES.includes(response.status);
}

function toldWait({ response, wall }: Failure): DurationMs | null {
  const written = field(response.fields, 'retry-after');
  if (written === undefined) return null;
  const ms = /^\s*\d+\s*$/.test(written) ? Number(written) * 1000 : Date.parse(written) - wall;
  return Number.isNaN(ms) ? null : Math.min(LONGEST_TOLD_MS, Math.max(0, ms));
}
