import type { JsonValue, Units } from '../units.ts';
import { Blend } from './blend.ts';
import { Blocks } from './blocks.ts';
import { Calibration } from './calibration.ts';
import { Odds } from './odds.ts';
import { Readings } from './readings.ts';
import { Regression } from './regression.ts';
import { LEVELS, Trials, type Claimed } from './trials.ts';
import type { View } from './view.ts';

/** A trial that has not run out after so many horizons is learned as not having run out until then. */
export const CENSOR = 8;
/** Trials begun in each horizon. */
export const OVERLAP = 4;
/** Outcomes before the empirical scores are trusted over the closed form or a shorter horizon's. */
const ENOUGH = 30;
/**
 * The same, far ahead: those that end early are known first, and half a day's outcomes share its trend.
 */
const ENOUGH_FAR = 60;
/** Share of the past that an outcome makes the regression forget. */
const FORGET = 1 / 700;
/** Errors beyond so many spreads teach no more than that: bursts are no news about the rate. */
const ROBUST = 2;

/**
 * What was learned by forecasting about this far ahead: how wrong the model was, whether a simpler one
 * was less so, and what usually happens anyway.
 */
export class Horizon {
  readonly seconds: number;
  readonly trials = new Trials(CENSOR * OVERLAP);
  readonly calibration = new Calibration(OVERLAP);
  readonly blend = new Blend();
  readonly readings: Readings;
  readonly odds: Odds;
  /** Of a tenth of the horizon. */
  private readonly blocks: Blocks;
  /** Of ln T, against the habit. */
  private readonly regression: Regression;
  private readonly enough: number;

  /** @param shorter what holds a little less far ahead, which this one leans to until it knows better */
  constructor(seconds: number, shorter: Horizon | null) {
    this.seconds = seconds;
    this.readings = new Readings(seconds);
    this.blocks = new Blocks(Math.max(1, seconds / 10));
    this.odds = new Odds(shorter?.odds ?? null);
    const far = seconds > TRENDS_S;
    const prior = shorter === null ? Float64Array.from(PRIOR_WEIGHTS) : shorter.regression.weights;
    const ridge = far ? RIDGE_FAR : RIDGE;
    this.regression = new Regression(prior, ridge, STRAIGHT, FORGET, seconds >= TRENDS_S);
    this.enough = far ? ENOUGH_FAR : ENOUGH;
  }

  get bytes(): number {
    return this.parts.reduce((sum, { bytes }) => sum + bytes, 2 * 8);
  }

  /** Epoch second at which the next trial can begin. */
  get dueAt(): number {
    const { trials, seconds } = this;
    if (trials.full) return trials.firstBegun + seconds * CENSOR;
    if (trials.size === 0) return -Infinity;
    // At uneven distances: demand that comes every three seconds or on the minute must not meet
    // every trial at the same point of its period.
    const last = trials.lastBegun;
    return last + Math.max(1, Math.round((seconds / OVERLAP) * (0.5 + uneven(last))));
  }

  /** Whether enough outcomes are known to correct the model by them. */
  get calibrated(): boolean {
    return this.calibration.outcomes >= this.enough;
  }

  /** ln of the seconds that are to be expected. */
  centre(view: View): number {
    return view.habit + this.regression.predict(view.features);
  }

  /** Of ln T about that. */
  spread(view: View): number {
    return Math.sqrt(view.noise + 0.5 * this.blocks.unevenness);
  }

  /** Units of one second. */
  tick(second: number, units: Units): void {
    this.blocks.tick(second, units);
    this.readings.tick(second, units);
  }

  /**
   * ln of the seconds if it goes on as in the last stretch, at most what a trial lasts.
   * @param untold units of the last second, which the horizon was not told of yet
   */
  steady({ remaining, habit }: View, second: number, untold: Units): number {
    const mean = this.readings.mean(second, untold);
    const most = habit + LN_CENSOR;
    return mean > 0 ? Math.min(most, remaining - Math.log(mean)) : most;
  }

  /** How a forecast ended: after `seconds`, or not before the end of all trials. */
  learn(claimed: Claimed, seconds: number): void {
    const { centre, spread, quantiles } = claimed;
    const told = Math.log(Math.max(1e-3, seconds));
    const ended = seconds < this.seconds * CENSOR;
    for (let i = 0; i < LEVELS.length; i++) {
      const quantile = quantiles[i] as number;
      if (this.calibrated) this.calibration.adapt(i, ended && told < quantile);
    }
    const longest = Math.log(this.seconds * CENSOR);
    const own = quantiles[0] as number;
    if (!Number.isNaN(own)) {
      const second = Math.min(longest, claimed.steady);
      this.blend.learn(Math.min(longest, own), second, Math.min(longest, told));
    }
    // Who expected more than a trial lasts was not wrong as far as anybody knows.
    const error = (ended ? told : Math.max(told, centre)) - centre;
    const most = ROBUST * spread;
    const clipped = centre + Math.max(-most, Math.min(most, error));
    // Neighbours overlap: all of them together tell no more than one.
    const weight = 1 / (OVERLAP * (spread * spread + 0.01));
    this.regression.learn(claimed.features, clipped - claimed.habit, weight);
    this.calibration.learn(error / spread);
  }

  /** Whether the first trial that is not judged ran out within the horizon. */
  judge(happened: 0 | 1): void {
    this.trials.judge(JUDGED);
    this.odds.judge(JUDGED.chance, JUDGED.usualChance, happened);
  }

  save(): JsonValue {
    return this.parts.map((part) => part.save());
  }

  load(saved: JsonValue): void {
    const all = saved as readonly JsonValue[];
    this.parts.forEach((part, i) => {
      part.load(all[i] as JsonValue);
    });
  }

  private get parts() {
    const { trials, calibration, blend, readings, odds, blocks, regression } = this;
    return [trials, calibration, blend, readings, odds, blocks, regression];
  }
}

/** 0…1, as good as by chance, of a whole number. */
function uneven(second: number): number {
  const mixed = Math.imul(second ^ (second >>> 15), 0x2c1b3c6d);
  return ((mixed ^ (mixed >>> 13)) >>> 0) / 4_294_967_296;
}

const LN_CENSOR = Math.log(CENSOR);
/** Demand rises and falls over hours; what looks like it in minutes is chance. */
const TRENDS_S = 600;
/** Scratch for `judge`. */
const JUDGED = { chance: 0, usualChance: 0 };
/** Of the features (see `View`), and the intercept: mostly the rate, a little of the day. */
const PRIOR_WEIGHTS = [0.9, 0.3, 0.1, 0, 0];
/** About the weight of one outcome of a steady stream. */
const RIDGE = 5;
/** Beyond the trends: a day there is one or two independent lessons. */
const RIDGE_FAR = 25;
/** Of the intercept: forecasts that are off by a tenth on average are as rare as weights off by 0.4. */
const STRAIGHT = 100;
