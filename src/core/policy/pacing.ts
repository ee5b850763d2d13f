import type { DurationMs, Units } from '../units.ts';
import type { CompiledPolicy, PolicyPacing } from './types.ts';

/** Without a word in the policy: keep for those who matter more, and never spread. */
export const DEFAULT_PACING: PolicyPacing = Object.freeze({
  protect: true,
  values: Object.freeze({ high: 10, normal: 3, background: 1 }),
  floor: 0.02,
  spread: null,
});

/** Of what is left, that may go at once where nothing else is said. */
export const DEFAULT_BURST = 0.02;
/** Probability of running out from which on spreading is worth its delays. */
export const DEFAULT_SPREAD_WHEN = 0.5;

export function pacingOf(policy: CompiledPolicy): PolicyPacing {
  return policy.pacing ?? DEFAULT_PACING;
}

/**
 * The rhythm at which `left` lasts until the reset: units a millisecond. Worked out anew whenever it
 * is asked for, so that what others took or gave back changes it at once.
 * @param leftMs until the reset
 */
export function evenRate(left: Units, leftMs: DurationMs): number {
  return Math.max(0, left) / Math.max(1, leftMs);
}

/**
 * Units that went out faster than the rhythm allows and are still to be waited for. Kept in units,
 * not as a time, so that a rhythm which changes meanwhile counts from now on.
 */
export class Debt {
  private units: Units = 0;
  private at: number;

  constructor(at: number) {
    this.at = at;
  }

  /**
   * @param now milliseconds on any clock, always the same one
   * @param rate units a millisecond
   */
  private owed(now: number, rate: number): Units {
    return Math.max(0, this.units - Math.max(0, now - this.at) * rate);
  }

  /** Milliseconds until no more than `burst` units are owed; `Infinity` when that never comes. */
  wait(now: number, rate: number, burst: Units): DurationMs {
    const beyond = this.owed(now, rate) - burst;
    // A hair's breadth is a rounding error, not a debt.
    if (beyond <= 1e-6) return 0;
    return rate <= 0 ? Infinity : beyond / rate;
  }

  took(units: Units, now: number, rate: number): void {
    this.units = this.owed(now, rate) + units;
    this.at = Math.max(this.at, now);
  }
}
