import type { JsonValue, Units } from '../units.ts';
import { Regression } from './regression.ts';
import { Sample } from './sample.ts';
import { tQuantile } from './tail.ts';
import { LEVELS, Trials, type Claimed } from './trials.ts';
import type { View } from './view.ts';

/** A trial that has not run out after so many horizons is learned as not having run out until then. */
export const CENSOR = 8;
/** Trials begun in each horizon. */
export const OVERLAP = 4;
const SCORES = 256;
/** Outcomes before the empirical scores are trusted over the closed form or a shorter horizon's. */
const ENOUGH = 30;
/**
 * The same, far ahead: those that end early are known first, and half a day's outcomes share its trend.
 */
const ENOUGH_FAR = 60;
/** Step of the adaptive conformal level (Gibbs and Candès, 2021). */
const ADAPT = 0.005;
/** Share of the past that an outcome makes the regressions forget. */
const FORGET = 1 / 700;
/** The same of how often trials run out: hardly any, for a habit is what holds for long. */
const BASE_MEMORY = 1 / 10_000;
/** Outcomes that even odds count as, to begin with. */
const EVEN_VOTES = 4;
const BLOCKS_MEMORY = 1 / 60;
/** Errors beyond so many spreads teach no more than that: bursts are no news about the rate. */
const ROBUST = 2;

/**
 * What was learned by forecasting about this far ahead: how wrong the model was (scores), what usually
 * happens anyway (climatology), and whether the model is better than that (skill).
 */
export class Horizon {
  readonly seconds: number;
  readonly trials = new Trials(CENSOR * OVERLAP);
  /** (ln T − centre) / spread of past forecasts. */
  readonly scores = new Sample(SCORES);
  /** Levels at which the scores are read, moved so that the claimed coverage comes true. */
  private readonly levels = LEVELS.map((p) => 1 - p);
  /** Share of past forecasts that ran out within the horizon. */
  private base = 0.5;
  private outcomes = 0;
  /** Of ln T, against the habit. */
  private readonly regression: Regression;
  /** Least squares of whether it ran out, against what the habit says: sums of x·y and x². */
  private xy = 0;
  private xx = 0;
  private brier = 0;
  private brierUsual = 0;
  /** Units and end of the current block, and weighted moments of past blocks. */
  private block = 0;
  private blockEnd = 0;
  private blocks = 0;
  private blockMean = 0;
  private blockSquare = 0;

  private readonly shorter: Horizon | null;
  private readonly enough: number;

  /** @param shorter what holds a little less far ahead, which this one leans to until it knows better */
  constructor(seconds: number, shorter: Horizon | null) {
    this.seconds = seconds;
    this.shorter = shorter;
    const far = seconds > TRENDS_S;
    const prior = shorter === null ? Float64Array.from(PRIOR_WEIGHTS) : shorter.regression.weights;
    this.regression = new Regression(prior, far ? RIDGE_FAR : RIDGE, FORGET, seconds >= TRENDS_S);
    this.enough = far ? ENOUGH_FAR : ENOUGH;
  }

  get bytes(): number {
    return this.trials.bytes + this.scores.bytes + this.regression.bytes + 15 * 8;
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
    return this.scores.size >= this.enough;
  }

  /** Brier skill against climatology over the last outcomes; `null` = too few. */
  get skill(): number | null {
    if (this.outcomes < ENOUGH || this.brierUsual <= 0) return null;
    return 1 - this.brier / this.brierUsual;
  }

  /**
   * Score that stays below with probability `1 − p`, by the adapted levels. Beyond what a sample of
   * overlapping outcomes can know, Student's t carries on from the last quantile that it does know.
   */
  scoreAt(p: number): number {
    const middle = this.scores.quantile(0.5);
    const few = OVERLAP / this.scores.size - OVERLAP / SCORES;
    return middle + (1 + YOUTH * few) * (this.scoreBelow(this.adapted(1 - p)) - middle);
  }

  private scoreBelow(level: number): number {
    const edge = Math.min(0.25, EDGE / (this.scores.size / OVERLAP));
    if (level >= edge && level <= 1 - edge) return this.scores.quantile(level);
    const side = level < 0.5 ? edge : 1 - edge;
    const middle = this.scores.quantile(0.5);
    return middle + (this.scores.quantile(side) - middle) * (tQuantile(level) / tQuantile(side));
  }

  /** A level between those that adapt moves with its neighbours. */
  private adapted(level: number): number {
    const [half = 0.5, tenth = 0.1, hundredth = 0.01] = this.levels;
    if (level <= 0.01) return (level / 0.01) * hundredth;
    if (level <= 0.1) return hundredth + ((level - 0.01) / 0.09) * (tenth - hundredth);
    if (level <= 0.5) return tenth + ((level - 0.1) / 0.4) * (half - tenth);
    return half + ((level - 0.5) / 0.5) * (1 - half);
  }

  /** P(T ≤ horizon) of the habit alone. */
  get usualChance(): number {
    return this.base;
  }

  /** Least squares of what happened by what the model said beyond the habit; 1 = its odds are right. */
  private get belief(): number {
    const prior = this.shorter === null ? PRIOR_BELIEF : FARTHER * this.shorter.belief;
    return Math.min(1, Math.max(0, (this.xy + BELIEF_RIDGE * prior) / (this.xx + BELIEF_RIDGE)));
  }

  /** How far the model's odds are told rather than the habit's, 0…1. */
  private get trust(): number {
    return Math.min(1, Math.max(0, (this.belief - DOUBT) / (SURE - DOUBT)));
  }

  /** The model's probability, drawn towards the habit as far as experience says: none, none. */
  tempered(chance: number): number {
    const known = Math.min(1, this.outcomes / ENOUGH);
    return chance + known * (1 - this.trust) * (this.base - chance);
  }

  /** ln of the seconds that are to be expected. */
  centre(view: View): number {
    return view.habit + this.regression.predict(view.features);
  }

  /** Of ln T about that. */
  spread(view: View): number {
    return Math.sqrt(view.noise + 0.5 * this.unevenness);
  }

  /** Share of past scores that were not above it. */
  below(score: number): number {
    return this.scores.below(score);
  }

  /** Squared coefficient of variation of the use in blocks of a tenth of the horizon. */
  get unevenness(): number {
    if (this.blocks < 5 || this.blockMean <= 0) return 0;
    return Math.max(0, this.blockSquare / this.blockMean ** 2 - 1);
  }

  /** Units of one second. */
  tick(second: number, units: Units): void {
    const { blockSeconds } = this;
    if (this.blockEnd === 0) this.blockEnd = second + blockSeconds;
    while (second >= this.blockEnd) {
      this.closeBlock();
      // A long silence is many empty blocks, of which the memory needs only so many.
      const behind = Math.floor((second - this.blockEnd) / blockSeconds);
      if (behind > 400) this.blockEnd += (behind - 400) * blockSeconds;
      this.blockEnd += blockSeconds;
    }
    this.block += units;
  }

  private get blockSeconds(): number {
    return Math.max(1, this.seconds / 10);
  }

  private closeBlock(): void {
    const weight = Math.max(BLOCKS_MEMORY, 1 / (this.blocks + 1));
    this.blockMean += weight * (this.block - this.blockMean);
    this.blockSquare += weight * (this.block ** 2 - this.blockSquare);
    this.blocks += 1;
    this.block = 0;
  }

  /** How a forecast ended: after `seconds`, or not before the end of all trials. */
  learn(claimed: Claimed, seconds: number): void {
    const told = Math.log(Math.max(1e-3, seconds));
    // Who expected more than a trial lasts was not wrong as far as anybody knows.
    const log = seconds < this.seconds * CENSOR ? told : Math.max(told, claimed.centre);
    for (let i = 0; i < LEVELS.length; i++) {
      const quantile = claimed.quantiles[i] as number;
      if (Number.isNaN(quantile)) continue;
      const miss = seconds < this.seconds * CENSOR && told < quantile ? 1 : 0;
      const level = (this.levels[i] as number) + ADAPT * (1 - (LEVELS[i] as number) - miss);
      this.levels[i] = Math.min(0.999, Math.max(0.000_5, level));
    }
    const error = log - claimed.centre;
    const most = ROBUST * claimed.spread;
    const clipped = claimed.centre + Math.max(-most, Math.min(most, error));
    const weight = 1 / (claimed.spread * claimed.spread + 0.01);
    this.regression.learn(claimed.features, clipped - claimed.habit, weight);
    this.scores.add(error / claimed.spread);
  }

  /** Whether the first trial that is not judged ran out within the horizon. */
  judge(happened: 0 | 1): void {
    this.trials.judge(JUDGED);
    const { chance, usualChance } = JUDGED;
    this.outcomes += 1;
    const weight = Math.max(FORGET, 1 / this.outcomes);
    const odds = usualChance + this.trust * (chance - usualChance);
    this.brier += weight * ((odds - happened) ** 2 - this.brier);
    this.brierUsual += weight * ((usualChance - happened) ** 2 - this.brierUsual);
    this.base += Math.max(BASE_MEMORY, 1 / (this.outcomes + EVEN_VOTES)) * (happened - this.base);
    const x = chance - usualChance;
    this.xy += x * (happened - usualChance) - FORGET * this.xy;
    this.xx += x * x - FORGET * this.xx;
  }

  save(): JsonValue {
    return [
      this.trials.save(),
      this.scores.save(),
      [...this.levels],
      [this.base, this.outcomes, this.brier, this.brierUsual, this.xy, this.xx],
      this.regression.save(),
      [this.block, this.blockEnd, this.blocks, this.blockMean, this.blockSquare],
    ];
  }

  load(saved: JsonValue): void {
    const [trials, scores, levels, learned, regression, blocks] = saved as unknown as [
      JsonValue,
      JsonValue,
      number[],
      [number, number, number, number, number, number],
      JsonValue,
      [number, number, number, number, number],
    ];
    this.trials.load(trials);
    this.scores.load(scores);
    levels.forEach((level, i) => (this.levels[i] = level));
    [this.base, this.outcomes, this.brier, this.brierUsual, this.xy, this.xx] = learned;
    this.regression.load(regression);
    [this.block, this.blockEnd, this.blocks, this.blockMean, this.blockSquare] = blocks;
  }
}

/** 0…1, as good as by chance, of a whole number. */
function uneven(second: number): number {
  const mixed = Math.imul(second ^ (second >>> 15), 0x2c1b3c6d);
  return ((mixed ^ (mixed >>> 13)) >>> 0) / 4_294_967_296;
}

/** Demand rises and falls over hours; what looks like it in minutes is chance. */
const TRENDS_S = 600;
/** Scratch for `judge`. */
const JUDGED = { chance: 0, usualChance: 0 };
/** Of the features (see `View`), and the intercept: mostly the rate, a little of the day. */
const PRIOR_WEIGHTS = [0.9, 0.3, 0.1, 0, 0];
/** About the weight of one outcome of a steady stream. */
const RIDGE = 5;
/** Beyond the trends: a day there is one or two independent lessons. */
const RIDGE_FAR = 100;
/** A sample of n independent outcomes is widened by this over n: it has not seen all weathers. */
const YOUTH = 3;
/** Independent outcomes that a quantile wants beyond it. */
const EDGE = 2;
/** The regression's weight of the model's odds before there is experience, and the squared differences that outweigh it. */
const PRIOR_BELIEF = 0.6;
const BELIEF_RIDGE = 1;
/** A weight below this is no skill and the habit is told; above that it is skill and the model is. */
const DOUBT = 0.1;
const SURE = 0.6;
/** How much of the belief in a shorter horizon is believed of the next. */
const FARTHER = 0.8;
