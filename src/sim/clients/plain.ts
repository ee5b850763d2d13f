/** Clients without a library: a loop that sleeps and tries again, and one that never does. */
import type { DurationMs } from '../../core/units.ts';
import type { RetryRules } from './rules.ts';

export interface NaiveSettings {
  readonly sleepMs: DurationMs;
  /** Attempts in all; `Infinity` = until the deadline. */
  readonly attempts: number;
}

/** `while not ok: sleep(1)`. */
export const USUAL_LOOP: NaiveSettings = { sleepMs: 1000, attempts: Infinity };

/** Reads nothing of the answer but that it failed. */
export function naiveRules({ sleepMs, attempts }: NaiveSettings): RetryRules {
  return {
    attemptTimeoutMs: Infinity,
    fieldsOf: () => ['user-agent', 'curl/8.5.0'],
    retryIn: (failure) => (failure.attempts < attempts ? sleepMs : null),
  };
}

export const noRetry: RetryRules = naiveRules({ sleepMs: 0, attempts: 1 });
