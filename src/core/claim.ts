import type { DurationMs, MicroUsd, QuotaUnit, Units } from './units.ts';

export type PoolKind = 'fixed' | 'bucket' | 'rolling' | 'concurrent';

/**
 * What a pool is, before anything was observed of it. Providers make these once and reuse the same
 * object, so that a request allocates none.
 */
export interface PoolSpec {
  readonly provider: string;
  /** Name of the quota policy: `core`, `search`, `requests`, `tokens`, `secondary-points`, … */
  readonly name: string;
  /** Partition besides the charged identity: `''`, or e.g. `model:gpt-4o`. */
  readonly partition: string;
  readonly unit: QuotaUnit;
  readonly kind: PoolKind;
  /** Known limit (documented or ours); absent = unknown until the provider says. */
  readonly limit?: Units;
  readonly windowMs?: DurationMs;
  readonly source: 'observed' | 'documented' | 'policy';
  /** Who shares it: one credential's account (default), or everyone (`per: []` of a policy). */
  readonly shared?: boolean;
}

/** One pool a request draws on, and how much of it. */
export interface Draw {
  readonly spec: PoolSpec;
  /** Units asked for; an integer ≥ 0. */
  readonly units: Units;
  /** False when `units` is an estimate that settlement will correct. */
  readonly sure: boolean;
  /**
   * True for a pool that only some identities have (a project's own cap, a named policy of another
   * route): it counts once it was observed for this identity, and until then neither blocks nor
   * starts cold.
   */
  readonly ifKnown?: boolean;
}

/** What a provider says a request asks for, before it is sent. */
export interface Claim {
  readonly provider: string;
  /** Endpoint class, for people and for hidden limits: `rest`, `graphql`, `chat`, `responses`, … */
  readonly endpoint: string;
  readonly model?: string;
  /** `repo:owner/name`, `org:name`, `model:…` or a sentinel. */
  readonly scope: string;
  readonly draws: readonly Draw[];
  /** Whether the client asked for a streamed answer. */
  readonly stream: boolean;
  /** Bytes of prompt-like input, for learning the bytes-to-tokens ratio; 0 when not applicable. */
  readonly inputBytes: number;
  /** Estimated LLM tokens; absent where the notion has no meaning. */
  readonly estimate?: ClaimEstimate;
  /** The most it can be, as far as the adapter can tell; money is set aside by it. */
  readonly bounds?: ClaimBounds;
  /** How many times the listed price it costs at most, by the way in which it is to be served; 1 when absent. */
  readonly priceFactor?: number;
  /** Whatever the adapter wants to remember until the response: opaque to everybody else. */
  readonly memo?: unknown;
}

/** LLM tokens that a request will probably use. */
export interface ClaimEstimate {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** True when the client said so: nothing that was learned knows better. */
  readonly said?: boolean;
}

/** Absent members: nobody knows. */
export interface ClaimBounds {
  /** No prompt has more tokens than this. */
  readonly inputTokens?: number;
  /** What the request itself allows for each choice. */
  readonly outputTokens?: number;
  /** What the model gives at most for each choice, by its documentation. */
  readonly modelOutputTokens?: number;
  /** Answers asked for; 1 when absent. */
  readonly choices?: number;
  /** What it can cost, worked out before from all of these: a record keeps this and not them. */
  readonly cost?: MicroUsd;
}

/** What was really used, as far as the provider said. */
export interface Usage {
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  /** How many times the listed price it cost, where the answer told; absent = as it was claimed. */
  readonly priceFactor?: number;
}
