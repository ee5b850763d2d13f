import type { Clock } from '../core/ports.ts';
import type { Instant } from '../core/units.ts';

/**
 * The process's clocks. The wall clock may be set back by the system; windows then simply last
 * longer here than to have time run backwards in the ledger.
 */
export function systemClock(): Clock {
  let latest = 0;
  return {
    now(): Instant {
      const wall = Date.now();
      if (wall > latest) latest = wall;
      return { wall: latest, mono: performance.now() };
    },
  };
}
