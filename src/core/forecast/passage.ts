/**
 * When will `remaining` units be used up, if demand is a Poisson stream of lumps whose rate is itself
 * uncertain? With lumps of D units a rate that is gamma distributed gives the time to the k-th lump,
 * k = remaining / D, as b · BetaPrime(k, a): closed form, no simulation.
 */
import { betaQuantile, incompleteBeta } from './special.ts';

/** Shape `k`, and the rate's gamma posterior: `a` lumps seen in `b` seconds. */
export interface Passage {
  readonly k: number;
  readonly a: number;
  readonly b: number;
}

/** Before anything is known: half a lump in a second, soon outweighed. More seconds would promise too much. */
export const PRIOR_LUMPS = 0.5;
export const PRIOR_SECONDS = 1;

/**
 * @param rate units a second
 * @param dispersion units (variance over mean)
 * @param seconds of experience behind the rate
 */
export function passage(
  remaining: number,
  rate: number,
  dispersion: number,
  seconds: number,
): Passage {
  const lump = Math.max(1e-9, dispersion);
  return {
    k: Math.max(1e-6, remaining / lump),
    a: (rate * seconds) / lump + PRIOR_LUMPS,
    b: seconds + PRIOR_SECONDS,
  };
}

/** P(T ≤ seconds). */
export function within({ k, a, b }: Passage, seconds: number): number {
  if (seconds <= 0) return 0;
  if (seconds === Infinity) return 1;
  return incompleteBeta(seconds / (seconds + b), k, a);
}

/** Seconds that it lasts at least with probability `p`. */
export function lastsWith({ k, a, b }: Passage, p: number): number {
  const x = betaQuantile(1 - p, k, a);
  return x >= 1 ? Infinity : (b * x) / (1 - x);
}
