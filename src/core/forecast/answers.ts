/** What the horizons say together about a moment: times by probability, and probabilities by time. */
import type { Units } from '../units.ts';
import type { Calibration } from './calibration.ts';
import type { Horizon } from './horizon.ts';
import { HABIT, type Ladder } from './ladder.ts';
import { FOREVER, type Question } from './question.ts';
import { budgetBy, meeting } from './returns.ts';
import type { Season } from './season.ts';
import { normalQuantile } from './special.ts';
import { LEVELS } from './trials.ts';
import {
  closedChance,
  closedQuantile,
  drift,
  look,
  silentChance,
  silentQuantile,
  type View,
} from './view.ts';

/** How far ahead the forecaster tries itself, seconds. */
export const HORIZONS = [10, 60, 600, 3_600] as const;
const LOGS = HORIZONS.map((seconds) => Math.log(seconds));
/** How far in ln a budget may be off the habit before what is known of the habit says nothing. */
const NEAR = 0.7;
/** What is borrowed from a shorter horizon is a quarter wider: over longer times demand has trends as well. */
const BORROWED_WIDTH = 1.25;
/** A second opinion that weighs less is not asked for. */
const UNHEARD = 0.005;

/** So often the time to the end of a rolling window is halved to look whether it is short before. */
const HALVED = 5;

/** What is looked at. */
export interface Moment {
  readonly ladder: Ladder;
  /** Epoch second. */
  readonly second: number;
  /** Units of the last seconds that the horizons were not told of yet. */
  readonly untold: Units;
}

interface Look {
  readonly moment: Moment;
  readonly remaining: Units;
  readonly ageS: number;
  readonly view: View | null;
}

/** Reads only. */
export class Answers {
  private readonly horizons: readonly Horizon[];
  private readonly season: Season;
  /** The last look, for several questions in a row are about the same. Scratch. */
  private last: Look | null = null;

  constructor(horizons: readonly Horizon[], season: Season) {
    this.horizons = horizons;
    this.season = season;
  }

  look(moment: Moment, remaining: Units, ageS: number): View | null {
    const { last } = this;
    if (last?.moment === moment && last.remaining === remaining && last.ageS === ageS) {
      return last.view;
    }
    const { ladder, second } = moment;
    const usual = ladder.rate(HABIT);
    const staleness = ageS > 0 ? Math.min(4, 0.5 * ((ageS * usual) / remaining) ** 2) : 0;
    const view = look(ladder, this.season, second, remaining, staleness);
    this.last = { moment, remaining, ageS, view };
    return view;
  }

  /** What was looked at belongs to the past. */
  forget(): void {
    this.last = null;
  }

  /** Where a horizon has no outcomes yet, the nearest shorter one that has; `null` = none has. */
  taught(index: number): Horizon | null {
    for (let i = index; i >= 0; i--) {
      const horizon = this.horizons[i] as Horizon;
      if (horizon.calibrated) return horizon;
    }
    return null;
  }

  /** ln of the seconds that it lasts with probability `p`, by one horizon and its own errors alone. */
  ownQuantile(index: number, view: View, p: number): number {
    const horizon = this.horizons[index] as Horizon;
    const taught = this.taught(index);
    const least = silentQuantile(view, p);
    if (taught === null) return Math.max(least, closedQuantile(view, p));
    const { calibration } = taught;
    const spread = horizon.spread(view);
    const off =
      taught === horizon
        ? spread * calibration.scoreAt(p)
        : -borrowedOff(calibration, spread, drift(view, horizon.seconds), p);
    return Math.max(least, horizon.centre(view) + off);
  }

  /** The same, of which the middle leans to a second opinion; nine tenths are calibrated without it. */
  private quantile(index: number, moment: Moment, view: View, p: number): number {
    const own = this.ownQuantile(index, view, p);
    const [middle, tenth] = LEVELS;
    if (p >= tenth) return own;
    const lean = this.lean(index, moment, view, p === middle ? own : null);
    const leaning = own + lean * Math.min(1, (tenth - p) / (tenth - middle));
    return lean >= 0 ? leaning : Math.max(leaning, this.ownQuantile(index, view, tenth));
  }

  /** How far the second opinion draws the median, in ln of seconds. */
  private lean(index: number, moment: Moment, view: View, median: number | null): number {
    const horizon = this.horizons[index] as Horizon;
    const { weight } = horizon.blend;
    if (weight < UNHEARD) return 0;
    const own = median ?? this.ownQuantile(index, view, LEVELS[0]);
    if (own === Infinity) return 0;
    return weight * (horizon.steady(view, moment.second, moment.untold) - own);
  }

  /** P(T ≤ seconds) by one horizon. */
  chance(index: number, moment: Moment, view: View, seconds: number): number {
    const chance = this.ownChance(index, moment, view, seconds);
    return view.silent > 0 ? Math.min(chance, silentChance(view, seconds)) : chance;
  }

  private ownChance(index: number, moment: Moment, view: View, seconds: number): number {
    const taught = this.taught(index);
    if (taught === null) return closedChance(view, seconds);
    const horizon = this.horizons[index] as Horizon;
    const spread = horizon.spread(view);
    const centre = horizon.centre(view) + this.lean(index, moment, view, null);
    const off = Math.log(seconds) - centre;
    if (taught === horizon) return taught.calibration.below(off / spread);
    return borrowedChance(taught.calibration, spread, drift(view, horizon.seconds), off);
  }

  /** Seconds that `remaining` lasts with probability `p`. */
  private lasts(moment: Moment, remaining: Units, ageS: number, p: number): number {
    const view = this.look(moment, remaining, ageS);
    if (view === null) return Infinity;
    const place = between(view.habit);
    const low = Math.floor(place);
    const share = place - low;
    const near = this.quantile(low, moment, view, p);
    if (share === 0) return Math.exp(near);
    return Math.exp(near * (1 - share) + this.quantile(low + 1, moment, view, p) * share);
  }

  /** With units coming back the budget grows while it lasts: the time at which both meet. */
  lastsRefilled(moment: Moment, question: Question, p: number): number {
    if (question.remaining <= 0) return 0;
    const ageS = question.ageMs / 1000;
    const { returns } = question;
    const lasts = (budget: Units): number => this.lasts(moment, budget, ageS, p);
    let seconds: number;
    if (returns === undefined) {
      seconds = lasts(question.remaining);
      if (question.refill <= 0) return seconds;
    } else {
      const met = meeting(question, returns, lasts);
      if (met.found) return met.seconds;
      seconds = met.seconds;
    }
    let step = 0;
    for (let i = 0; i < 12 && seconds < FOREVER; i++) {
      const next = lasts(budgetBy(question, seconds));
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

  /** P(it runs out before the reset); an unknown reset is one that never comes. */
  exhausts(moment: Moment, question: Question, resetS: number | null): number {
    if (question.remaining <= 0) return 1;
    const until = resetS ?? FOREVER;
    if (until <= 0) return 0;
    const { returns } = question;
    if (returns === undefined) return this.exhaustsAt(moment, question, until);
    // What comes back late is of no use before: it may be short then, and have enough at the end.
    let chance = 0;
    for (let i = 0, seconds = until; i <= HALVED; i++, seconds /= 2) {
      chance = Math.max(chance, this.exhaustsAt(moment, question, seconds));
    }
    return chance;
  }

  /** P(more is asked until then than there is until then). */
  private exhaustsAt(moment: Moment, question: Question, until: number): number {
    const view = this.look(moment, budgetBy(question, until), question.ageMs / 1000);
    if (view === null) return 0;
    const place = between(Math.log(until));
    const low = Math.floor(place);
    const share = place - low;
    const chance = this.toldChance(low, moment, view, until);
    return share === 0
      ? chance
      : chance * (1 - share) + this.toldChance(low + 1, moment, view, until) * share;
  }

  /** The habit is known for the habitual budget; the farther from it, the more the model stands alone. */
  private toldChance(index: number, moment: Moment, view: View, seconds: number): number {
    const chance = this.chance(index, moment, view, seconds);
    // A budget that even demand tells from the habitual one is another budget.
    const width = this.ownQuantile(index, view, 0.5) - this.ownQuantile(index, view, 0.9);
    const near = Number.isFinite(width) ? Math.min(NEAR, 2 * Math.max(1e-3, width)) : NEAR;
    const off = Math.abs(view.habit - Math.log(seconds)) / near;
    if (off >= 1) return chance;
    const { odds } = this.horizons[index] as Horizon;
    return chance + (1 - off) * (odds.tempered(chance) - chance);
  }

  nearest(seconds: number): Horizon {
    return this.horizons[Math.round(between(Math.log(seconds)))] as Horizon;
  }
}

/**
 * How far below the centre ln T lies with probability `1 − p`: errors of a shorter horizon, which are as
 * large in ln where changes are as large on every scale, and what demand may do beyond all that was seen.
 *
 * @param more variance of ln T that the latter adds
 */
function borrowedOff(calibration: Calibration, spread: number, more: number, p: number): number {
  const { width } = calibration;
  const known = BORROWED_WIDTH * spread * width;
  // Of two normal errors the variances add up; what of their shape is not normal stays as it is.
  const extra = Math.sqrt(known * known + more) - known;
  const below = calibration.scoreAt(0.5) - calibration.scoreAt(p);
  return BORROWED_WIDTH * spread * below + extra * normalQuantile(p);
}

/** P(ln T ≤ centre + off) by that law. */
function borrowedChance(
  calibration: Calibration,
  spread: number,
  more: number,
  off: number,
): number {
  let low = 0.001;
  let high = 0.999;
  for (let i = 0; i < 10; i++) {
    const middle = (low + high) / 2;
    if (borrowedOff(calibration, spread, more, 1 - middle) < -off) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}

/** The horizons that an expected time lies between: `index + share`. */
function between(log: number): number {
  let i = 0;
  while (i < HORIZONS.length - 1 && log > (LOGS[i + 1] as number)) i += 1;
  if (i === HORIZONS.length - 1) return i;
  const from = LOGS[i] as number;
  const to = LOGS[i + 1] as number;
  return i + Math.max(0, (log - from) / (to - from));
}
