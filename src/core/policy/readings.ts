import type { Units } from '../units.ts';
import type { ConditionEnv } from './types.ts';

/** A pool that the request draws on: the provider's own and those made by `limits`. */
export interface PoolRef {
  readonly id: string;
  /** What `match: { pool: … }` looks at: `core`, `tokens`, the id of a limit. */
  readonly name: string;
  /** What this request asks of it. */
  readonly units: Units;
  /** Units of it that are reserved for others; absent: none. */
  readonly kept?: Units;
}

/**
 * What is known at the moment of deciding. The methods are called only when a rule that matched
 * needs the answer, so an implementation may work it out then.
 */
export interface Readings {
  /** Declared content length, 0 when there is none or it is not known. */
  readonly bytes: number;
  /** Units asked of the request's main pool. */
  readonly units: Units;
  readonly agentWeight: number;
  readonly identityKind: string;
  /** True while the provider is failing or told everyone to stop. */
  readonly degraded: boolean;
  readonly pools: readonly PoolRef[];
  /** The agent's share of what was used lately, 0…1; `null` when not known. */
  agentShare(): number | null;
  /** Readings of `pools[index]`. */
  pool(index: number): ConditionEnv['pool'];
  forecast(index: number): ConditionEnv['forecast'];
  cost(): ConditionEnv['cost'];
}

export const NO_POOL: ConditionEnv['pool'] = Object.freeze({
  id: null,
  limit: null,
  remaining: null,
  remaining_ratio: null,
  used: null,
  reset_in: null,
  utilization: null,
  burn_rate: null,
  age: null,
});

export const NO_FORECAST: ConditionEnv['forecast'] = Object.freeze({
  p50: null,
  p90: null,
  p99: null,
  p_exhaust: null,
  margin: null,
});

export const NO_COST: ConditionEnv['cost'] = Object.freeze({ usd: null, spent: null });
