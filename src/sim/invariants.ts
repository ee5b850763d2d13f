/** What a scenario asserts of its run: each measure by its name, and whether its bound holds. */
import type { JudgedInvariant } from '../core/sim-report.ts';
import type { DurationMs, MonoMs, Units } from '../core/units.ts';
import {
  coursesOf,
  fairness,
  falseRefusals,
  losses,
  quantile,
  refusedPerMillion,
  stampede,
  utilisation,
  waits,
  type Fairness,
  type JobCourse,
} from './measures.ts';
import type { Invariant } from './scenario.ts';
import type { OriginRecord, RunRecord } from './simulation.ts';
import type { Job, Outcome, UpstreamCall, UpstreamPool, UpstreamWindow } from './types.ts';

/** The part of a run that an invariant looks at. */
export interface View {
  readonly record: RunRecord;
  readonly outcomes: readonly Outcome[];
  readonly courses: readonly JobCourse[];
  readonly origins: readonly OriginRecord[];
  /** Our own that reached an origin, of the agents that are looked at. */
  readonly calls: readonly UpstreamCall[];
  readonly windows: readonly UpstreamWindow[];
}

type MeasureOf = (view: View) => number | null;

/** Last status of a job whose client got no answer, and gave up. */
const UNANSWERED = 0;
/** Largest requests that each agent must have got before shares are compared. */
const FEWEST_MAXIMAL = 10;

export const MEASURES: Readonly<Record<string, MeasureOf>> = {
  'upstream.refused': ({ calls }) => calls.filter((call) => call.refused).length,
  'upstream.refused_per_million': ({ calls }) => refusedPerMillion(calls),
  'upstream.served': ({ calls }) => calls.filter(isServed).length,
  'upstream.failed': ({ calls }) => calls.filter((call) => isFailed(call)).length,
  utilisation: ({ windows, record }) =>
    utilisation(windows, coursesOf(record.outcomes, callsOf(record.origins))).ratio,
  lost_ratio: ({ outcomes }) => (outcomes.length === 0 ? null : losses(outcomes).ratio),
  served: ({ outcomes }) => losses(outcomes).served,
  served_ratio: ({ outcomes }) => ratio(losses(outcomes).served, outcomes.length),
  refused_ratio: ({ outcomes, record }) => {
    const jobs = new Set(outcomes.map(({ job }) => job.id));
    const refused = record.refusals.filter(({ job }) => jobs.has(job.id)).length;
    return ratio(refused, outcomes.length);
  },
  avoidable_loss: avoidableLoss,
  false_refusals: ({ record, outcomes, origins, windows }) => {
    const jobs = new Set(outcomes.map(({ job }) => job.id));
    const refused = record.refusals.filter(({ job }) => jobs.has(job.id));
    return falseRefusals(refused, poolsOf(origins), windows, callsOf(origins)).ratio;
  },
  jain: (view) => {
    const { jain, fewestMaximal } = fairnessOf(view);
    // With less than that the size of single requests decides, not the governor.
    return fewestMaximal < FEWEST_MAXIMAL ? null : jain;
  },
  gap_violations: (view) => fairnessOf(view).violations,
  wait_p50_ms: ({ courses }) => waits(courses).p50Ms,
  wait_p99_ms: ({ courses }) => waits(courses).p99Ms,
  longest_wait_ms: ({ courses }) => waits(courses).maxMs,
  longest_gap_ms: longestGap,
  starved: ({ outcomes }) => starved(outcomes),
  stampede: ({ windows, record }) => stampede(windows, record.askings, record.refusals).mean,
  retried: ({ record }) => record.totals.retried,
  drift_noticed: ({ record }) => record.drifts.length,
};

export function judge(record: RunRecord): readonly JudgedInvariant[] {
  const courses = coursesOf(record.outcomes, callsOf(record.origins));
  return record.scenario.invariants.map((invariant) => {
    const measure = MEASURES[invariant.measure];
    if (measure === undefined) throw new Error(`no measure \`${invariant.measure}\``);
    const value = measure(viewOf(record, courses, invariant));
    const { min, max, name } = invariant;
    const passed =
      value !== null && (min === null || value >= min) && (max === null || value <= max);
    const bound = { ...(min === null ? {} : { min }), ...(max === null ? {} : { max }) };
    return { name, passed, value, bound };
  });
}

function viewOf(
  record: RunRecord,
  courses: readonly JobCourse[],
  { agent, priority, provider, pool }: Invariant,
): View {
  const meant = (job: Job): boolean =>
    (agent === null || agent(job.agent)) &&
    (priority === null || job.priority === priority) &&
    (provider === null || job.provider === provider);
  const origins = record.origins.filter((one) => provider === null || one.provider === provider);
  const kept = courses.filter(({ outcome }) => meant(outcome.job));
  return {
    record,
    outcomes: kept.map(({ outcome }) => outcome),
    courses: kept,
    origins,
    calls: callsOf(origins).filter(({ request }) => request !== null && meant(request.job)),
    windows: origins
      .flatMap(({ windows }) => windows)
      .filter((window) => pool === null || window.pool.name === pool),
  };
}

/** In order of time. */
export function callsOf(origins: readonly OriginRecord[]): readonly UpstreamCall[] {
  const [only] = origins;
  if (origins.length === 1 && only !== undefined) return only.calls;
  return origins.flatMap(({ calls }) => calls).sort((a, b) => a.at - b.at);
}

export function isServed({ status }: UpstreamCall): boolean {
  return status >= 200 && status < 400;
}

function isFailed({ status }: UpstreamCall): boolean {
  return status === 0 || status >= 500;
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function poolsOf(origins: readonly OriginRecord[]): readonly UpstreamPool[] {
  return origins.flatMap(({ pools }) => pools);
}

/**
 * Jobs that their agent lost for good although hindsight finds room for them in what the quotas left
 * unused, before their deadline, within their greatest wait and before their client hung up; of all
 * jobs that ended.
 */
function avoidableLoss({ record, outcomes, origins, windows }: View): number | null {
  const { maxWaitMs: usual } = record.scenario.policy.defaults;
  const lost = outcomes
    .filter(({ end }) => end === 'lost')
    .map(({ job, at, lastStatus }) => ({
      at,
      askedAt: job.arrivedAt,
      identity: job.identity,
      job,
      status: lastStatus,
      // Whoever was never answered and left was not there later, however long it said it would wait.
      maxWaitMs:
        lastStatus === UNANSWERED
          ? at - job.arrivedAt
          : Math.max(at - job.arrivedAt, job.maxWaitMs ?? usual),
    }));
  const found = falseRefusals(lost, poolsOf(origins), windows, callsOf(origins));
  const { served, lost: all } = losses(outcomes);
  return ratio(found.false, served + all);
}

/** Agents that asked and got nothing at all. */
function starved(outcomes: readonly Outcome[]): number {
  const served = new Map<string, boolean>();
  for (const { job, end } of outcomes) {
    served.set(job.agent, (served.get(job.agent) ?? false) || end === 'served');
  }
  return [...served.values()].filter((some) => !some).length;
}

function fairnessOf(view: View): Fairness {
  const { record, courses, calls } = view;
  const present = new Set(courses.map(({ outcome }) => outcome.job.agent));
  const parties = record.scenario.agents
    .filter(({ id }) => present.has(id))
    .map(({ id, weight }) => ({ agent: id, weight }));
  return fairness(parties, courses, calls, dominantShare(record), mostAtOnce(calls, record));
}

/** The largest part of any pool that a job takes; 1 where no pool counts it. */
function dominantShare({ origins }: RunRecord): (job: Job) => Units {
  const limits = new Map<string, Units>();
  for (const { pools } of origins) {
    for (const pool of pools) if (pool.kind !== 'concurrent') limits.set(pool.name, pool.limit);
  }
  return ({ cost }) => {
    let most = 0;
    for (const [name, units] of Object.entries(cost.units)) {
      const limit = limits.get(name);
      if (limit !== undefined) most = Math.max(most, units / limit);
    }
    return most === 0 ? 1 : most;
  };
}

/** Most requests that were on their way or being served at once. */
function mostAtOnce(calls: readonly UpstreamCall[], { outcomes }: RunRecord): number {
  const ends = new Map(outcomes.map(({ job, at }) => [job.id, at]));
  const steps: [MonoMs, number][] = [];
  for (const { sentAt, request } of calls) {
    const end = request === null ? undefined : ends.get(request.job.id);
    steps.push([sentAt, 1], [Math.max(sentAt, end ?? sentAt), -1]);
  }
  steps.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let inside = 0;
  let most = 0;
  for (const [, step] of steps) most = Math.max(most, (inside += step));
  return most;
}

/** The longest time in which an agent had somebody waiting and nothing of it was sent. */
function longestGap({ courses }: View): DurationMs | null {
  const byAgent = new Map<string, JobCourse[]>();
  for (const course of courses) {
    const { agent } = course.outcome.job;
    const list = byAgent.get(agent);
    if (list === undefined) byAgent.set(agent, [course]);
    else list.push(course);
  }
  const gaps = [...byAgent.values()].map(longestGapOf);
  return gaps.length === 0 ? null : Math.max(...gaps);
}

/** Courses of one agent. Between two services an agent is idle when nobody of it waits. */
function longestGapOf(courses: readonly JobCourse[]): DurationMs {
  const sent = courses
    .filter(({ outcome }) => outcome.end === 'served')
    .map(({ untilMs }) => untilMs)
    .sort((a, b) => a - b);
  const waiting = [...courses].sort((a, b) => a.outcome.job.arrivedAt - b.outcome.job.arrivedAt);
  let worst = 0;
  let next = 0;
  for (const { outcome, untilMs } of waiting) {
    const from = outcome.job.arrivedAt;
    while ((sent[next] ?? Infinity) < from) next += 1;
    // From its arrival to the next service of its agent, or to its own end.
    worst = Math.max(worst, Math.min(sent[next] ?? Infinity, untilMs) - from);
  }
  return worst;
}

/** For the report: the wait of served jobs. */
export function waitQuantile(courses: readonly JobCourse[], p: number): DurationMs | null {
  const found = courses
    .filter(({ outcome }) => outcome.end === 'served')
    .map(({ outcome, untilMs }) => untilMs - outcome.job.arrivedAt);
  return quantile(found, p);
}
