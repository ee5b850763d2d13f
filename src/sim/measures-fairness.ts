/** How evenly agents were served while they all wanted more. */
import type { MonoMs, Units } from '../core/units.ts';
import type { JobCourse } from './measures.ts';
import type { Job, UpstreamCall } from './types.ts';

/** (Σx)² / (n·Σx²); 1 when all are alike, 1/n when one has all; 1 of nothing. */
export function jainIndex(shares: readonly number[]): number {
  let sum = 0;
  let squares = 0;
  for (const share of shares) {
    sum += share;
    squares += share * share;
  }
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares);
}

/** An agent to be compared. Compare agents of one priority only: others are not meant to be equal. */
export interface FairParty {
  readonly agent: string;
  readonly weight: number;
}

export interface Fairness {
  /** Of service / weight, over the times when all were backlogged; `null` when they never were. */
  readonly jain: number | null;
  /** Length of those times together. */
  readonly backloggedMs: number;
  /** The fewest of its own largest requests that an agent's service in them amounts to. */
  readonly fewestMaximal: number;
  /** The agent whose gap to another came nearest to the bound, or went furthest beyond. */
  readonly worst: PairGap | null;
  /** Pairs whose gap went beyond the bound. */
  readonly violations: number;
}

export interface PairGap {
  readonly a: string;
  readonly b: string;
  /** Largest |(W_a/w_a) − (W_b/w_b)| over any interval in which both were backlogged. */
  readonly gap: number;
  /** (D + 1)(c_a/w_a + c_b/w_b), c = an agent's largest request. */
  readonly bound: number;
}

/** Service that an agent got, by time, and when it was backlogged. */
interface Ledger {
  readonly party: FairParty;
  readonly served: { readonly at: MonoMs; readonly cost: Units }[];
  /** Disjoint, in order. */
  readonly backlog: readonly Span[];
  readonly largest: Units;
}

interface Span {
  readonly from: MonoMs;
  readonly until: MonoMs;
}

/**
 * An agent is backlogged while one of its jobs waits. Service is counted when a request leaves for
 * the origin, at its cost.
 * @param costOf e.g. 1 for requests, or the dominant share: the largest of units / limit
 * @param inFlight most requests that are at the origin at once (D of the bound)
 */
export function fairness(
  parties: readonly FairParty[],
  courses: readonly JobCourse[],
  calls: readonly UpstreamCall[],
  costOf: (job: Job) => Units,
  inFlight: number,
): Fairness {
  const ledgers = ledgersOf(parties, courses, calls, costOf);
  const common = ledgers
    .map(({ backlog }) => backlog)
    .reduce<readonly Span[] | null>((a, b) => (a === null ? b : intersect(a, b)), null);
  const spans = common ?? [];
  const shares = ledgers.map((one) => servedWithin(one, spans));
  const gaps = largestGaps(ledgers, inFlight);
  const nearest = [...gaps].sort((a, b) => b.gap / b.bound - a.gap / a.bound)[0];
  return {
    jain: spans.length === 0 ? null : jainIndex(shares.map((x, i) => x / weightOf(ledgers[i]))),
    backloggedMs: spans.reduce((sum, { from, until }) => sum + until - from, 0),
    fewestMaximal: Math.min(...shares.map((x, i) => x / (ledgers[i]?.largest ?? 1))),
    worst: nearest ?? null,
    violations: gaps.filter(({ gap, bound }) => gap > bound * (1 + 1e-9)).length,
  };
}

function weightOf(one: Ledger | undefined): number {
  return one?.party.weight ?? 1;
}

function ledgersOf(
  parties: readonly FairParty[],
  courses: readonly JobCourse[],
  calls: readonly UpstreamCall[],
  costOf: (job: Job) => Units,
): readonly Ledger[] {
  const waiting = new Map<string, Span[]>(parties.map(({ agent }) => [agent, []]));
  const largest = new Map<string, Units>();
  for (const { outcome, untilMs } of courses) {
    const { job } = outcome;
    const spans = waiting.get(job.agent);
    if (spans === undefined) continue;
    largest.set(job.agent, Math.max(largest.get(job.agent) ?? 0, costOf(job)));
    if (untilMs > job.arrivedAt) spans.push({ from: job.arrivedAt, until: untilMs });
  }
  const served = new Map<string, Ledger['served']>(parties.map(({ agent }) => [agent, []]));
  for (const { request, status, sentAt } of calls) {
    if (request === null || status >= 400) continue;
    served.get(request.job.agent)?.push({ at: sentAt, cost: costOf(request.job) });
  }
  return parties.map((party) => ({
    party,
    served: (served.get(party.agent) ?? []).sort((a, b) => a.at - b.at),
    backlog: merge(waiting.get(party.agent) ?? []),
    largest: largest.get(party.agent) ?? 1,
  }));
}

/** For every pair, in O(agents · served) together. */
export function largestGaps(ledgers: readonly Ledger[], inFlight: number): readonly PairGap[] {
  const gaps: PairGap[] = [];
  for (let i = 0; i < ledgers.length; i++) {
    for (let j = i + 1; j < ledgers.length; j++) {
      const a = ledgers[i] as Ledger;
      const b = ledgers[j] as Ledger;
      const bound = (inFlight + 1) * (a.largest / a.party.weight + b.largest / b.party.weight);
      gaps.push({ a: a.party.agent, b: b.party.agent, gap: gapOf(a, b), bound });
    }
  }
  return gaps;
}

/**
 * The lead of one over the other is a step function; its range within a span is the largest
 * difference of service over any interval inside.
 */
function gapOf(a: Ledger, b: Ledger): number {
  let worst = 0;
  let i = 0;
  let j = 0;
  for (const { from, until } of intersect(a.backlog, b.backlog)) {
    while ((a.served[i]?.at ?? Infinity) < from) i += 1;
    while ((b.served[j]?.at ?? Infinity) < from) j += 1;
    let lead = 0;
    let low = 0;
    let high = 0;
    for (;;) {
      const nextA = a.served[i]?.at ?? Infinity;
      const nextB = b.served[j]?.at ?? Infinity;
      const at = Math.min(nextA, nextB);
      if (at > until) break;
      // What left at one moment counts as one step: nobody was ahead in between.
      for (; a.served[i]?.at === at; i++) lead += (a.served[i]?.cost ?? 0) / a.party.weight;
      for (; b.served[j]?.at === at; j++) lead -= (b.served[j]?.cost ?? 0) / b.party.weight;
      low = Math.min(low, lead);
      high = Math.max(high, lead);
    }
    worst = Math.max(worst, high - low);
  }
  return worst;
}

function servedWithin(one: Ledger, spans: readonly Span[]): Units {
  let sum = 0;
  let i = 0;
  for (const { from, until } of spans) {
    while ((one.served[i]?.at ?? Infinity) < from) i += 1;
    for (; (one.served[i]?.at ?? Infinity) <= until; i++) sum += one.served[i]?.cost ?? 0;
  }
  return sum;
}

/** Overlapping and touching ones become one. */
function merge(spans: readonly Span[]): readonly Span[] {
  const merged: { from: MonoMs; until: MonoMs }[] = [];
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const last = merged[merged.length - 1];
    if (last !== undefined && span.from <= last.until)
      last.until = Math.max(last.until, span.until);
    else merged.push({ ...span });
  }
  return merged;
}

function intersect(a: readonly Span[], b: readonly Span[]): readonly Span[] {
  const common: Span[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const x = a[i] as Span;
    const y = b[j] as Span;
    const from = Math.max(x.from, y.from);
    const until = Math.min(x.until, y.until);
    if (from < until) common.push({ from, until });
    if (x.until < y.until) i += 1;
    else j += 1;
  }
  return common;
}
