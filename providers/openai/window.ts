/**
 * The window OpenAI does not state. Its quotas are buckets that refill continuously, and `reset` is
 * the time until completely full:
 *
 *     reset = missing / limit × W        missing = limit − remaining, before `remaining` is floored
 *
 * so that (missing−1)/limit·W < reset ≤ missing/limit·W, with `reset` cut to whole milliseconds.
 * The same field name carries limits per minute and per day: 10,000 requests with `8.64s` are a
 * day's. Facts: README.md, "The hidden window".
 */
import type { DurationMs, Units } from '../../src/core/units.ts';
import { DAY, MINUTE } from '../../src/core/units.ts';

const WINDOWS: readonly DurationMs[] = [MINUTE, DAY];
/** `reset` is printed in whole milliseconds, cut off. */
const GRAIN_MS = 1;

/** @returns 60,000 or 86,400,000, or `undefined` when the figures imply neither */
export function hiddenWindow(
  limit: Units,
  remaining: Units,
  resetMs: DurationMs,
): DurationMs | undefined {
  const missing = limit - remaining;
  if (missing <= 0 || resetMs < GRAIN_MS) return undefined;
  const implied = (resetMs * limit) / missing;
  let nearest: DurationMs = MINUTE;
  for (const window of WINDOWS) {
    if (Math.abs(Math.log(implied / window)) < Math.abs(Math.log(implied / nearest))) {
      nearest = window;
    }
  }
  // A window that is near and yet impossible means that the figures are not what they seem.
  return explains(nearest, limit, missing, resetMs) ? nearest : undefined;
}

/** Whether a window of this length can have produced the figures. */
export function explains(
  windowMs: DurationMs,
  limit: Units,
  missing: Units,
  resetMs: DurationMs,
): boolean {
  const perUnit = windowMs / limit;
  return resetMs <= missing * perUnit + 1e-6 && resetMs + GRAIN_MS > (missing - 1) * perUnit - 1e-6;
}
