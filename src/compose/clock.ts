import type { Clock } from '../core/ports.ts';

/**
 * The process's clocks. The system may set the wall clock back at any time; the engine notices, and
 * moves what was noted by the wrong one.
 */
export function systemClock(): Clock {
  return { now: () => ({ wall: Date.now(), mono: performance.now() }) };
}
