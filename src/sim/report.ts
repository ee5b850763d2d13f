/** What a run is reported as. */
import type { AgentReport, SimReport } from '../core/sim-report.ts';
import type { DurationMs } from '../core/units.ts';
import { callsOf, isServed, judge } from './invariants.ts';
import { coursesOf, losses, utilisation, waits, type JobCourse } from './measures.ts';
import type { RunRecord } from './simulation.ts';

/** @param wallMs how long the run took */
export function reportOf(record: RunRecord, wallMs: DurationMs): SimReport {
  const { scenario, totals } = record;
  const calls = callsOf(record.origins);
  const own = calls.filter(({ request }) => request !== null);
  const courses = coursesOf(record.outcomes, calls);
  const invariants = judge(record);
  const requests = record.askings.length;
  const reason =
    requests === 0 ? 'no request was made' : invariants.length === 0 ? 'it asserts nothing' : '';
  const { served, lost, open } = losses(record.outcomes);
  const windows = record.origins.flatMap((one) => one.windows);
  return {
    scenario: scenario.name,
    seed: scenario.seed,
    passed: reason === '' && invariants.every(({ passed }) => passed),
    reason,
    requests,
    virtual_s: record.endMs / 1000,
    wall_s: Math.round(wallMs) / 1000,
    invariants: invariants.map((one) => ({ ...one, value: rounded(one.value) })),
    upstream: {
      refused: own.filter((call) => call.refused).length,
      served: own.filter(isServed).length,
      failed: own.filter(({ status, refused }) => !refused && (status === 0 || status >= 500))
        .length,
      utilisation: rounded(utilisation(windows, courses).ratio),
    },
    governor: {
      passed: totals.passed,
      delayed: totals.delayed,
      refused: totals.refused,
      retried: totals.retried,
      gone: totals.gone,
    },
    jobs: { served, lost, open },
    agents: agentReports(record, courses),
  };
}

function agentReports(record: RunRecord, courses: readonly JobCourse[]): AgentReport[] {
  const byAgent = new Map<string, JobCourse[]>(
    record.scenario.agents.map(({ id }): [string, JobCourse[]] => [id, []]),
  );
  for (const course of courses) byAgent.get(course.outcome.job.agent)?.push(course);
  const refused = new Map<string, number>();
  for (const { job } of record.refusals) {
    refused.set(job.agent, (refused.get(job.agent) ?? 0) + 1);
  }
  return [...byAgent].map(([id, own]) => {
    const { served, p50Ms, p99Ms } = waits(own);
    return {
      id,
      served,
      lost: losses(own.map(({ outcome }) => outcome)).lost,
      refused: refused.get(id) ?? 0,
      wait_p50_ms: rounded(p50Ms),
      wait_p99_ms: rounded(p99Ms),
    };
  });
}

/** Six significant digits after the point are what anybody compares. */
function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1e6) / 1e6;
}
