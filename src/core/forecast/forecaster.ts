import type { EpochMs, JsonValue, Units } from '../units.ts';
import { CENSOR, Horizon } from './horizon.ts';
import { HABIT, Ladder, type Pending } from './ladder.ts';
import { lastsWith, within } from './passage.ts';
import { FOREVER, type Forecast, type Question } from './question.ts';
import { Season } from './season.ts';
import { blankClaim, LEVELS } from './trials.ts';
import { look, type View } from './view.ts';

export type { Forecast, Question } from './question.ts';

/** What is looked at. */
interface Moment {
  readonly ladder: Ladder;
  /** Epoch second. */
  readonly second: number;
}

/** How far ahead the forecaster tries itself, seconds. */
export const HORIZONS = [10, 60, 600, 3_600] as const;
const LOGS = HORIZONS.map((seconds) => Math.log(seconds));
export const MODEL = { id: 'gamma-poisson-conformal', version: 2 } as const;

/** Of a long silence so many moments are looked at one by one: enough to learn that nothing came. */
const MOST_STEPS = 400;

/** A horizon without experience of its own widens what a shorter one learned by so much. */
const BORROWED_WIDTH = 1.5;

/**
 * When a pool runs dry, and how likely that is before its reset. Fed with what is *asked* of the pool,
 * admitted or not, and with use by others; asked about what is left.
 *
 * A Gamma–Poisson first passage in closed form gives the shape; its errors on trials of the
 * forecaster's own, at several horizons, correct it until what is claimed comes true (adaptive
 * conformal calibration). Where trials show no skill against what usually happens, the habit is told.
 */
export class Forecaster {
  private readonly ladder = new Ladder();
  private readonly season = new Season();
  private readonly horizons = ladderOfHorizons();
  private readonly claim = blankClaim();
  private second = -1;
  private units: Units = 0;

  /** Bytes of what is kept. */
  get bytes(): number {
    const learned = this.horizons.reduce((sum, { bytes }) => sum + bytes, 0);
    return learned + this.ladder.bytes + this.season.bytes + 16;
  }

  /** Units were asked of the pool, or used by somebody else. */
  offered(at: EpochMs, units: Units): void {
    this.advance(at);
    this.ladder.add(at, units);
    this.units += units;
    const { total } = this.ladder;
    for (let i = 0; i < HORIZONS.length; i++) {
      const horizon = this.horizons[i] as Horizon;
      while (horizon.trials.firstTarget <= total) this.settle(horizon, at / 1000);
    }
  }

  /** Time passed; `offered` says so itself. Asking says nothing: what is known is what came. */
  advance(at: EpochMs): void {
    const second = Math.floor(at / 1000);
    if (second <= this.second) return;
    if (this.second >= 0 && second > this.second + 1) this.passSilence(second);
    this.step(second);
  }

  /** Trials begin when they are due: were they to wait for an arrival, each would begin with one. */
  private passSilence(until: number): void {
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      let due = Infinity;
      for (const horizon of this.horizons) due = Math.min(due, horizon.dueAt);
      const next = Math.max(this.second + 1, Math.ceil(due));
      if (next >= until) return;
      this.step(next);
    }
  }

  private step(second: number): void {
    const before = this.second;
    this.second = second;
    this.ladder.advance(second * 1000);
    if (before >= 0) this.season.tick(before, this.units);
    for (let i = 0; i < HORIZONS.length; i++) {
      const horizon = this.horizons[i] as Horizon;
      if (before >= 0) horizon.tick(before, this.units);
      const oldest = second - horizon.seconds * CENSOR;
      // That one lasted the horizon is known before its end: waiting for that would favour the short ones.
      while (horizon.trials.unjudgedBegun < second - horizon.seconds) horizon.judge(0);
      while (horizon.trials.firstBegun <= oldest) {
        this.settle(horizon, horizon.trials.firstBegun + horizon.seconds * CENSOR);
      }
      if (before >= 0) this.tryOut(horizon);
    }
    this.units = 0;
  }

  private settle(horizon: Horizon, second: number): void {
    const begun = horizon.trials.firstBegun;
    if (horizon.trials.judged === 0) horizon.judge(second - begun <= horizon.seconds ? 1 : 0);
    horizon.trials.shift(this.claim);
    horizon.learn(this.claim, second - begun);
  }

  /** Begins a trial: how long will as much last as is usually used in this time? */
  private tryOut(horizon: Horizon): void {
    const { trials } = horizon;
    const { second, claim, ladder } = this;
    if (second < horizon.dueAt || trials.full) return;
    const usual = ladder.rate(HABIT);
    if (usual <= 0 || ladder.weight(HABIT) < Math.max(60, horizon.seconds)) return;
    const target = Math.max(ladder.total + usual * horizon.seconds, trials.lastTarget);
    const view = this.look({ ladder, second }, target - ladder.total, 0);
    if (view === null) return;
    claim.habit = view.habit;
    claim.features.set(view.features);
    claim.centre = horizon.centre(view);
    claim.spread = horizon.spread(view);
    for (let i = 0; i < LEVELS.length; i++) {
      claim.quantiles[i] = horizon.calibrated
        ? claim.centre + claim.spread * horizon.scoreAt(LEVELS[i] as number)
        : NaN;
    }
    claim.chance = this.chanceAt(horizon, view, horizon.seconds);
    claim.usualChance = horizon.usualChance;
    trials.push(target, second, claim);
  }

  private look({ ladder, second }: Moment, remaining: Units, ageS: number): View | null {
    const usual = ladder.rate(HABIT);
    const staleness = ageS > 0 ? Math.min(4, 0.5 * ((ageS * usual) / remaining) ** 2) : 0;
    return look(ladder, this.season, second, remaining, staleness);
  }

  /** Silence fades what came without anything being learned from it yet. */
  private momentOf(at: EpochMs, pending: Pending | null = null): Moment {
    const second = Math.max(this.second, Math.floor(at / 1000));
    return { ladder: this.ladder.at(at, pending), second };
  }

  /** Where a horizon has no outcomes yet, the nearest shorter one that has; `null` = none has. */
  private taught(index: number): Horizon | null {
    for (let i = index; i >= 0; i--) {
      const horizon = this.horizons[i] as Horizon;
      if (horizon.calibrated) return horizon;
    }
    return null;
  }

  /** ln of the seconds that it lasts with probability `p`, by one horizon. */
  private quantileAt(index: number, view: View, p: number): number {
    const horizon = this.horizons[index] as Horizon;
    const taught = this.taught(index);
    if (taught === null) return Math.log(lastsWith(view.closed, p));
    const spread = horizon.spread(view);
    if (taught === horizon) return horizon.centre(view) + spread * taught.scoreAt(p);
    const score = BORROWED_WIDTH * (taught.scoreAt(p) - taught.scoreAt(0.5));
    return horizon.centre(view) + spread * score;
  }

  /** P(T ≤ seconds) by one horizon. */
  private chanceAt(horizon: Horizon, view: View, seconds: number): number {
    const taught = this.taught(this.horizons.indexOf(horizon));
    if (taught === null) return within(view.closed, seconds);
    const score = (Math.log(seconds) - horizon.centre(view)) / horizon.spread(view);
    return taught.below(taught === horizon ? score : score / BORROWED_WIDTH + taught.scoreAt(0.5));
  }

  /** The horizons that an expected time lies between: `index + share`. */
  private between(log: number): number {
    let i = 0;
    while (i < HORIZONS.length - 1 && log > (LOGS[i + 1] as number)) i += 1;
    if (i === HORIZONS.length - 1) return i;
    const from = LOGS[i] as number;
    const to = LOGS[i + 1] as number;
    return i + Math.max(0, (log - from) / (to - from));
  }

  /** Seconds that `remaining` lasts with probability `p`. */
  private lasts(moment: Moment, remaining: Units, ageS: number, p: number): number {
    const view = this.look(moment, remaining, ageS);
    if (view === null) return Infinity;
    const place = this.between(view.habit);
    const low = Math.floor(place);
    const share = place - low;
    const near = this.quantileAt(low, view, p);
    if (share === 0) return Math.exp(near);
    return Math.exp(near * (1 - share) + this.quantileAt(low + 1, view, p) * share);
  }

  /** With units coming back the budget grows while it lasts: the time at which both meet. */
  private lastsRefilled(moment: Moment, question: Question, p: number): number {
    if (question.remaining <= 0) return 0;
    const ageS = question.ageMs / 1000;
    let seconds = this.lasts(moment, question.remaining, ageS, p);
    if (question.refill <= 0) return seconds;
    let step = 0;
    for (let i = 0; i < 12 && seconds < FOREVER; i++) {
      const next = this.lasts(moment, question.remaining + question.refill * seconds, ageS, p);
      const growth = next - seconds;
      if (growth <= 0.01 * seconds) return Math.max(next, seconds);
      // Steps that do not shrink never end; ones that do sum up like a geometric series.
      if (i > 0 && growth >= step * 0.98) return Infinity;
      if (i > 3) return seconds + growth / (1 - growth / step);
      step = growth;
      seconds = next;
    }
    return Infinity;
  }

  /** Seconds that it lasts with each of the probabilities, which must rise. Beyond a year: `Infinity`. */
  lasting(at: EpochMs, question: Question, probabilities: readonly number[]): number[] {
    return this.lastingFrom(this.momentOf(at), question, probabilities);
  }

  private lastingFrom(moment: Moment, question: Question, probabilities: readonly number[]) {
    let least = Infinity;
    return probabilities.map((p) => {
      // Levels that adapt on their own may cross by a little.
      least = Math.min(least, this.lastsRefilled(moment, question, p));
      return least < FOREVER ? least : Infinity;
    });
  }

  /**
   * Reads only.
   * @param pending as if that had been offered already
   */
  forecast(at: EpochMs, question: Question, pending: Pending | null = null): Forecast {
    const moment = this.momentOf(at, pending);
    const { ladder } = moment;
    const lasting = this.lastingFrom(moment, question, LEVELS);
    const [p50, p90, p99] = lasting as [number, number, number];
    const resetS = question.resetInMs === null ? null : question.resetInMs / 1000;
    const rung = ladder.rungFor(Math.max(1, Math.min(FOREVER, p50)));
    const rate = ladder.rate(rung);
    return {
      p50: finite(p50),
      p90: finite(p90),
      p99: finite(p99),
      pExhaust: this.exhausts(moment, question, resetS),
      margin: resetS === null || p90 === Infinity ? null : p90 - resetS,
      rate,
      variance: rate * ladder.dispersion(rung),
      model: MODEL.id,
      asOf: at,
    };
  }

  private exhausts(moment: Moment, question: Question, resetS: number | null): number {
    if (question.remaining <= 0) return 1;
    const until = resetS ?? FOREVER;
    if (until <= 0) return 0;
    const budget = question.remaining + question.refill * until;
    const view = this.look(moment, budget, question.ageMs / 1000);
    if (view === null) return 0;
    const place = this.between(Math.log(until));
    const low = Math.floor(place);
    const share = place - low;
    const chance = this.toldChance(low, view, until);
    return share === 0
      ? chance
      : chance * (1 - share) + this.toldChance(low + 1, view, until) * share;
  }

  /** The habit is known for the habitual budget; the farther from it, the more the model stands alone. */
  private toldChance(index: number, view: View, seconds: number): number {
    const horizon = this.horizons[index] as Horizon;
    const chance = this.chanceAt(horizon, view, seconds);
    const off = Math.abs(view.habit - Math.log(seconds)) / NEAR;
    return off >= 1 ? chance : chance + (1 - off) * (horizon.tempered(chance) - chance);
  }

  /** Rolling Brier skill of the horizon nearest to `seconds`; `null` = too few outcomes. */
  skillAt(seconds: number): number | null {
    return this.nearest(seconds).skill;
  }

  /** Whether enough outcomes are known to correct the model about so far ahead. */
  isCalibratedAt(seconds: number): boolean {
    return this.nearest(seconds).calibrated;
  }

  private nearest(seconds: number): Horizon {
    return this.horizons[Math.round(this.between(Math.log(seconds)))] as Horizon;
  }

  save(): JsonValue {
    return [
      MODEL.version,
      this.ladder.save(),
      this.season.save(),
      this.horizons.map((horizon) => horizon.save()),
      [this.second, this.units],
    ];
  }

  /** Into a new one. What another version saved is left alone: a forecaster soon learns. */
  load(saved: JsonValue): void {
    if (!Array.isArray(saved) || saved[0] !== MODEL.version) return;
    const [, ladder, season, horizons, now] = saved as unknown as [
      number,
      JsonValue,
      JsonValue,
      JsonValue[],
      [number, number],
    ];
    this.ladder.load(ladder);
    this.season.load(season);
    horizons.forEach((horizon, i) => this.horizons[i]?.load(horizon));
    [this.second, this.units] = now;
  }
}

function ladderOfHorizons(): readonly Horizon[] {
  const horizons: Horizon[] = [];
  for (const seconds of HORIZONS) horizons.push(new Horizon(seconds, horizons.at(-1) ?? null));
  return horizons;
}

/** How far in ln a budget may be off the habit before what is known of the habit says nothing. */
const NEAR = 0.7;

function finite(seconds: number): number | null {
  return seconds < FOREVER ? seconds : null;
}
