import type { Units } from '../units.ts';
import { HABIT, RUNGS, type Ladder } from './ladder.ts';
import { lastsWith, passage, within, type Passage } from './passage.ts';
import { FEATURES } from './regression.ts';
import type { Season } from './season.ts';

/** What is known of a budget's end before errors of the past correct it. Logarithms are of seconds. */
export interface View {
  /** First passage by the rate that looks back about as far as the budget usually lasts. */
  readonly closed: Passage;
  /** ln of its median, once somebody asked: NaN before. */
  middle: number;
  /** ln of the units that are left. */
  readonly remaining: number;
  /** What that rate expects, and what the habit of the week expects. */
  readonly expected: number;
  readonly habit: number;
  /** What each feature has it differ by from the habit. */
  readonly features: Float64Array;
  /** What chance and the youth of the rate add to the variance of ln T. */
  readonly noise: number;
  /** Of ln T, what the reading's age adds; it is in `noise` as well. */
  readonly staleness: number;
  /** Seconds for which nothing came, beyond what is usual between two that come. */
  readonly silent: number;
  /** Seconds of experience, at most about the longest memory. */
  readonly observed: number;
}

/**
 * Lumps that a rate borrows from the habit, so that a few silent seconds do not promise eternity.
 */
const BORROWED = 0.5;

/** Units a second that are none: one in thirty years. Logarithms of less may overflow. */
const NOTHING = 1e-9;

/** @param staleness variance of ln T that the reading's age adds; @returns `null` before anything came */
export function look(
  ladder: Ladder,
  season: Season,
  second: number,
  remaining: Units,
  staleness: number,
): View | null {
  const usual = ladder.rate(HABIT);
  if (usual < NOTHING || remaining <= 0) return null;
  const usualSeconds = remaining / usual;
  const rung = Math.max(1, Math.min(FARTHEST, ladder.rungFor(usualSeconds)));
  const lump = Math.max(1e-9, ladder.dispersion(HABIT));
  const borrowed = (BORROWED * lump) / usual;
  const at = (one: number): number => {
    const weight = ladder.weight(one);
    return (ladder.rate(one) * weight + usual * borrowed) / (weight + borrowed);
  };
  const rate = at(rung);
  const fresh = Math.log(usual / rate);
  const seasonal = season.lasts(second, remaining, ladder.rate(HOUR));
  const features = new Float64Array(FEATURES);
  features[0] = fresh;
  features[1] = seasonal === null ? 0 : Math.log(seasonal / usualSeconds) - fresh;
  features[2] = Math.log(rate / at(rung - 1));
  features[3] = Math.log(rate / at(rung + 1));
  const weight = ladder.weight(rung) + borrowed;
  // A few seconds are too few to tell even from uneven: all that came in one may be one lump.
  const youth = YOUNG_S / (ladder.weight(rung) + YOUNG_S);
  const dispersion = Math.max(1e-9, ladder.dispersion(rung) + youth * rate);
  const noise = dispersion / remaining + dispersion / (rate * weight);
  const closed = passage(remaining, rate, dispersion, weight);
  return {
    closed,
    middle: NaN,
    remaining: Math.log(remaining),
    expected: Math.log(remaining / rate),
    habit: Math.log(usualSeconds),
    features,
    noise: noise + staleness,
    staleness,
    silent: Math.max(0, ladder.silence - UNUSUAL / Math.max(1e-9, ladder.business)),
    observed: ladder.weight(HABIT),
  };
}

/**
 * Variance of ln T that comes from demand being another one later on: what was seen for a minute says
 * little of an hour. Every e-fold of the time looked ahead, in times of experience, adds the same, as it
 * does where changes are as large on every scale (1/f noise, bursts within bursts).
 */
export function drift({ observed }: View, seconds: number): number {
  return driftOver(seconds, observed);
}

/**
 * ln of the seconds that a long silence goes on at least with probability `p`: it is even odds that one
 * sees its first half, nine to one that no more than nine tenths are over (the law of a gap of which
 * nothing is known, not even its scale). Of less, whatever comes after it has an end.
 */
export function silentQuantile({ silent }: View, p: number): number {
  return silent <= 0 ? -Infinity : Math.log((silent * (1 - p)) / p);
}

/** P(it ends within so many seconds). */
export function silentChance({ silent }: View, seconds: number): number {
  return seconds / (seconds + silent);
}

/** ln of the seconds that it lasts with probability `p`, by the closed form, as far as that is to be trusted. */
export function closedQuantile(view: View, p: number): number {
  const middle = middleOf(view);
  if (p === 0.5) return middle;
  if (middle === Infinity) return Math.log(lastsWith(view.closed, p));
  const off = Math.log(lastsWith(view.closed, p)) - middle;
  // As wide as it is that far ahead: the shorter of two times is known better.
  let log = view.expected;
  for (let i = 0; i < 3; i++) log = middle + stretch(view, Math.exp(log)) * off;
  return log;
}

/** Seconds that a passage lasts with probability `p`, when so many seconds of demand were seen. */
export function lastsAsSeen(law: Passage, p: number, observed: number): number {
  const middle = lastsWith(law, 0.5);
  if (p === 0.5 || middle === Infinity || middle <= 0) return lastsWith(law, p);
  const off = Math.log(lastsWith(law, p) / middle);
  let seconds = middle;
  for (let i = 0; i < 3; i++) {
    seconds = middle * Math.exp(off * wider(law, driftOver(seconds, observed)));
  }
  return seconds;
}

/** P(T ≤ seconds), by the closed form, as far as that is to be trusted. */
export function closedChance(view: View, seconds: number): number {
  const middle = middleOf(view);
  if (middle === Infinity) return within(view.closed, seconds);
  const off = (Math.log(seconds) - middle) / stretch(view, seconds);
  return within(view.closed, Math.exp(middle + off));
}

function middleOf(view: View): number {
  if (Number.isNaN(view.middle)) view.middle = Math.log(lastsWith(view.closed, 0.5));
  return view.middle;
}

/** How much wider than in the closed form ln T spreads, in which it varies by about 1/k + 1/a. */
function stretch(view: View, seconds: number): number {
  return wider(view.closed, view.staleness + drift(view, seconds));
}

/** @param more variance of ln T that is not in the closed form */
function wider({ k, a }: Passage, more: number): number {
  return Math.sqrt(1 + more / (1 / k + 1 / a));
}

function driftOver(seconds: number, observed: number): number {
  return DRIFT * Math.log1p(seconds / observed);
}

/** A factor of e^√0.1 ≈ 1.4 either way when looking as far ahead as 1.7 times the experience. */
const DRIFT = 0.1;
/** Usual gaps of which a silence must have lasted so many to be another thing: by chance, one in e¹⁰. */
const UNUSUAL = 10;
/** Seconds that count as seen in which everything came at once. */
export const YOUNG_S = 3;
const HOUR = RUNGS.indexOf(3_600);
/** Demand changes within the hour: a longer look back tells more of what it was than of what it will be. */
const FARTHEST = RUNGS.indexOf(1_800);
