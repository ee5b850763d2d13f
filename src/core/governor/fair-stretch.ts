import type { DurationMs } from '../units.ts';

/** Weight of what was seen before, with each new wait. */
const MEMORY = 0.96;
/** Waits of this much say little against each other. */
const PRIOR_MS: DurationMs = 500;
const MOST = 20;

/** Normal quantile of 90 %. */
const RARELY = 1.2816;

/**
 * Waits as they were, against what was worked out when they began. A line as it stands tells who goes
 * first now; that others will come who go first as well is learned from those who waited before.
 */
export class Stretch {
  private waited: DurationMs = 0;
  private predicted: DurationMs = 0;
  /** Of the waits' ratios to what was worked out, weighted by the latter: the sum of squares. */
  private squares = 0;

  add(waited: DurationMs, predicted: DurationMs): void {
    this.waited = this.waited * MEMORY + waited;
    this.predicted = this.predicted * MEMORY + predicted;
    this.squares = this.squares * MEMORY + (waited * waited) / Math.max(PRIOR_MS, predicted);
  }

  /**
   * At least 1: a wait shorter than worked out is a pleasure, not a promise.
   * @param others what is known of others like it, for as long as little is known of its own
   * @param plainMs the wait to be stretched: a few short ones say little of a long one
   */
  factor(others: number, plainMs: DurationMs): number {
    const prior = Math.max(PRIOR_MS, plainMs);
    return bounded((this.waited + prior * others) / (this.predicted + prior));
  }

  /** The same, for a wait that goes as well as one in ten does. */
  least(others: number, plainMs: DurationMs): number {
    const prior = Math.max(PRIOR_MS, plainMs);
    const seen = this.predicted + prior;
    const mean = (this.waited + prior * others) / seen;
    const variance = (this.squares + prior * others * others) / seen - mean * mean;
    return bounded(mean - RARELY * Math.sqrt(Math.max(0, variance)));
  }
}

function bounded(factor: number): number {
  return Math.min(MOST, Math.max(1, factor));
}
