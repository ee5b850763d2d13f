/** What `ratelord sim` says of a run. The same seed gives the same report, but for how long it took. */
import type { DurationMs } from './units.ts';

export interface SimReport {
  readonly scenario: string;
  readonly seed: number;
  /** Every invariant holds, there is one, and a request was made. */
  readonly passed: boolean;
  /** Why it failed besides invariants; `''` = for no such reason. */
  readonly reason: string;
  /** That reached the governor, retries of the clients included. */
  readonly requests: number;
  readonly virtual_s: number;
  /** How long the run took; the one member that differs from run to run. */
  readonly wall_s: number;
  readonly invariants: readonly JudgedInvariant[];
  readonly upstream: {
    /** Our requests refused for want of quota, whatever the status. */
    readonly refused: number;
    readonly served: number;
    /** Failures of the origin's own, broken connections included. */
    readonly failed: number;
    /** Of the windows in which demand was left over; `null` = there was none. */
    readonly utilisation: number | null;
  };
  /** What the governor did. */
  readonly governor: {
    readonly passed: number;
    readonly delayed: number;
    readonly refused: number;
    readonly retried: number;
    readonly gone: number;
  };
  readonly jobs: { readonly served: number; readonly lost: number; readonly open: number };
  readonly agents: readonly AgentReport[];
}

export interface AgentReport {
  readonly id: string;
  readonly served: number;
  /** Jobs that it lost for good. */
  readonly lost: number;
  /** Refusals that it got from the governor. */
  readonly refused: number;
  readonly wait_p50_ms: DurationMs | null;
  readonly wait_p99_ms: DurationMs | null;
}

export interface JudgedInvariant {
  readonly name: string;
  readonly passed: boolean;
  /** `null` = there was nothing to measure, which fails. */
  readonly value: number | null;
  readonly bound: { readonly min?: number; readonly max?: number };
}
