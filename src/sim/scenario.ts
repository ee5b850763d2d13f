/** A simulation to run, as the scenario file's words are understood (docs: scenarios/README.md). */
import type { CompiledPolicy } from '../core/policy/types.ts';
import type { DurationMs, MonoMs, Priority, Units } from '../core/units.ts';
import type { Distribution } from './arrivals-draws.ts';
import type { AgentSpec } from './arrivals-population.ts';
import type { FailurePhase } from './upstream/failures.ts';
import type { UpstreamRules } from './upstream/rules.ts';

export interface Scenario {
  readonly name: string;
  readonly seed: number;
  /** Jobs are made from 0 until then … */
  readonly untilMs: MonoMs;
  /** … and those open may still end for so long. */
  readonly settleMs: DurationMs;
  readonly policy: CompiledPolicy;
  /** One way between a client and the proxy. */
  readonly clientDelay: Distribution;
  readonly origins: readonly OriginSetup[];
  readonly outsiders: readonly OutsiderSetup[];
  readonly agents: readonly AgentSpec[];
  readonly invariants: readonly Invariant[];
}

export interface OriginSetup {
  /** Id of the adapter. */
  readonly provider: string;
  /** Called once a run: rules keep state. */
  readonly rules: () => UpstreamRules;
  readonly network: Distribution;
  readonly service: Distribution;
  readonly failures: readonly FailurePhase[];
  readonly skewMs: DurationMs;
}

export interface OutsiderSetup {
  readonly provider: string;
  readonly identity: string;
  readonly pool: string;
  /** Either units a second, or of the pool's limit in each window. */
  readonly perSecond: number | null;
  readonly share: number | null;
  readonly batch: Units;
  readonly arrivals: 'poisson' | 'periodic';
  readonly from: MonoMs;
  readonly until: MonoMs;
}

/** What must hold of a run. Filters narrow what is measured; `null` = everything. */
export interface Invariant {
  readonly name: string;
  readonly measure: string;
  readonly min: number | null;
  readonly max: number | null;
  readonly agent: ((id: string) => boolean) | null;
  readonly priority: Priority | null;
  readonly provider: string | null;
  readonly pool: string | null;
}
