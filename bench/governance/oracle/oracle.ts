/** What a round's demand would have been worth to somebody who knew it all beforehand. */
import type { Job } from '../../../src/sim/types.ts';
import type { Round } from '../round.ts';
import { greedyInBuckets, greedyInWindows } from './greedy.ts';
import { boundValue } from './lp.ts';
import { bestValue, contiguous, type Slot } from './matroid.ts';

export interface Hindsight {
  /** No schedule is worth more. */
  readonly best: number;
  /** First come, first served with the same knowledge of the quota. */
  readonly greedy: number;
}

/** A job must reach the origin by then to be answered in time, and to count at all. */
function latestStart(job: Job, answerMs: number, demandMs: number): Job {
  return { ...job, deadlineAt: Math.min(job.deadlineAt - answerMs, demandMs) };
}

/**
 * Fixed windows open with the first call, so when they open is part of the schedule. Two ways are
 * tried, and the better counts: one window after the other from the first job on, and the windows
 * as this round really had them, which makes it at least what this round achieved. Where strangers
 * take their part only the latter is known: their part, too, is as it really was.
 */
function inWindows(round: Round, jobs: readonly Job[], pool: string): Hindsight {
  const { workload, demandMs } = round;
  const { limit, windowMs } = workload.quota;
  const real: readonly Slot[] = round.windows
    .filter((window) => window.pool.name === pool)
    .map(({ from, until, outside }) => ({ from, until, capacity: limit - outside }))
    .sort((a, b) => a.from - b.from);
  if (workload.outsiders !== undefined) {
    return { best: bestValue(jobs, real), greedy: greedyInWindows(jobs, real) };
  }
  const first = jobs[0]?.arrivedAt ?? 0;
  const even = contiguous(first, demandMs, windowMs, limit);
  return {
    best: Math.max(bestValue(jobs, real), bestValue(jobs, even)),
    greedy: greedyInWindows(jobs, even),
  };
}

/** Bounds of linear programs by workload and seed: they are the same for every contender. */
const bounds = new Map<string, Promise<Hindsight>>();

export function hindsight(round: Round, seed: string): Hindsight | Promise<Hindsight> {
  const { workload, demandMs } = round;
  const { oracle } = workload;
  const jobs = round.jobs.map((job) => latestStart(job, workload.answerMs?.(job) ?? 0, demandMs));
  if (oracle.kind === 'matroid') return inWindows(round, jobs, oracle.pool);
  const key = `${workload.name}/${seed}/${String(demandMs)}`;
  const known = bounds.get(key);
  if (known !== undefined) return known;
  const { buckets, stepMs } = oracle;
  const found = boundValue(jobs, buckets, { untilMs: demandMs, stepMs }).then((best) => ({
    best,
    greedy: greedyInBuckets(jobs, buckets, demandMs),
  }));
  bounds.set(key, found);
  return found;
}
