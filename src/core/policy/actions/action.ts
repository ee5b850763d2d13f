import type { PoolRef, Readings } from '../readings.ts';
import type { Tally } from '../tally.ts';
import type { Action, PolicyRule } from '../types.ts';

/** What an action is applied to: one rule that holds, for the request or for one of its pools. */
export interface Occasion {
  readonly rule: PolicyRule;
  /** Place of the pool in `readings.pools`; -1 when the rule is about the request as a whole. */
  readonly poolIndex: number;
  readonly pool: PoolRef | null;
  readonly readings: Readings;
  /** The readings its condition saw, e.g. `pool.remaining=3 time.hour=2`; `''` without a condition. */
  readonly seen: string;
}

/**
 * Enters the action's effect into the tally. Returns the name of a reading that it needs and that
 * is not known now, and then has entered nothing.
 */
export type ApplyAction<Kind extends Action['kind']> = (
  action: Extract<Action, { kind: Kind }>,
  occasion: Occasion,
  tally: Tally,
) => string | null;
