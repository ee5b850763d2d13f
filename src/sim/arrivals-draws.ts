/** Distributions that agents draw costs, deadlines and values from. */
import type { Random } from './random.ts';

/** A plain number is a constant. All are in the unit of what is drawn. */
export type Distribution =
  | number
  | { readonly kind: 'uniform'; readonly low: number; readonly high: number }
  | { readonly kind: 'exponential'; readonly mean: number }
  /** `sigma` of the logarithm. */
  | { readonly kind: 'lognormal'; readonly median: number; readonly sigma: number }
  /** Heavy-tailed: P(X > x) = (minimum / x)^alpha, cut off at `maximum`. */
  | {
      readonly kind: 'pareto';
      readonly minimum: number;
      readonly alpha: number;
      readonly maximum: number;
    }
  /** One of the values, each as likely as the other. */
  | { readonly kind: 'empirical'; readonly values: readonly number[] };

export function draw(from: Distribution, random: Random): number {
  if (typeof from === 'number') return from;
  switch (from.kind) {
    case 'uniform':
      return random.between(from.low, from.high);
    case 'exponential':
      return random.exponential(from.mean);
    case 'lognormal':
      return from.median * Math.exp(from.sigma * random.normal());
    case 'pareto':
      return Math.min(from.maximum, from.minimum * (1 - random.next()) ** (-1 / from.alpha));
    case 'empirical': {
      const found = from.values[random.whole(0, from.values.length - 1)];
      if (found === undefined) throw new Error('an empirical distribution needs values');
      return found;
    }
  }
}

/** Whole, at least 1. */
export function drawWhole(from: Distribution, random: Random): number {
  return Math.max(1, Math.round(draw(from, random)));
}

/** The largest value that it can give; `Infinity` where the tail has no end. */
export function largest(of: Distribution): number {
  if (typeof of === 'number') return of;
  switch (of.kind) {
    case 'uniform':
      return of.high;
    case 'pareto':
      return of.maximum;
    case 'empirical':
      return Math.max(...of.values);
    case 'exponential':
    case 'lognormal':
      return Infinity;
  }
}

/** Gamma with that shape and scale; mean = shape · scale (Marsaglia and Tsang 2000). */
export function gamma(random: Random, shape: number, scale: number): number {
  if (shape < 1) {
    // Boosting: a gamma of shape + 1 times U^(1/shape).
    return gamma(random, shape + 1, scale) * (1 - random.next()) ** (1 / shape);
  }
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = randomNormal(random);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
      return d * v * scale;
    }
  }
}

/** Weibull with that shape and scale; mean = scale · Γ(1 + 1/shape). */
export function weibull(random: Random, shape: number, scale: number): number {
  return scale * random.exponential(1) ** (1 / shape);
}

/** `Random.normal` takes the logarithm of a draw that may be 0. */
function randomNormal(random: Random): number {
  for (;;) {
    const x = random.normal();
    if (Number.isFinite(x)) return x;
  }
}
