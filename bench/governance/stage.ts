/** What every contender is put on: the same demand, network and upstream model, in virtual time. */
import type { CompiledPolicy } from '../../src/core/policy/types.ts';
import type { Client } from '../../src/sim/clients/client.ts';
import type { ClientKind, ClientSettings } from '../../src/sim/clients/index.ts';
import type { Kernel } from '../../src/sim/kernel.ts';
import type { Random } from '../../src/sim/random.ts';
import type { Hop, Job } from '../../src/sim/types.ts';
import type { Origin } from '../../src/sim/upstream/origin.ts';
import type { Bucket } from './oracle/lp.ts';
import type { VirtualTime } from './virtual-time.ts';

/** How the best in hindsight is found. */
export type Oracle =
  | { readonly kind: 'matroid'; readonly pool: string }
  | { readonly kind: 'lp'; readonly buckets: readonly Bucket[]; readonly stepMs: number };

/** The quota that a workload is about. */
export interface Quota {
  readonly pool: string;
  readonly limit: number;
  readonly windowMs: number;
}

export interface Workload {
  readonly name: string;
  /** One line for people: what it is, at which scale. */
  readonly about: string;
  readonly identity: string;
  readonly agents: readonly string[];
  /** Service shares by agent; absent = 1. */
  readonly weights?: Readonly<Record<string, number>>;
  readonly quota: Quota;
  /** Its quota of requests, where `quota` is one of something else: what a limiter of calls can keep. */
  readonly calls?: Quota;
  /** Windows of one round. A round starts cold: nobody knows anything of the upstream yet. */
  readonly windows: number;
  readonly client: ClientKind;
  readonly clientSettings?: ClientSettings;
  readonly policy: CompiledPolicy;
  /** Whether GitHub's own client plugin could be used here. */
  readonly github: boolean;
  readonly oracle: Oracle;
  /** What it was made to show; the targets are taken from the workloads that are about them. */
  readonly shows: ReadonlySet<Shows>;
  /** In order of arrival; ids rise. */
  jobs(random: Random, untilMs: number): readonly Job[];
  /** Least time from reaching the origin to having its answer; absent = 0. Makes the oracle no weaker. */
  answerMs?(job: Job): number;
  origin(kernel: Kernel, random: Random): Origin;
  /** Consumers who pass nobody by. */
  outsiders?(kernel: Kernel, random: Random, origin: Origin, untilMs: number): void;
}

export type Shows =
  'saturated' | 'stationary' | 'trace' | 'outsiders' | 'batches' | 'fairness' | 'priority' | 'herd';

export interface Stage {
  readonly kernel: Kernel;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly workload: Workload;
  /** The API itself. */
  readonly origin: Hop;
  /** Where clients send to, so that their arrivals and what they are told are on record. */
  door(behind: Hop): Hop;
}

export interface Contender {
  readonly name: string;
  /** What runs: the library and its settings, or the rules and where they are taken from. */
  readonly about: string;
  suits(workload: Workload): boolean;
  /** Windows it is given on a full run, as a share of the workload's. */
  readonly share: number;
  /** Returns the client of an agent: one process each. */
  enter(stage: Stage): (agent: string) => Client;
}
