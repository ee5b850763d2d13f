/** Rounds of one contender on one workload, added up to a row. */
import {
  coursesOf,
  fairness,
  falseRefusals,
  losses,
  quantile,
  stampede,
  utilisation,
  type JobCourse,
} from '../../src/sim/measures.ts';
import type { Job } from '../../src/sim/types.ts';
import type { Hindsight } from './oracle/oracle.ts';
import type { Row } from './report.ts';
import type { Round } from './round.ts';
import type { Workload } from './stage.ts';

const PRIORITIES = ['high', 'normal', 'background'] as const;
/** Fairness is measured where each agent got at least so many of its largest requests. */
const ENOUGH_MAXIMAL = 10;

interface Weighted {
  sum: number;
  weight: number;
}

const mean = ({ sum, weight }: Weighted): number | null => (weight === 0 ? null : sum / weight);

function add(to: Weighted, value: number | null, weight: number): void {
  if (value === null || weight === 0) return;
  to.sum += value * weight;
  to.weight += weight;
}

export class Tally {
  private readonly workload: Workload;
  private readonly governor: string;
  private readonly used: Weighted = { sum: 0, weight: 0 };
  private readonly jain: Weighted = { sum: 0, weight: 0 };
  private readonly rush: Weighted = { sum: 0, weight: 0 };
  private readonly waits = new Map<string, number[]>();
  private windows = 0;
  private sent = 0;
  private refused = 0;
  private violations = 0;
  private turnedAway = 0;
  private inVain = 0;
  private asked = 0;
  private timedOut = 0;
  private ended = 0;
  private lost = 0;
  private value = 0;
  private best = 0;
  private greedy = 0;

  constructor(workload: Workload, governor: string) {
    this.workload = workload;
    this.governor = governor;
  }

  add(round: Round, { best, greedy }: Hindsight): void {
    const value = valueOf(round);
    if (value > best * (1 + 1e-6)) {
      throw new Error(`${this.governor} did better than the oracle on ${this.workload.name}`);
    }
    this.value += value;
    this.best += best;
    this.greedy += greedy;
    const { pool, windowMs } = this.workload.quota;
    const windows = round.windows.filter((window) => window.pool.name === pool);
    this.windows += Math.round(round.demandMs / windowMs);
    for (const call of round.calls) {
      if (call.request === null) continue;
      this.sent += 1;
      if (call.refused) this.refused += 1;
    }
    const courses = coursesOf(round.outcomes, round.calls);
    // A window in which the demand ran dry says nothing; one may end a moment after it.
    const latest = round.demandMs + windowMs / 100;
    const full = windows.filter(({ until }) => until <= latest);
    const use = utilisation(full, courses);
    add(this.used, use.ratio, use.windows);
    const ends = losses(round.outcomes);
    this.ended += ends.served + ends.lost;
    this.lost += ends.lost;
    this.addWaits(courses);
    this.addFairness(round, courses);
    this.addRefusals(round);
    this.addStampede(round, windows);
  }

  private addWaits(courses: readonly JobCourse[]): void {
    for (const { outcome, untilMs } of courses) {
      if (outcome.end !== 'served') continue;
      const { priority, arrivedAt } = outcome.job;
      const list = this.waits.get(priority) ?? [];
      if (list.length === 0) this.waits.set(priority, list);
      list.push(untilMs - arrivedAt);
    }
  }

  /** Agents are equals of those of their own class only. */
  private addFairness(round: Round, courses: readonly JobCourse[]): void {
    const { weights, quota } = this.workload;
    const costOf = (job: Job): number => (job.cost.units[quota.pool] ?? 0) / quota.limit;
    const classes = new Map<string, Set<string>>();
    for (const { agent, priority } of round.jobs) {
      const members = classes.get(priority) ?? new Set<string>();
      classes.set(priority, members.add(agent));
    }
    for (const members of classes.values()) {
      if (members.size < 2) continue;
      const parties = [...members].map((agent) => ({ agent, weight: weights?.[agent] ?? 1 }));
      const found = fairness(parties, courses, round.calls, costOf, round.inFlight);
      this.violations += found.violations;
      if (found.fewestMaximal >= ENOUGH_MAXIMAL) add(this.jain, found.jain, found.backloggedMs);
    }
  }

  /** Those whose wait would have outlasted the demand were refused for room that nobody foresaw. */
  private addRefusals({ askings, refusals, windows, calls, demandMs }: Round): void {
    const early = refusals.filter(({ at, askedAt, maxWaitMs }) => at < askedAt + maxWaitMs - 1);
    this.asked += askings.length;
    this.timedOut += refusals.length - early.length;
    const judged = early.filter(({ askedAt, maxWaitMs }) => askedAt + maxWaitMs <= demandMs);
    const pools = [...new Set(windows.map(({ pool }) => pool))];
    const found = falseRefusals(judged, pools, windows, calls);
    this.turnedAway += found.refusals;
    this.inVain += found.false;
  }

  private addStampede(round: Round, windows: Round['windows']): void {
    const upstream = round.calls.filter((call) => call.refused && call.request !== null);
    const refusals = [...round.refusals, ...upstream].sort((a, b) => a.at - b.at);
    const found = stampede(windows, round.askings, refusals);
    add(this.rush, found.mean, found.resets);
  }

  row(): Row {
    const all = [...this.waits.values()].flat();
    const of = (list: readonly number[], p: number): number | null => rounded(quantile(list, p));
    const byPriority = PRIORITIES.flatMap((priority) => {
      const list = this.waits.get(priority);
      if (list === undefined) return [];
      return [[priority, { p50: of(list, 0.5), p99: of(list, 0.99) }] as const];
    });
    return {
      workload: this.workload.name,
      governor: this.governor,
      windows: this.windows,
      upstream_429_per_million: this.sent === 0 ? null : (this.refused / this.sent) * 1e6,
      utilisation: mean(this.used),
      value_vs_oracle: this.best === 0 ? null : this.value / this.best,
      wait_p50_ms: of(all, 0.5),
      wait_p99_ms: of(all, 0.99),
      jain: mean(this.jain),
      gap_violations: this.violations,
      false_refusals: this.turnedAway === 0 ? null : this.inVain / this.turnedAway,
      stampede: mean(this.rush),
      sent: this.sent,
      upstream_429: this.refused,
      upstream_429_per_window: this.windows === 0 ? null : this.refused / this.windows,
      lost_ratio: this.ended === 0 ? null : this.lost / this.ended,
      value: this.value,
      oracle_value: this.best,
      greedy_value: this.greedy,
      governor_refusals: this.turnedAway,
      timed_out: this.asked === 0 ? null : this.timedOut / this.asked,
      wait_by_priority_ms: Object.fromEntries(byPriority),
    };
  }
}

/**
 * Worth of the jobs that were answered in time, of those that the origin charged while there was
 * demand: after that even a poor governor gets everything through, and the oracle is not asked.
 */
function valueOf({ outcomes, calls, demandMs }: Round): number {
  const charged = new Set<number>();
  for (const { at, request, status } of calls) {
    if (request !== null && status < 400 && at <= demandMs) charged.add(request.job.id);
  }
  let value = 0;
  for (const { job, end, at } of outcomes) {
    if (end === 'served' && at <= job.deadlineAt && charged.has(job.id)) value += job.value;
  }
  return value;
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 10) / 10;
}
