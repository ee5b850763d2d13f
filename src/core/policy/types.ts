import type { PoolKind } from '../claim.ts';
import type { PolicyPrice } from '../money.ts';
import type { DurationMs, EpochMs, Priority, QuotaUnit, Units } from '../units.ts';

/** A policy after loading: names checked, patterns compiled, conditions type-checked. */
export interface CompiledPolicy {
  /** Hex digest of the source text, stored with every decision. */
  readonly hash: string;
  /** Where it came from, for messages. */
  readonly source: string;
  readonly defaults: { readonly maxWaitMs: DurationMs; readonly priority: Priority };
  readonly limits: readonly PolicyLimit[];
  readonly reserves: readonly PolicyReserve[];
  readonly agents: readonly PolicyAgent[];
  readonly rules: readonly PolicyRule[];
  /** What happens when a rule's condition faults at run time: the rule is skipped, or rejects. */
  readonly onFault: 'skip' | 'reject';
  /** Prices that outrank the price book's; the first that matches counts. */
  readonly prices?: readonly PolicyPrice[];
  /** Who goes first when there is not enough for all; absent: `DEFAULT_PACING`. */
  readonly pacing?: PolicyPacing;
}

/** How a quota is kept for those who matter more, and spread over its window. */
export interface PolicyPacing {
  /** Whether units are kept for higher classes that are still to come. */
  readonly protect: boolean;
  /** What a unit is worth to each class; only their ratios count. */
  readonly values: Readonly<Record<Priority, number>>;
  /** 0…1 of a quota that every class gets at least, when it asks for it. */
  readonly floor: number;
  /** `null`: nobody is held back for the sake of an even pace. */
  readonly spread: PolicySpread | null;
}

export interface PolicySpread {
  /** 0…1: spread when the quota runs out before its reset with at least this probability. */
  readonly when: number;
  readonly classes: readonly Priority[];
  /** 0…1 of what is left that may go at once. */
  readonly burst: number;
}

/** What matchers look at. `pool` is set while a rule is tried against one pool of the claim. */
export interface Subject {
  readonly provider: string;
  readonly agent: string;
  readonly identity: string;
  readonly workload: string;
  readonly scope: string;
  readonly priority: Priority;
  readonly method: string;
  readonly host: string;
  /** Path without its query. */
  readonly path: string;
  readonly model: string;
}

export type MatchKey =
  | 'provider'
  | 'pool'
  | 'agent'
  | 'identity'
  | 'workload'
  | 'scope'
  | 'priority'
  | 'method'
  | 'path'
  | 'model';

/** Compiled `match`: every test must hold; no tests = any request. */
export interface Matcher {
  readonly tests: readonly { readonly key: MatchKey; test(value: string): boolean }[];
  /** True when `pool` is among the keys, so that it must be tried per pool. */
  readonly perPool: boolean;
}

export interface PolicyLimit {
  readonly id: string;
  readonly match: Matcher;
  readonly per: readonly PartitionDimension[];
  readonly quota: Units;
  readonly unit: QuotaUnit;
  readonly windowMs: DurationMs;
  readonly kind: PoolKind;
  /** Of a limit in `usd`: what becomes of requests whose cost nobody can bound. Default `refuse`. */
  readonly unpriced?: 'refuse' | 'pass';
}

export type PartitionDimension = 'agent' | 'identity' | 'provider' | 'workload' | 'scope' | 'model';

export interface PolicyReserve {
  readonly id: string;
  readonly match: Matcher;
  /** Who may use the reserved share. */
  readonly for: Matcher;
  /** 0…1 of the pool's limit. */
  readonly share: number;
}

export interface PolicyAgent {
  readonly match: Matcher;
  readonly priority?: Priority;
  readonly weight?: number;
  /** The entry with the most specific pattern speaks for an agent; absent counts as 0. */
  readonly specificity?: number;
}

export interface PolicyRule {
  readonly id: string;
  readonly match: Matcher;
  readonly during: Schedule | null;
  readonly when: Condition | null;
  readonly action: Action;
  readonly reason: string;
}

export interface Schedule {
  /** Whether the schedule covers this moment. */
  covers(now: EpochMs): boolean;
}

/** A compiled condition. The expression library lives outside the core; only this shape is here. */
export interface Condition {
  readonly source: string;
  /** Paths whose values it needs, e.g. `pool.remaining_ratio`; with one not known it is skipped. */
  readonly reads: readonly string[];
  /** True when it speaks of `pool.*` or `forecast.*`, so that it is tried per pool. */
  readonly perPool?: boolean;
  /** Throws on a fault (division by zero, a value of a wrong type). */
  test(env: ConditionEnv): boolean;
}

/** Values by the names of the policy language; `null` = not known now. Durations in seconds. */
export interface ConditionEnv {
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly host: string;
    readonly model: string;
    readonly bytes: number;
    readonly units: number;
  };
  readonly agent: {
    readonly id: string;
    readonly priority: string;
    readonly weight: number;
    readonly share: number | null;
  };
  readonly identity: { readonly id: string; readonly kind: string };
  readonly pool: {
    readonly id: string | null;
    readonly limit: number | null;
    readonly remaining: number | null;
    readonly remaining_ratio: number | null;
    readonly used: number | null;
    readonly reset_in: number | null;
    readonly utilization: number | null;
    readonly burn_rate: number | null;
    readonly age: number | null;
  };
  readonly forecast: {
    readonly p50: number | null;
    readonly p90: number | null;
    readonly p99: number | null;
    readonly p_exhaust: number | null;
    readonly margin: number | null;
  };
  readonly cost: { readonly usd: number | null; readonly spent: number | null };
  readonly provider: { readonly id: string; readonly degraded: boolean };
  readonly time: { readonly hour: number; readonly weekday: string };
}

export type Action =
  | { readonly kind: 'pass' }
  | { readonly kind: 'warn' }
  | { readonly kind: 'delay'; readonly forMs: DurationMs }
  | {
      readonly kind: 'pace';
      readonly perSecond: number | 'spread';
      /** Of `spread`: 0…1 of what is left that may go at once. */
      readonly burst?: number;
    }
  | { readonly kind: 'defer' }
  | { readonly kind: 'reject'; readonly retryAfter: 'auto' | 'never' | DurationMs };

/** A rhythm to keep: requests of one rule (and pool, when it is about one) follow each other so. */
export interface Pace {
  readonly rule: string;
  /** Requests a second, above 0. */
  readonly perSecond: number;
  /** Pool whose remaining units are spread, when that is where the rhythm comes from. */
  readonly pool?: string;
  /** Units of that pool that the request takes; the rhythm is one of units. */
  readonly units?: Units;
  /** Nobody is made to wait beyond the pool's reset. */
  readonly resetInMs?: DurationMs;
  /** Units that may go ahead of the rhythm. */
  readonly burst?: Units;
}

/** What the rules say of one request, before any pool is asked. */
export interface PolicyVerdict {
  /** Strictest outcome: reject > longest delay > pass. */
  readonly outcome: 'pass' | 'delay' | 'reject';
  /** Delay to keep, counted from the request's arrival, 0 when none. */
  readonly delayMs: DurationMs;
  /** Wait for this pool's reset (`defer`), by pool id: of several, the one that resets last. */
  readonly deferTo: string | null;
  /** The slowest of `paces`; `null` when none. */
  readonly pace: Pace | null;
  /** Every rhythm that applies: all of them are to be kept. */
  readonly paces: readonly Pace[];
  readonly retryAfter: 'auto' | 'never' | DurationMs | null;
  /** The finding that made the outcome what it is; `null` for a pass. */
  readonly decidedBy: RuleFinding | null;
  /** Every rule that decided, warned, was skipped or faulted, in file order. */
  readonly rules: readonly RuleFinding[];
  /** What `x-ratelord-warning` says, one per rule that warned. */
  readonly warnings: readonly string[];
}

export interface RuleFinding {
  readonly rule: string;
  readonly effect: 'pass' | 'warn' | 'delay' | 'pace' | 'defer' | 'reject' | 'skipped' | 'faulted';
  /** Pool it was judged against, when it is about one. */
  readonly pool?: string;
  /** The rule's own words. */
  readonly reason?: string;
  /** Why, with the readings that its condition saw, e.g. `pool.remaining_ratio=0.12`. */
  readonly detail: string;
}
