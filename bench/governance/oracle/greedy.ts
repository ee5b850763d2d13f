/**
 * First come, first served with perfect knowledge of the quota: what a governor gets that never
 * refuses in vain and never wastes a unit, but knows nothing of value, deadline or fairness.
 */
import type { Job } from '../../../src/sim/types.ts';
import type { Bucket } from './lp.ts';
import type { Slot } from './matroid.ts';

/** Value served in time where every job costs one unit of one pool. */
export function greedyInWindows(jobs: readonly Job[], slots: readonly Slot[]): number {
  let value = 0;
  let next = 0;
  let waiting: Job[] = [];
  for (const slot of slots) {
    let room = slot.capacity;
    const late: Job[] = [];
    const serve = (job: Job, at: number): void => {
      if (job.deadlineAt < at) return;
      if (room > 0) {
        room -= 1;
        value += job.value;
      } else late.push(job);
    };
    for (const job of waiting) serve(job, slot.from);
    for (let job = jobs[next]; job !== undefined && job.arrivedAt < slot.until; job = jobs[next]) {
      serve(job, Math.max(job.arrivedAt, slot.from));
      next += 1;
    }
    waiting = late;
  }
  return value;
}

/** Value served in time where jobs cost different amounts of several buckets; the first in line holds up the rest. */
export function greedyInBuckets(
  jobs: readonly Job[],
  buckets: readonly Bucket[],
  untilMs: number,
): number {
  const levels = buckets.map(({ limit }) => limit);
  let now = 0;
  let value = 0;
  for (const job of jobs) {
    const start = Math.max(now, job.arrivedAt);
    let wait = 0;
    for (const [p, { name, limit, windowMs }] of buckets.entries()) {
      const units = job.cost.units[name] ?? 0;
      if (units > limit) wait = Infinity;
      const level = Math.min(limit, (levels[p] ?? 0) + ((start - now) * limit) / windowMs);
      wait = Math.max(wait, ((units - level) * windowMs) / limit);
    }
    const at = start + wait;
    // Who would be served too late goes, and holds nobody up.
    if (at > job.deadlineAt || at > untilMs) continue;
    for (const [p, { name, limit, windowMs }] of buckets.entries()) {
      const level = Math.min(limit, (levels[p] ?? 0) + ((at - now) * limit) / windowMs);
      levels[p] = level - (job.cost.units[name] ?? 0);
    }
    now = at;
    value += job.value;
  }
  return value;
}
