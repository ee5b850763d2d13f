import type { PoolSpec } from '../../src/core/claim.ts';
import type { QuotaObservation } from '../../src/core/observation.ts';
import { HOUR, MINUTE, SECOND } from '../../src/core/units.ts';
import type { DurationMs, EpochMs } from '../../src/core/units.ts';

/** Figures of one bucket as told; −1 = not told. `reset` in epoch seconds. */
export interface Figures {
  readonly limit: number;
  readonly remaining: number;
  readonly used: number;
  readonly reset: number;
}

export interface Circumstances {
  /** The response that carried the figures was not itself counted. */
  readonly free: boolean;
  /** On an Enterprise Server the administrator chooses the window: documents say nothing of it. */
  readonly selfHosted: boolean;
  readonly date: EpochMs | null;
}

/**
 * One bucket's state. `used` was not sent before 2020 and may exceed the limit; whichever of the
 * three figures is missing follows from the other two.
 */
export function quotaOf(spec: PoolSpec, told: Figures, as: Circumstances): QuotaObservation {
  const { limit } = told;
  let { remaining, used } = told;
  if (limit >= 0) {
    if (used < 0 && remaining >= 0) used = Math.max(0, limit - remaining);
    else if (remaining < 0 && used >= 0) remaining = Math.max(0, limit - used);
  }
  const observation: Writable<QuotaObservation> = { kind: 'quota', spec };
  if (limit >= 0) observation.limit = limit;
  if (remaining >= 0) observation.remaining = remaining;
  if (used >= 0) observation.used = used;
  // Of an unused bucket the reset is merely now + window: no window is open, none ends there.
  if (told.reset >= 0 && used !== 0) observation.resetAt = told.reset * SECOND;
  const windowMs = windowOf(spec, told.reset, used, as);
  if (windowMs !== undefined) observation.windowMs = windowMs;
  if (as.free) observation.free = true;
  return observation;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Slack between `Date` and the moment the reset was computed. */
const SLACK_MS = 2 * SECOND;

function windowOf(
  spec: PoolSpec,
  reset: number,
  used: number,
  as: Circumstances,
): DurationMs | undefined {
  if (spec.windowMs !== undefined && !as.selfHosted) return spec.windowMs;
  if (used !== 0 || reset < 0 || as.date === null) return undefined;
  const ahead = reset * SECOND - as.date;
  if (Math.abs(ahead - HOUR) <= SLACK_MS) return HOUR;
  return Math.abs(ahead - MINUTE) <= SLACK_MS ? MINUTE : undefined;
}
