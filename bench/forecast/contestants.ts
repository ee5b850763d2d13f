/** Ratelord's forecaster and what it has to be better than, behind one interface. */
import { Forecaster, MODEL } from '../../src/core/forecast/forecaster.ts';
import { normal, normalQuantile } from '../../src/core/forecast/special.ts';

/** What a forecast says of the time that `remaining` units last. */
export interface Said {
  /** Seconds that they last at least with each of `LEVELS`, in that order. */
  readonly lasts: readonly number[];
  /** Probability that they run out within the horizon. */
  readonly chance: number;
}

/** 19 levels for the CRPS, P50 and P90 among them, and P99. */
export const LEVELS: readonly number[] = [
  ...Array.from({ length: 19 }, (_, i) => Number((0.05 * (i + 1)).toFixed(2))),
  0.99,
];

/** Is told what happens and nothing of what will. */
export interface Contestant {
  readonly name: string;
  offered(atMs: number, units: number): void;
  /** @param units of the second that just ended */
  secondEnded(units: number): void;
  /** At the beginning of a second, about `remaining` units and the horizon it was made for. */
  say(nowMs: number, remaining: number): Said;
}

/** One forecaster for all horizons, as a pool has one. */
export function ratelord(horizons: readonly number[], forecaster = new Forecaster()): Contestant[] {
  return horizons.map((horizonS, i) => ({
    name: MODEL.id,
    offered(atMs, units) {
      if (i === 0) forecaster.offered(atMs, units);
    },
    secondEnded: () => undefined,
    say(nowMs, remaining) {
      const question = { remaining, resetInMs: horizonS * 1000, refill: 0, ageMs: 0 };
      const told = forecaster.forecast(nowMs, question);
      const lasts = forecaster.lasting(nowMs, question, LEVELS).slice();
      lasts[LEVELS.indexOf(0.5)] = told.p50 ?? Infinity;
      lasts[LEVELS.indexOf(0.9)] = told.p90 ?? Infinity;
      lasts[LEVELS.indexOf(0.99)] = told.p99 ?? Infinity;
      return { lasts, chance: told.pExhaust };
    },
  }));
}

const READINGS = 20;

/**
 * The Go ancestor's: use over its last 20 readings gives a mean rate and its standard deviation; a
 * percentile is what remains over the mean plus z standard deviations. Readings are a twentieth of
 * the horizon apart.
 */
export function meanPlusSigma(horizonS: number): Contestant {
  const everyS = Math.max(1, Math.round(horizonS / READINGS));
  const rates: number[] = [];
  let units = 0;
  let seconds = 0;
  return {
    name: 'mean + zσ rate',
    offered: () => undefined,
    secondEnded(more) {
      units += more;
      seconds += 1;
      if (seconds < everyS) return;
      rates.push(units / seconds);
      if (rates.length > READINGS) rates.shift();
      units = 0;
      seconds = 0;
    },
    say(_, remaining) {
      const mean = rates.reduce((sum, rate) => sum + rate, 0) / Math.max(1, rates.length);
      const squares = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0);
      const sigma = Math.sqrt(squares / Math.max(1, rates.length - 1));
      const lasts = LEVELS.map((p) => {
        const rate = mean + Z.of(p) * sigma;
        return rate > 0 ? remaining / rate : Infinity;
      });
      const needed = remaining / horizonS;
      const chance = sigma > 0 ? 1 - normal((needed - mean) / sigma) : mean >= needed ? 1 : 0;
      return { lasts, chance };
    },
  };
}

/** Exponentially weighted moments of what comes in a second. */
class Moments {
  private readonly keep: number;
  private ones = 0;
  private sum = 0;
  private squares = 0;

  constructor(tauS: number) {
    this.keep = Math.exp(-1 / tauS);
  }

  add(units: number): void {
    this.ones = this.ones * this.keep + 1;
    this.sum = this.sum * this.keep + units;
    this.squares = this.squares * this.keep + units * units;
  }

  get rate(): number {
    return this.ones > 0 ? this.sum / this.ones : 0;
  }

  /** Variance over mean, units. */
  get dispersion(): number {
    const { rate } = this;
    return rate > 0 ? Math.max(1e-9, this.squares / this.ones / rate - rate) : 1;
  }
}

/** A rate whose memory is the horizon, and one answer for every level. */
export function ewma(horizonS: number): Contestant {
  const moments = new Moments(horizonS);
  return {
    name: 'EWMA',
    offered: () => undefined,
    secondEnded: (units) => moments.add(units),
    say(_, remaining) {
      const expected = moments.rate > 0 ? remaining / moments.rate : Infinity;
      return { lasts: LEVELS.map(() => expected), chance: expected <= horizonS ? 1 : 0 };
    },
  };
}

/** The same rate, and noise about it by its dispersion: first passage of a diffusion with drift. */
export function inverseGaussian(horizonS: number): Contestant {
  const moments = new Moments(horizonS);
  return {
    name: 'inverse Gaussian',
    offered: () => undefined,
    secondEnded: (units) => moments.add(units),
    say(_, remaining) {
      const { rate, dispersion } = moments;
      if (rate <= 0) return { lasts: LEVELS.map(() => Infinity), chance: 0 };
      const mean = remaining / rate;
      // Shape over mean tells all but the scale.
      const shape = remaining / dispersion;
      return {
        lasts: LEVELS.map((p) => mean * inverseGaussianQuantile(1 - p, shape)),
        chance: inverseGaussianBelow(horizonS / mean, shape),
      };
    },
  };
}

/** P(X ≤ x) of mean 1 and that shape. */
export function inverseGaussianBelow(x: number, shape: number): number {
  if (x <= 0) return 0;
  const root = Math.sqrt(shape / x);
  const first = normal(root * (x - 1));
  const z = -root * (x + 1);
  // Far out the second term is ∞ · 0; by Mills' ratio it is φ of the first over |z|.
  if (2 * shape > 600) {
    return first + Math.exp(-0.5 * (root * (x - 1)) ** 2) / Math.sqrt(2 * Math.PI) / -z;
  }
  return Math.min(1, first + Math.exp(2 * shape) * normal(z));
}

function inverseGaussianQuantile(p: number, shape: number): number {
  let low = Math.log(1e-6);
  let high = Math.log(1e6);
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (inverseGaussianBelow(Math.exp(middle), shape) < p) low = middle;
    else high = middle;
  }
  return Math.exp((low + high) / 2);
}

/** Normal quantiles of `LEVELS`, worked out once. */
const Z = {
  known: new Map(LEVELS.map((p) => [p, normalQuantile(p)])),
  of(p: number): number {
    return this.known.get(p) ?? normalQuantile(p);
  },
};

export const BASELINES = [meanPlusSigma, ewma, inverseGaussian] as const;
