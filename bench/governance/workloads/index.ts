/** All workloads, and how much of each is played. */
import { Random } from '../../../src/sim/random.ts';
import { makeTrace, type SyntheticSpec } from '../../../src/sim/synthetic.ts';
import type { Arrival } from '../../../src/sim/arrivals.ts';
import { MINUTE, SECOND } from '../../../src/core/units.ts';
import type { Entry } from '../table.ts';
import { batches, fleets, outsiders, saturated, twoClass } from './github.ts';
import { herd } from './herd.ts';
import { costSkew, fromTrace } from './openai.ts';

export interface Trace {
  readonly name: string;
  readonly arrivals: readonly Arrival[];
}

/** What W6 plays when no trace was given: requests that bring on others, as conversations do. */
const CONVERSATIONS: SyntheticSpec = {
  kind: 'hawkes',
  perSecond: 0.8,
  branching: 0.8,
  decayMs: 20 * SECOND,
};

export function madeTrace(lengthMs: number): Trace {
  const arrivals = makeTrace(CONVERSATIONS, lengthMs, new Random('conversations'));
  return { name: 'made', arrivals };
}

/** Rounds are in windows: see each workload. */
export function fullRun(traces: readonly Trace[]): Entry[] {
  const played = traces.length > 0 ? traces : [madeTrace(60 * MINUTE)];
  return [
    { workload: saturated, rounds: 15 },
    { workload: outsiders, rounds: 60 },
    { workload: batches, rounds: 20 },
    { workload: twoClass(24), rounds: 14 },
    { workload: costSkew, rounds: 20 },
    ...played.map(({ name, arrivals }) => ({ workload: fromTrace(name, arrivals), rounds: 1 })),
    { workload: fleets, rounds: 10 },
    { workload: herd, rounds: 10 },
  ];
}

/** The same workloads in a minute: shorter, and once. */
export function quickRun(traces: readonly Trace[]): Entry[] {
  const played = traces.length > 0 ? traces : [madeTrace(10 * MINUTE)];
  const short = (workload: Entry['workload'], windows: number): Entry => ({
    workload: { ...workload, windows: Math.min(windows, workload.windows) },
    rounds: 1,
  });
  return [
    short(saturated, 1),
    short(outsiders, 4),
    short(batches, 4),
    short(twoClass(4), 4),
    short(costSkew, 5),
    ...played.map(({ name, arrivals }) => short(fromTrace(name, arrivals), 10)),
    short(fleets, 2),
    short(herd, 9),
  ];
}
