import type { Units } from '../units.ts';
import { HABIT, RUNGS, type Ladder } from './ladder.ts';
import { passage, type Passage } from './passage.ts';
import { FEATURES } from './regression.ts';
import type { Season } from './season.ts';

/** What is known of a budget's end before errors of the past correct it. Logarithms are of seconds. */
export interface View {
  /** First passage by the rate that looks back about as far as the budget usually lasts. */
  readonly closed: Passage;
  /** What that rate expects, and what the habit of the week expects. */
  readonly expected: number;
  readonly habit: number;
  /** What each feature has it differ by from the habit. */
  readonly features: Float64Array;
  /** What chance and the youth of the rate add to the variance of ln T. */
  readonly noise: number;
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
  const dispersion = Math.max(1e-9, ladder.dispersion(rung));
  const noise = dispersion / remaining + dispersion / (rate * weight);
  const closed = passage(remaining, rate, dispersion, weight);
  return {
    closed: staleness > 0 ? stale(closed, staleness) : closed,
    expected: Math.log(remaining / rate),
    habit: Math.log(usualSeconds),
    features,
    noise: noise + staleness,
  };
}

/** The rate known by fewer lumps: ln T varies by about 1/k + 1/a. */
function stale({ k, a, b }: Passage, staleness: number): Passage {
  const less = 1 / (1 + a * staleness);
  return { k, a: a * less, b: b * less };
}

const HOUR = RUNGS.indexOf(3_600);
/** Demand changes within the hour: a longer look back tells more of what it was than of what it will be. */
const FARTHEST = RUNGS.indexOf(1_800);
