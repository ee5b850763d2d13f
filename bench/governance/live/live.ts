/**
 * The check on the simulator: two workloads with compressed windows, played in virtual time and, with
 * the same jobs, by SDK clients on loopback through the real daemon against an origin that enforces
 * its limits by itself. A full one takes about three minutes, a quick one less than one.
 */
import { stopAll } from '../../processes.ts';
import { target, type Target } from '../../results.ts';
import { ratelord } from '../governors/ratelord.ts';
import { hindsight } from '../oracle/oracle.ts';
import type { Row } from '../report.ts';
import { demandOf, play, type Demand } from '../round.ts';
import { Tally } from '../tally.ts';
import { BOUND, compare, type Comparison } from './compare.ts';
import { playLive, type Strain } from './play.ts';
import { githubLive, openaiLive, type LiveWorkload } from './workloads.ts';

export const LIVE = 'ratelord-live';
export const LIVE_TARGET = 'live: relative difference from the simulator';

export interface LiveReport {
  readonly workloads: readonly { readonly name: string; readonly about: string }[];
  /** For each workload one of the simulator (`ratelord`, over all its draws) and one of `ratelord-live`. */
  readonly rows: readonly Row[];
  readonly comparisons: readonly Comparison[];
  /** One for each workload. */
  readonly strains: readonly Strain[];
  readonly targets: readonly Target[];
}

export interface LiveOptions {
  readonly quick: boolean;
  readonly seed: string;
  readonly workloads?: readonly LiveWorkload[];
  progress(text: string): void;
}

/** Times that the simulator plays the same jobs, each with latencies and jitter drawn anew. */
const DRAWS = { quick: 6, full: 12 };

/** GitHub's hour in 15 s, OpenAI's minute in 12; a quick one in 6 s each. */
export function liveWorkloads(quick: boolean): LiveWorkload[] {
  return quick
    ? [githubLive({ windowMs: 6000, windows: 3 }), openaiLive({ windowMs: 6000, windows: 3 })]
    : [githubLive({ windowMs: 15_000, windows: 4 }), openaiLive({ windowMs: 12_000, windows: 5 })];
}

export async function runLive(options: LiveOptions): Promise<LiveReport> {
  const { quick, seed, workloads = liveWorkloads(quick), progress } = options;
  const results: Result[] = [];
  // What was started is ended, however this one ends.
  const interrupted = (): void => process.exit(130);
  process.once('exit', stopAll).once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const expected: Expected[] = [];
    // Virtual time replaces the machine's clock: nothing real may run meanwhile.
    for (const live of workloads) {
      progress(`${live.workload.name}: in virtual time`);
      expected.push(await inVirtualTime(live, seed, quick ? DRAWS.quick : DRAWS.full));
    }
    // A quick one has no time for one after the other, and pays with a machine that is busier.
    if (quick)
      results.push(...(await Promise.all(expected.map((one) => inEarnest(one, progress)))));
    else for (const one of expected) results.push(await inEarnest(one, progress));
  } finally {
    process.off('exit', stopAll).off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
  const comparisons = results.flatMap((one) => one.comparisons);
  return {
    workloads: workloads.map(({ workload: { name, about } }) => ({ name, about })),
    rows: results.flatMap((one) => one.rows),
    comparisons,
    strains: results.map(({ strain }) => strain),
    targets: targetsOf(comparisons),
  };
}

/** What the simulator says of the jobs that are to be played in earnest. */
interface Expected {
  readonly live: LiveWorkload;
  readonly demand: Demand;
  /** Over all draws, and of each. */
  readonly row: Row;
  readonly draws: readonly Row[];
}

async function inVirtualTime(live: LiveWorkload, seed: string, count: number): Promise<Expected> {
  const { workload } = live;
  const demand = demandOf(workload, seed);
  const all = new Tally(workload, ratelord.name);
  const draws: Row[] = [];
  for (let draw = 0; draw < count; draw++) {
    const drawn = draw === 0 ? seed : `${seed}/draw-${String(draw)}`;
    const round = await play(workload, ratelord, { ...demand, seed: drawn });
    const best = await hindsight(round, seed);
    all.add(round, best);
    const one = new Tally(workload, ratelord.name);
    one.add(round, best);
    draws.push(one.row());
  }
  return { live, demand, row: all.row(), draws };
}

interface Result {
  readonly rows: readonly Row[];
  readonly comparisons: readonly Comparison[];
  readonly strain: Strain;
}

async function inEarnest(
  { live, demand, row, draws }: Expected,
  progress: LiveOptions['progress'],
): Promise<Result> {
  const { round, strain } = await playLive(live, demand, progress);
  const tally = new Tally(live.workload, LIVE);
  tally.add(round, await hindsight(round, demand.seed));
  const liveRow = tally.row();
  return { rows: [row, liveRow], comparisons: compare(liveRow, row, draws, strain), strain };
}

function targetsOf(comparisons: readonly Comparison[]): Target[] {
  const told = comparisons.filter(({ difference }) => difference !== null);
  const greatest = Math.max(0, ...told.map(({ difference }) => difference ?? 0));
  const without = comparisons.filter(({ explained }) => !explained).length;
  const most = (name: string, bound: number, value: number): Target =>
    target(name, 'at most', bound, told.length === 0 ? null : value, 'too short to tell');
  return [
    most(LIVE_TARGET, BOUND, greatest),
    most('live: differences beyond that without a reason', 0, without),
  ];
}
