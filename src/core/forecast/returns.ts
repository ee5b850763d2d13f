import type { Units } from '../units.ts';
import { FOREVER, type Question } from './question.ts';

/** What a rolling window gives back: known to the unit while what was used in it lasts. */
export interface Returns {
  /** Length of the window. */
  readonly windowS: number;
  /** Units that will have come back so many seconds from now; never falls. */
  readonly by: (seconds: number) => Units;
}

/** Steps, in windows: none misses more than so much; nor less than about one slot of a window … */
const LONGEST = 1 / 32;
const SHORTEST = 1 / 256;
/** … and so much of the time that has passed until there. */
const SHARE = 1 / 4;
/** Halvings of a step in which both met. */
const HALVINGS = 6;

/** Units that are there until then. */
export function budgetBy({ remaining, refill, returns }: Question, seconds: number): Units {
  return remaining + (returns === undefined ? refill * seconds : returns.by(seconds));
}

/**
 * The first time at which demand has used up what is left and what came back until then, seconds; not
 * within the window: how far that was looked for without finding it.
 *
 * As long as the budget of a moment lasts beyond it they do not meet before that budget ends, so that
 * each look leads on to its end. Where what comes back is about what is used the ends come ever so
 * little later: then it goes on by a step, and back in halves where both met in that.
 *
 * @param lasts seconds that a budget lasts; never falls with more of it
 */
export function meeting(
  question: Question,
  { windowS, by }: Returns,
  lasts: (budget: Units) => number,
): { seconds: number; found: boolean } {
  const { remaining } = question;
  const lastsAt = (seconds: number): number => lasts(remaining + by(seconds));
  let seconds = 0;
  let end = lasts(remaining);
  while (end < windowS) {
    if (by(end) === by(seconds)) return { seconds: end, found: true };
    const step = Math.min(LONGEST * windowS, Math.max(SHARE * seconds, SHORTEST * windowS));
    const next = Math.max(end, seconds + step);
    const after = lastsAt(next);
    if (after <= next) return { seconds: halved(end, next, lastsAt), found: true };
    seconds = next;
    end = after;
  }
  return { seconds: Math.min(FOREVER, end), found: false };
}

/** Both met between these. */
function halved(from: number, to: number, lastsAt: (seconds: number) => number): number {
  let low = from;
  let high = to;
  for (let i = 0; i < HALVINGS && low < high; i++) {
    const middle = (low + high) / 2;
    if (lastsAt(middle) <= middle) high = middle;
    else low = middle;
  }
  return high;
}
