/**
 * What is still to be asked of a pool before it is full again: the port that protection asks, and a
 * simple estimate behind it.
 *
 * The estimate is gamma–Poisson: requests come in lumps of D units (variance over mean of what was
 * asked in blocks of time), their rate is known as well as the time looked back over allows. So the
 * units of the next h ms have mean λh and variance Dλh(1 + h/b), b being the time looked back over:
 * negative binomial in lumps.
 */
import { normal, normalQuantile } from '../forecast/special.ts';
import type { Offered } from '../quota/offered.ts';
import type { DurationMs, EpochMs, Units } from '../units.ts';

/** A number of units nobody knows yet. */
export interface Prospect {
  readonly mean: Units;
  readonly variance: number;
  /** Units that come at once, at least: it is a whole number of these. */
  readonly lump: Units;
  /** Variance because the rate is not known, over that of chance alone; absent = as much. */
  readonly unsure?: number;
}

/** What a forecast of demand must answer. Offered demand, each request once however often retried. */
export interface DemandOutlook {
  /** Units that requests of class `rank` (0 high … 2 background) will ask for in the next `ms`. */
  ahead(offered: Offered, rank: number, ms: DurationMs, now: EpochMs): Prospect;
}

export const NOTHING: Prospect = Object.freeze({ mean: 0, variance: 0, lump: 1 });

/** Weight of what coarser rungs say, in time constants: a rung that saw little leans on the next. */
const LEAN = 0.25;
/**
 * Part of the time looked ahead that is taken to have been quiet before anything was known, and the
 * number of requests that halves it: one in the first second says little of the next hour, twenty-five
 * in the first minute say nearly all.
 */
const COLD = 1 / 16;
const CONVINCING = 4;
/**
 * How much more uneven than what was seen the future is, for the rate itself drifts between looking
 * back and ahead. Found by simulation: from 2 to 4 nothing changes by more than a fifth of a percent of
 * the value served; at 1 daily cycles lose one percent.
 */
const UNSTEADY = 2.5;
/** Blocks that the mean size of a request stands for, where dispersion was seen in few. */
const FEW_BLOCKS = 2;

/** By what was asked so far: look back about as far as ahead. */
export const FROM_HISTORY: DemandOutlook = {
  ahead(offered, rank, ms, now) {
    if (ms <= 0 || (offered.seen & (1 << rank)) === 0) return NOTHING;
    const near = offered.asked(rank, ms, now);
    const far = offered.asked(rank, ms, now, 1);
    const size = Math.max(1e-9, offered.sizeOf(rank));
    const cold = (COLD * ms) / (1 + near.units / size / CONVINCING);
    // Only what the coarser rung saw beyond the nearer one is a habit to lean on.
    const lean = Math.min(LEAN * ms, Math.max(0, far.exposureMs - near.exposureMs));
    const habit = far.units / (far.exposureMs + cold);
    const exposure = near.exposureMs + lean + cold;
    const mean = ((near.units + habit * lean) / exposure) * ms;
    const told = near.dispersion ?? far.dispersion;
    const blocks = near.dispersion === null ? far.blocks : near.blocks;
    const spread =
      told === null ? size : (UNSTEADY * told * blocks + size * FEW_BLOCKS) / (blocks + FEW_BLOCKS);
    const lump = Math.max(size, spread / UNSTEADY);
    const unsure = ms / exposure;
    return { mean, variance: Math.max(lump, spread) * mean * (1 + unsure), lump, unsure };
  },
};

/** Of independent prospects. */
export function together(a: Prospect, b: Prospect): Prospect {
  if (a.mean <= 0) return b;
  if (b.mean <= 0) return a;
  const mean = a.mean + b.mean;
  const variance = a.variance + b.variance;
  const lump = (a.lump * a.mean + b.lump * b.mean) / mean;
  if (a.unsure === undefined && b.unsure === undefined) return { mean, variance, lump };
  const unsure = (unsureOf(a) * a.variance + unsureOf(b) * b.variance) / variance;
  return { mean, variance, lump, unsure };
}

function unsureOf({ unsure }: Prospect): number {
  return unsure ?? 1;
}

/** What comes in the first part of the time (gamma–Poisson). @param share 0…1 */
export function within(of: Prospect, share: number): Prospect {
  if (share <= 0 || of.mean <= 0) return NOTHING;
  const unsure = unsureOf(of);
  const variance = (of.variance * share * (1 + share * unsure)) / (1 + unsure);
  return { mean: of.mean * share, variance, lump: of.lump, unsure: share * unsure };
}

/** What comes after the first part of the time, when so much came in it. @param share 0…1 */
export function rest(of: Prospect, share: number, seen: Units): Prospect {
  if (share >= 1 || of.mean <= 0) return NOTHING;
  const unsure = unsureOf(of);
  const known = 1 + share * unsure;
  const rate = (1 + (unsure * seen) / of.mean) / known;
  const left = ((1 - share) * unsure) / known;
  const variance = (of.variance * (1 - share) * rate * (1 + left)) / (1 + unsure);
  return { mean: of.mean * (1 - share) * rate, variance, lump: of.lump, unsure: left };
}

/** Up to so many lumps are counted through; beyond, Wilson and Hilferty's cube root is as good. */
const COUNTED_LUMPS = 40;
const MOST_STEPS = 400;

/** Least number of units that is not exceeded with probability `p`. */
export function quantile(of: Prospect, p: number): Units {
  if (of.mean <= 0 || p <= 0) return 0;
  if (of.mean / of.lump > COUNTED_LUMPS) return cubeRootQuantile(of, Math.min(p, 1 - 1e-9));
  const law = new Lumps(of);
  while (law.atMost < p && law.count < MOST_STEPS) law.next();
  return law.count * of.lump;
}

/** Probability that at least so many units are asked for. */
export function chanceOf(of: Prospect, units: Units): number {
  if (units <= 0) return 1;
  if (of.mean <= 0) return 0;
  if (of.mean / of.lump > COUNTED_LUMPS) return cubeRootChance(of, units);
  const law = new Lumps(of);
  const below = Math.ceil(units / of.lump) - 1;
  while (law.count < below && law.count < MOST_STEPS) law.next();
  return Math.max(0, 1 - law.atMost);
}

/** The negative binomial distribution of lumps, walked through from 0. */
class Lumps {
  count = 0;
  /** P(lumps ≤ count). */
  atMost: number;
  private here: number;
  private readonly shape: number;
  private readonly ratio: number;

  constructor({ mean, variance, lump }: Prospect) {
    const lumps = mean / lump;
    // Never narrower than Poisson's.
    const excess = Math.max(variance / (lump * lump) - lumps, 1e-6 * lumps);
    this.shape = (lumps * lumps) / excess;
    this.ratio = lumps / (this.shape + lumps);
    this.here = Math.exp(this.shape * Math.log1p(-this.ratio));
    this.atMost = this.here;
  }

  next(): void {
    this.here *= (this.ratio * (this.shape + this.count)) / (this.count + 1);
    this.count += 1;
    this.atMost += this.here;
  }
}

/** As a gamma distribution of the same mean and variance. */
function cubeRootQuantile({ mean, variance }: Prospect, p: number): Units {
  const ninth = variance / (9 * mean * mean);
  const root = 1 - ninth + normalQuantile(p) * Math.sqrt(ninth);
  return root <= 0 ? 0 : mean * root * root * root;
}

function cubeRootChance({ mean, variance }: Prospect, units: Units): number {
  const ninth = variance / (9 * mean * mean);
  return 1 - normal((Math.cbrt(units / mean) - 1 + ninth) / Math.sqrt(ninth));
}
