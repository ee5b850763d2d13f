/** Which times are given away already, and how much of each window. */
import type { DurationMs, EpochMs, Units } from '../units.ts';

/** Two resets at most this far apart, in windows, are one. */
const SAME_WINDOW = 0.5;
/** Windows ahead in which slots are kept. */
export const MAX_WINDOWS = 64;
/** Gaps between slots that are remembered. */
const MAX_STRETCHES = 128;

/** Slots one after the other without a gap, ends excluded. */
interface Stretch {
  from: EpochMs;
  to: EpochMs;
}

/** One window of a pool: units that those will ask who hold slots in it. */
export interface Booking {
  readonly from: EpochMs;
  units: Units;
}

export interface Lane {
  /** Given slots, ascending. */
  readonly given: Stretch[];
  /** Ascending; empty where there are no windows. */
  readonly windows: Booking[];
}

export function lane(): Lane {
  return { given: [], windows: [] };
}

/** What ended before `at` concerns nobody any more. */
export function forgetPast({ given }: Lane, at: EpochMs): void {
  while (given.length > 0 && (given[0] as Stretch).to < at) given.shift();
}

/** The window in which `from` lies; windows that nobody holds a slot in are not known. */
export function windowAt(windows: Booking[], from: EpochMs, windowMs: DurationMs): Booking {
  let at = windows.length;
  while (at > 0 && (windows[at - 1] as Booking).from > from) at -= 1;
  const before = windows[at - 1];
  const after = windows[at];
  if (before !== undefined && from - before.from < windowMs * SAME_WINDOW) return before;
  if (after !== undefined && after.from - from < windowMs * SAME_WINDOW) return after;
  if (windows.length >= MAX_WINDOWS) {
    windows.shift();
    at = Math.max(0, at - 1);
  }
  const made = { from, units: 0 };
  windows.splice(at, 0, made);
  return made;
}

/** The first slot of this length from `from` on that nobody was given. */
export function nextFree({ given }: Lane, from: EpochMs, stepMs: DurationMs): EpochMs {
  let at = given.length;
  while (at > 0 && (given[at - 1] as Stretch).from > from) at -= 1;
  let slot = Math.max(from, given[at - 1]?.to ?? from);
  for (let next = given[at]; next !== undefined && next.from < slot + stepMs; next = given[at]) {
    slot = next.to;
    at += 1;
  }
  const end = slot + stepMs;
  const before = given[at - 1];
  const after = given[at];
  if (before !== undefined && before.to >= slot) {
    before.to = end;
    if (after === undefined || after.from > end) return slot;
    before.to = after.to;
    given.splice(at, 1);
  } else if (after !== undefined && after.from <= end) after.from = slot;
  else given.splice(at, 0, { from: slot, to: end });
  if (given.length > MAX_STRETCHES) joinFirst(given);
  return slot;
}

/** Gives up the gap between the two earliest. */
function joinFirst(given: Stretch[]): void {
  const [first, second] = given;
  if (first === undefined || second === undefined) return;
  first.to = second.to;
  given.splice(1, 1);
}
