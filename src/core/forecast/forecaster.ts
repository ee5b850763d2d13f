import type { EpochMs, JsonValue, Units } from '../units.ts';
import { Answers, HORIZONS, type Moment } from './answers.ts';
import { CENSOR, Horizon, OVERLAP } from './horizon.ts';
import { HABIT, Ladder, type Pending } from './ladder.ts';
import { FOREVER, type Forecast, type Question } from './question.ts';
import { Season } from './season.ts';
import { blankClaim, LEVELS } from './trials.ts';
import type { View } from './view.ts';

export type { Forecast, Question } from './question.ts';
export const MODEL = { id: 'gamma-poisson-conformal', version: 3 } as const;

/**
 * Trials of each horizon that a silence is worth: as many as run at once. They tell that nothing came;
 * more would make forget what it is like when something does.
 */
const MOST_SILENT = CENSOR * OVERLAP;
/** Seconds in which something comes, that a horizon must expect: nobody asks how long less than half a request lasts. */
const LEAST_BUSY = 0.5;

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
  private readonly answers = new Answers(this.horizons, this.season);
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
    for (let i = 0; i < HORIZONS.length; i++) this.tryOut(i);
  }

  /** Trials begin when they are due: were they to wait for an arrival, each would begin with one. */
  private passSilence(until: number): void {
    for (let i = 0; i < HORIZONS.length; i++) SILENT[i] = MOST_SILENT;
    for (;;) {
      let next = until;
      for (let i = 0; i < HORIZONS.length; i++) {
        if (SILENT[i] === 0 || !this.isBusy(i)) continue;
        next = Math.min(next, Math.ceil((this.horizons[i] as Horizon).dueAt));
      }
      next = Math.max(this.second + 1, next);
      if (next >= until) return;
      this.step(next);
      for (let i = 0; i < HORIZONS.length; i++) {
        if ((SILENT[i] as number) > 0 && this.tryOut(i)) SILENT[i] = (SILENT[i] as number) - 1;
      }
    }
  }

  /** What came until the second begins. */
  private step(second: number): void {
    const before = this.second;
    this.second = second;
    this.ladder.advance(second * 1000);
    if (before >= 0) this.season.tick(before, this.units);
    for (let i = 0; i < HORIZONS.length; i++) {
      const horizon = this.horizons[i] as Horizon;
      if (before >= 0) horizon.tick(before, this.units);
      const { trials, seconds } = horizon;
      // That one lasted the horizon is known before its end: waiting for that would favour the short ones.
      while (trials.unjudgedBegun < second - seconds) horizon.judge(0);
      while (trials.firstBegun <= second - seconds * CENSOR) {
        this.settle(horizon, trials.firstBegun + seconds * CENSOR);
      }
    }
    this.units = 0;
  }

  private settle(horizon: Horizon, second: number): void {
    const begun = horizon.trials.firstBegun;
    if (horizon.trials.judged === 0) horizon.judge(second - begun <= horizon.seconds ? 1 : 0);
    horizon.trials.shift(this.claim);
    horizon.learn(this.claim, second - begun);
  }

  /** Whether a horizon is long enough for anything to come in it. */
  private isBusy(index: number): boolean {
    return this.ladder.business * (HORIZONS[index] as number) >= LEAST_BUSY;
  }

  /** Begins a trial when one is due: how long will as much last as is usually used in this time? */
  private tryOut(index: number): boolean {
    const horizon = this.horizons[index] as Horizon;
    const { trials, seconds } = horizon;
    const { second, ladder } = this;
    if (second < horizon.dueAt || trials.full || !this.isBusy(index)) return false;
    const usual = ladder.rate(HABIT);
    if (usual <= 0 || ladder.weight(HABIT) < Math.max(60, seconds)) return false;
    const target = Math.max(ladder.total + usual * seconds, trials.lastTarget);
    const moment = { ladder, second, untold: 0 };
    const view = this.answers.look(moment, target - ladder.total, 0);
    if (view === null) return false;
    this.say(index, moment, view);
    trials.push(target, second, this.claim);
    return true;
  }

  private say(index: number, moment: Moment, view: View): void {
    const { claim, answers } = this;
    const horizon = this.horizons[index] as Horizon;
    claim.habit = view.habit;
    claim.features.set(view.features);
    claim.centre = horizon.centre(view);
    claim.spread = horizon.spread(view);
    claim.steady = horizon.steady(view, moment.second, moment.untold);
    const isTaught = answers.taught(index) !== null;
    for (let i = 0; i < LEVELS.length; i++) {
      const level = LEVELS[i] as number;
      claim.quantiles[i] = isTaught ? answers.ownQuantile(index, view, level) : NaN;
    }
    claim.chance = answers.chance(index, moment, view, horizon.seconds);
    claim.usualChance = horizon.odds.usual;
  }

  /** Silence fades what came without anything being learned from it yet. */
  private momentOf(at: EpochMs, pending: Pending | null): Moment {
    const second = Math.max(this.second, Math.floor(at / 1000));
    const untold = this.units + (pending === null ? 0 : pending.units);
    return { ladder: this.ladder.at(at, pending), second, untold };
  }

  /** Seconds that it lasts with each of the probabilities, which must rise. Beyond a year: `Infinity`. */
  lasting(at: EpochMs, question: Question, probabilities: readonly number[]): number[] {
    const lasting = this.lastingFrom(this.momentOf(at, null), question, probabilities);
    this.answers.forget();
    return lasting;
  }

  private lastingFrom(moment: Moment, question: Question, probabilities: readonly number[]) {
    let least = Infinity;
    return probabilities.map((p) => {
      // Levels that adapt on their own may cross by a little.
      least = Math.min(least, this.answers.lastsRefilled(moment, question, p));
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
    let pExhaust = this.answers.exhausts(moment, question, resetS);
    // A rolling window may be short for a moment only, between two that are looked at.
    if (question.returns !== undefined && resetS !== null) {
      for (let i = 0; i < LEVELS.length; i++) {
        const within = (lasting[i] as number) <= resetS;
        if (within) pExhaust = Math.max(pExhaust, 1 - (LEVELS[i] as number));
      }
    }
    this.answers.forget();
    return {
      p50: finite(p50),
      p90: finite(p90),
      p99: finite(p99),
      pExhaust,
      margin: resetS === null || p90 === Infinity ? null : p90 - resetS,
      rate,
      variance: rate * ladder.dispersion(rung),
      model: MODEL.id,
      asOf: at,
    };
  }

  /** Rolling Brier skill of the horizon nearest to `seconds`; `null` = too few outcomes. */
  skillAt(seconds: number): number | null {
    return this.answers.nearest(seconds).odds.skill;
  }

  /** Whether enough outcomes are known to correct the model about so far ahead. */
  isCalibratedAt(seconds: number): boolean {
    return this.answers.nearest(seconds).calibrated;
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

/** Trials left of each horizon in the silence that is passed. Scratch. */
const SILENT = new Uint8Array(HORIZONS.length);

function finite(seconds: number): number | null {
  return seconds < FOREVER ? seconds : null;
}
