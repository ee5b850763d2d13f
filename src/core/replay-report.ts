/**
 * What a replay of the ledger under another policy tells. Types only: the simulator makes it, and
 * surfaces show it, that know nothing of each other. Named as it is printed.
 */
import type { DurationMs } from './units.ts';

export interface Both<Value> {
  readonly before: Value;
  readonly after: Value;
}

export interface Waits {
  readonly p50: DurationMs | null;
  readonly p99: DurationMs | null;
}

export interface Shown {
  /** `left`: its client left while it waited; `open`: the record ends before. */
  readonly decision: 'pass' | 'delay' | 'reject' | 'left' | 'open';
  readonly code: string | null;
  readonly waited_ms: DurationMs;
}

export interface Difference {
  readonly id: string;
  readonly agent: string;
  readonly before: Shown;
  readonly after: Shown;
  readonly why: string;
}

export interface ReplayReport {
  /** Hash of the policy by which it was decided again. */
  readonly policy: string;
  readonly from: string | null;
  readonly until: string | null;
  readonly requests: number;
  readonly same: number;
  readonly different: number;
  readonly passed: Both<number>;
  readonly delayed: Both<number>;
  readonly refused: Both<number>;
  /** Their client left while they waited, or the record ends before they were sent. */
  readonly unserved: Both<number>;
  /** Of those that were sent, who did not wait included. */
  readonly wait_ms: Both<Waits>;
  /** `null` when nothing in it has a price. */
  readonly usd: Both<number | null>;
  /** Before this it is the record that speaks, from here on a simulation; `null`: all is record. */
  readonly diverges_at: { readonly seq: number; readonly id: string; readonly at: string } | null;
  /** By what prices budgets set money aside; `unknown`: by those of then, whatever they were. */
  readonly prices: 'same' | 'rescaled' | 'unknown';
  /** Whether what clients asked for could be told from what the recorded policy gave them. */
  readonly recorded_policy_known: boolean;
  /** The first of them. */
  readonly differences: readonly Difference[];
}
