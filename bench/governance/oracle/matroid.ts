/**
 * The best in hindsight where every job costs one unit of one pool of fixed windows. Job sets that
 * fit into the windows by their deadlines are the independent sets of a matroid (a transversal
 * matroid of intervals), so taking jobs by falling value whenever the set still fits is exact:
 * Lawler, Combinatorial Optimization: Networks and Matroids, 1976, chapter 7.
 */
import type { Job } from '../../../src/sim/types.ts';

/** A window of the pool and how many units of it were to be had. */
export interface Slot {
  readonly from: number;
  /** Exclusive. */
  readonly until: number;
  readonly capacity: number;
}

/** Jobs that are worth the same and may go into the same windows. */
interface Kind {
  readonly value: number;
  /** First and last window, inclusive. */
  readonly first: number;
  readonly last: number;
  count: number;
}

/** Index of the first slot that ends after `at`. */
function slotAfter(slots: readonly Slot[], at: number): number {
  let low = 0;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((slots[middle]?.until ?? Infinity) > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Index of the last slot that has begun by then; -1 = none. */
function slotBy(slots: readonly Slot[], at: number): number {
  let low = 0;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((slots[middle]?.from ?? Infinity) <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function kindsOf(jobs: readonly Job[], slots: readonly Slot[]): Kind[] {
  const kinds = new Map<string, Kind>();
  for (const job of jobs) {
    const first = slotAfter(slots, job.arrivedAt);
    const last = slotBy(slots, job.deadlineAt);
    if (first > last || job.value <= 0) continue;
    const key = `${String(job.value)}/${String(first)}/${String(last)}`;
    const kind = kinds.get(key);
    if (kind === undefined) kinds.set(key, { value: job.value, first, last, count: 1 });
    else kind.count += 1;
  }
  return [...kinds.values()].sort((a, b) => b.value - a.value || a.last - b.last);
}

/** Accepted jobs by first and last window, and whether they all fit: earliest deadline first. */
class Accepted {
  private readonly slots: readonly Slot[];
  /** By first window: how many end with which last window. */
  private readonly byFirst: Map<number, number>[];
  /** No job may last longer than so many windows: bounds the look ahead of `fits`. */
  private readonly due: Float64Array;

  constructor(slots: readonly Slot[]) {
    this.slots = slots;
    this.byFirst = slots.map(() => new Map());
    this.due = new Float64Array(slots.length);
  }

  add(first: number, last: number, count: number): void {
    const at = this.byFirst[first];
    at?.set(last, (at.get(last) ?? 0) + count);
  }

  /** Fills window after window with what is due first; false when something is due and left over. */
  fits(): boolean {
    const { due, slots, byFirst } = this;
    due.fill(0);
    let open = 0;
    let next = 0;
    for (let at = 0; at < slots.length; at++) {
      for (const [last, count] of byFirst[at] ?? []) {
        due[last] = (due[last] ?? 0) + count;
        open += count;
        if (last < next) next = last;
      }
      let room = slots[at]?.capacity ?? 0;
      if (next < at) next = at;
      while (room > 0 && open > 0) {
        const here = due[next] ?? 0;
        const taken = Math.min(room, here);
        due[next] = here - taken;
        room -= taken;
        open -= taken;
        if (here === taken) next += 1;
      }
      if ((due[at] ?? 0) > 0) return false;
    }
    return true;
  }
}

/** Largest value that any schedule could have had: jobs served in a window they were alive in. */
export function bestValue(jobs: readonly Job[], slots: readonly Slot[]): number {
  const accepted = new Accepted(slots);
  let value = 0;
  for (const kind of kindsOf(jobs, slots)) {
    // The largest number of this kind that still fits: all of them, or found by halving.
    let low = 0;
    let high = kind.count;
    accepted.add(kind.first, kind.last, high);
    let held = high;
    if (!accepted.fits()) {
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        accepted.add(kind.first, kind.last, middle - held);
        held = middle;
        if (accepted.fits()) low = middle;
        else high = middle - 1;
      }
      accepted.add(kind.first, kind.last, low - held);
      held = low;
    }
    value += held * kind.value;
  }
  return value;
}

/** Windows one after the other from `from` on, the last cut off at `until`. */
export function contiguous(
  from: number,
  until: number,
  windowMs: number,
  capacity: number,
): readonly Slot[] {
  const slots: Slot[] = [];
  for (let at = from; at < until; at += windowMs) {
    slots.push({ from: at, until: at + windowMs, capacity });
  }
  return slots;
}
