import type { JsonValue } from '../units.ts';

/** Share of the past that an outcome makes the losses forget: they look back over some fifty horizons. */
const FORGET = 1 / 200;
/**
 * Trials that count as one independent: four overlap, errors of neighbours go together, and between two
 * that are about as good a mean is better than either.
 */
const TRIALS_EACH = 16;
/** Odds against the second opinion before anything is known, as a logarithm. */
const DOUBT = 1;
/** A single loss counts as so many times the mean at most: one long silence must not outweigh a day. */
const OUTLIER = 4;
/** Outcomes before a mean tells an outlier. */
const SETTLED = 20;

/**
 * How much a second opinion counts for the middle of a forecast. Both are judged by how far off ln T was
 * on average; the weight is the odds of two Laplace laws with these for scales (a Gibbs posterior).
 */
export class Blend {
  private own = 0;
  private second = 0;
  private outcomes = 0;

  get bytes(): number {
    return 3 * 8;
  }

  /** Of the second opinion, 0…1. */
  get weight(): number {
    const { own, second } = this;
    const known = Math.min(this.outcomes, 1 / FORGET) / TRIALS_EACH;
    const ahead = (own - second) / Math.max(1e-9, Math.min(own, second));
    return 1 / (1 + Math.exp(DOUBT - known * ahead));
  }

  /** What both said and what happened: logarithms of seconds. */
  learn(own: number, second: number, happened: number): void {
    this.outcomes += 1;
    const share = Math.max(FORGET, 1 / this.outcomes);
    const most = this.outcomes > SETTLED ? OUTLIER * Math.min(this.own, this.second) : Infinity;
    this.own += share * (Math.min(most, Math.abs(own - happened)) - this.own);
    this.second += share * (Math.min(most, Math.abs(second - happened)) - this.second);
  }

  save(): JsonValue {
    return [this.outcomes, this.own, this.second];
  }

  load(saved: JsonValue): void {
    [this.outcomes, this.own, this.second] = saved as unknown as [number, number, number];
  }
}
