/**
 * What a run is judged by. Pure functions of what was recorded: how jobs ended, what reached the
 * origin server, what its windows held, and what the governor was asked and refused (`Watch`).
 *
 * A job *waits* from its arrival until the request that served it was sent to the origin server; a
 * lost one until it gave up. So time spent in a client's own retries counts as waiting, whoever made
 * it wait, and the origin's time to answer does not.
 */
import { SECOND } from '../core/units.ts';
import type { DurationMs, MonoMs, Priority, Units } from '../core/units.ts';
import type { Outcome, UpstreamCall, UpstreamWindow } from './types.ts';

export { jainIndex, largestGaps, fairness } from './measures-fairness.ts';
export type { Fairness, FairParty, PairGap } from './measures-fairness.ts';
export { falseRefusals } from './measures-hindsight.ts';
export type { RefusalTally } from './measures-hindsight.ts';
export { Watch } from './measures-watch.ts';
export type { Asking, Refused } from './measures-watch.ts';

/** A job and when its waiting was over. */
export interface JobCourse {
  readonly outcome: Outcome;
  /** When the request that served it left for the origin; when it gave up, or the run ended. */
  readonly untilMs: MonoMs;
}

/** One for each outcome, in the same order. */
export function coursesOf(
  outcomes: readonly Outcome[],
  calls: readonly UpstreamCall[],
): readonly JobCourse[] {
  const sentAt = new Map<number, MonoMs>();
  for (const call of calls) {
    if (call.request !== null && call.status < 400) sentAt.set(call.request.job.id, call.sentAt);
  }
  return outcomes.map((outcome) => {
    // One that was open at the end of the run may be at the origin already: it waits no more.
    const sent = outcome.end === 'lost' ? undefined : sentAt.get(outcome.job.id);
    return { outcome, untilMs: sent ?? outcome.at };
  });
}

/** Nearest rank; `null` of nothing. @param p 0…1 */
export function quantile(values: readonly number[], p: number): number | null {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  const rank = Math.min(sorted.length, Math.max(1, Math.ceil(p * sorted.length)));
  return sorted[rank - 1] ?? null;
}

export interface Waits {
  readonly served: number;
  readonly p50Ms: DurationMs | null;
  readonly p99Ms: DurationMs | null;
  readonly maxMs: DurationMs | null;
}

/** Of served jobs only: a lost job's wait is cut off, so losses must be read beside it. */
export function waits(courses: readonly JobCourse[]): Waits {
  const found = courses
    .filter(({ outcome }) => outcome.end === 'served')
    .map(({ outcome, untilMs }) => untilMs - outcome.job.arrivedAt);
  return {
    served: found.length,
    p50Ms: quantile(found, 0.5),
    p99Ms: quantile(found, 0.99),
    maxMs: quantile(found, 1),
  };
}

export function waitsByPriority(courses: readonly JobCourse[]): Readonly<Record<Priority, Waits>> {
  const of = (priority: Priority): Waits =>
    waits(courses.filter(({ outcome }) => outcome.job.priority === priority));
  return { high: of('high'), normal: of('normal'), background: of('background') };
}

/** Our requests that the origin refused for want of quota, per million that reached it. */
export function refusedPerMillion(calls: readonly UpstreamCall[]): number {
  let own = 0;
  let refused = 0;
  for (const call of calls) {
    if (call.request === null) continue;
    own += 1;
    if (call.refused) refused += 1;
  }
  return own === 0 ? 0 : (refused / own) * 1e6;
}

export interface Losses {
  readonly jobs: number;
  readonly served: number;
  readonly lost: number;
  /** Still under way when the run ended; they count for nothing. */
  readonly open: number;
  /** Lost of those that ended; 0 when none did. */
  readonly ratio: number;
}

/** @param servable ids of the jobs that count, e.g. those that an oracle serves; absent = all */
export function losses(outcomes: readonly Outcome[], servable?: ReadonlySet<number>): Losses {
  let served = 0;
  let lost = 0;
  let open = 0;
  for (const { job, end } of outcomes) {
    if (servable !== undefined && !servable.has(job.id)) continue;
    if (end === 'served') served += 1;
    else if (end === 'lost') lost += 1;
    else open += 1;
  }
  const ended = served + lost;
  return { jobs: ended + open, served, lost, open, ratio: ended === 0 ? 0 : lost / ended };
}

/** Sum of the values of jobs that were served, each by its deadline. */
export function valueServed(outcomes: readonly Outcome[]): number {
  let value = 0;
  for (const { job, end, at } of outcomes) {
    if (end === 'served' && at <= job.deadlineAt) value += job.value;
  }
  return value;
}

export interface Utilisation {
  /** (own + outside) / limit over the windows that count, at most 1; `null` when none does. */
  readonly ratio: number | null;
  readonly windows: number;
}

/**
 * Use while there was demand. A window counts when it ran its whole length within the run and what
 * was asked of it would have filled it: own and outside use together with what jobs of its identity
 * that still waited at its end would have taken is at least the limit. Jobs that came in its last
 * `graceMs` (1 s) are not held against it. Windows of concurrency do not count; neither does a
 * bucket's first span, which has a full bucket to begin with. What a bucket's span leaves is not lost
 * yet: what the spans right after it take beyond their own refill was taken of that, and is counted
 * there. What ran over the brim nobody can take later, so it stays unused.
 */
export function utilisation(
  windows: readonly UpstreamWindow[],
  courses: readonly JobCourse[],
  graceMs: DurationMs = SECOND,
): Utilisation {
  const waiting = new Map<string, Backlog>();
  const started = new Set<string>();
  /** By pool: what the bucket's last span left, if it counted. */
  const left = new Map<string, Units>();
  let limit = 0;
  let used = 0;
  let counted = 0;
  const inOrder = [...windows].sort((a, b) => a.from - b.from);
  for (const window of inOrder) {
    const { pool } = window;
    const key = `${pool.identity}\n${pool.name}`;
    const first = !started.has(key);
    started.add(key);
    // A hair less than whole is whole: spans are sums of floating point.
    const whole = window.until - window.from > pool.windowMs * (1 - 1e-9);
    if (pool.kind === 'concurrent' || !whole || (pool.kind === 'bucket' && first)) continue;
    let backlog = waiting.get(key);
    if (backlog === undefined) {
      backlog = new Backlog(courses, pool.identity, pool.name, graceMs);
      waiting.set(key, backlog);
    }
    const taken = window.own + window.outside;
    if (taken + backlog.at(window.until) < pool.limit) {
      left.delete(key);
      continue;
    }
    counted += 1;
    limit += pool.limit;
    const before = pool.kind === 'bucket' ? (left.get(key) ?? 0) : 0;
    const unused = Math.max(0, before + pool.limit - taken);
    left.set(key, unused);
    used += pool.limit - (unused - before);
  }
  return { ratio: limit === 0 ? null : used / limit, windows: counted };
}

/** Units that jobs of one identity wait for in one pool, at times that rise. */
class Backlog {
  /** `[time, change]`, by time. */
  private readonly changes: (readonly [MonoMs, number])[] = [];
  private next = 0;
  private units = 0;

  constructor(courses: readonly JobCourse[], identity: string, pool: string, graceMs: DurationMs) {
    for (const { outcome, untilMs } of courses) {
      const units: number = outcome.job.cost.units[pool] ?? 0;
      const from = outcome.job.arrivedAt + graceMs;
      if (units === 0 || outcome.job.identity !== identity || untilMs <= from) continue;
      this.changes.push([from, units], [untilMs, -units]);
    }
    this.changes.sort((a, b) => a[0] - b[0]);
  }

  at(time: MonoMs): number {
    for (;;) {
      const change = this.changes[this.next];
      // What is sent at the very end of a window still waited in it.
      if (change === undefined || change[0] >= time) return this.units;
      this.units += change[1];
      this.next += 1;
    }
  }
}

export interface Stampede {
  /** Mean over the resets of requests in the first second after it, relative to the service rate. */
  readonly mean: number;
  /** The worst of them. */
  readonly worst: number;
  readonly resets: number;
}

/**
 * How hard those who were refused come back: requests for a fixed window's identity that reach the
 * governor again (attempt 2 and later; first ones come by themselves) within one second after the
 * window's end, over its service rate (limit / window, at least 1 per second). Windows in which
 * nobody of the identity was refused are no reset that anybody waits for.
 */
export function stampede(
  windows: readonly UpstreamWindow[],
  askings: readonly { readonly at: MonoMs; readonly identity: string; readonly attempt: number }[],
  refusals: readonly { readonly at: MonoMs; readonly identity: string }[],
): Stampede {
  let sum = 0;
  let worst = 0;
  let resets = 0;
  for (const { pool, from, until } of windows) {
    if (pool.kind !== 'fixed' || until - from < pool.windowMs * (1 - 1e-9)) continue;
    if (countBetween(refusals, from, until, (one) => one.identity === pool.identity) === 0)
      continue;
    const back = countBetween(
      askings,
      until,
      until + SECOND,
      (one) => one.identity === pool.identity && one.attempt > 1,
    );
    const ratio = back / Math.max(1, pool.limit / (pool.windowMs / SECOND));
    sum += ratio;
    worst = Math.max(worst, ratio);
    resets += 1;
  }
  return { mean: resets === 0 ? 0 : sum / resets, worst, resets };
}

/** Of a list by rising time, how many of `from` ≤ at < `until` are meant. */
function countBetween<T extends { readonly at: MonoMs }>(
  list: readonly T[],
  from: MonoMs,
  until: MonoMs,
  meant: (one: T) => boolean,
): number {
  let low = 0;
  for (let high = list.length; low < high;) {
    const middle = (low + high) >> 1;
    if ((list[middle]?.at ?? Infinity) < from) low = middle + 1;
    else high = middle;
  }
  let count = 0;
  for (let i = low; i < list.length; i++) {
    const one = list[i];
    if (one === undefined || one.at >= until) break;
    if (meant(one)) count += 1;
  }
  return count;
}
