/** Demand that nobody's governor can change: every job is made before the run, from the seed alone. */
import { fileURLToPath } from 'node:url';
import { loadPolicy } from '../../../src/config/policy/load.ts';
import type { CompiledPolicy } from '../../../src/core/policy/types.ts';
import type { Priority } from '../../../src/core/units.ts';
import { arrivalsOf, type ArrivalSpec } from '../../../src/sim/arrivals.ts';
import { draw, type Distribution } from '../../../src/sim/arrivals-draws.ts';
import { workOf, type WorkSpec } from '../../../src/sim/arrivals-work.ts';
import type { Random } from '../../../src/sim/random.ts';
import type { Job } from '../../../src/sim/types.ts';
import type { Sampler } from '../../../src/sim/upstream/origin.ts';

export const IDENTITY = 'shared-key';
/** Host of the API that is no built-in provider's. */
export const GENERIC_HOST = 'api.generic.test';
/** What an agent leaves for the answer itself when it says how long it will wait, unless told. */
const ANSWER_MS = 3000;

export interface Demand {
  readonly agent: string;
  readonly priority: Priority;
  readonly arrivals: Exclude<ArrivalSpec, { kind: 'greedy' }>;
  readonly work: WorkSpec;
  /** Worth of a job served in time. */
  readonly value: number;
  /** From arrival until it is worth nothing. */
  readonly deadlineMs: Distribution;
  /** Time that its answers take, as it knows from experience. */
  readonly answerMs?: number;
  /** What it tells ratelord it will wait; absent = nearly until its deadline. */
  readonly maxWaitMs?: number;
}

export function jobsOf(demands: readonly Demand[], random: Random, untilMs: number): Job[] {
  const seed = random.fork('demand');
  const drafts = demands.flatMap((demand) => draftsOf(demand, seed.fork(demand.agent), untilMs));
  drafts.sort((a, b) => a.arrivedAt - b.arrivedAt);
  return drafts.map((draft, at) => ({ ...draft, id: at + 1 }));
}

function draftsOf(demand: Demand, random: Random, untilMs: number): Omit<Job, 'id'>[] {
  const next = arrivalsOf(demand.arrivals, random.fork('when'), 0, untilMs);
  const what = random.fork('what');
  const drafts: Omit<Job, 'id'>[] = [];
  for (let arrival = next(); arrival !== null; arrival = next()) {
    const asked = workOf(demand.work, arrival, what);
    const deadlineMs = draw(demand.deadlineMs, what);
    drafts.push({
      ...asked,
      agent: demand.agent,
      identity: IDENTITY,
      arrivedAt: arrival.atMs,
      deadlineAt: arrival.atMs + deadlineMs,
      value: demand.value,
      priority: demand.priority,
      maxWaitMs:
        demand.maxWaitMs ?? Math.max(0, Math.round(deadlineMs - (demand.answerMs ?? ANSWER_MS))),
    });
  }
  return drafts;
}

/** `crawler-01` … */
export function names(stem: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${stem}-${String(at + 1).padStart(2, '0')}`);
}

/** One way to the origin server: 40 ms with a tail, as within a continent. */
export const network: Sampler = (random) => NEAREST_MS + random.exponential(10);
export const NEAREST_MS = 30;
/** A small answer of an API that is not slow. */
export const service: Sampler = (random) => 40 + random.exponential(40);

/** What ratelord runs with when nobody says otherwise. */
export function defaultPolicy(): CompiledPolicy {
  const path = fileURLToPath(new URL('../../../policies/default.yaml', import.meta.url));
  const loaded = loadPolicy(path);
  if (!loaded.ok) throw new Error(`${path}: ${loaded.problems[0]?.message ?? 'not a policy'}`);
  return loaded.policy;
}
