/**
 * The seams of a simulation. Agents make jobs; a client turns a job into one or more requests (it
 * retries as its SDK does); a hop carries a request towards the origin server: the upstream model
 * itself, ratelord in front of it, or somebody else's limiter.
 *
 *     Population ──Job──► Client ──SimRequest──► Hop (governor) ──► Hop (upstream model)
 */
import type { RawFields } from '../core/head.ts';
import type { EpochMs, DurationMs, MonoMs, Priority, Units } from '../core/units.ts';

/** What an agent wants done once, however many requests that takes. */
export interface Job {
  /** Unique in a run, rising with arrival. */
  readonly id: number;
  readonly agent: string;
  /** Name of the credential it uses. */
  readonly identity: string;
  /** Adapter: `github`, `openai`, `generic`. */
  readonly provider: string;
  readonly method: string;
  readonly path: string;
  /** JSON text, where the adapter reads one. */
  readonly body: string | undefined;
  readonly arrivedAt: MonoMs;
  /** Worth nothing when answered later than this. `Infinity` = worth it at any time. */
  readonly deadlineAt: MonoMs;
  readonly value: number;
  readonly priority: Priority;
  /** What the client tells ratelord it will wait; `null` = the policy's default. */
  readonly maxWaitMs: DurationMs | null;
  readonly cost: JobCost;
}

/** What the upstream will really charge and take, which the governor cannot know beforehand. */
export interface JobCost {
  /** Units by the upstream model's pool name. */
  readonly units: Readonly<Record<string, Units>>;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Service time at the origin; absent = the upstream model's own. */
  readonly serviceMs?: DurationMs;
}

/** One HTTP request for a job. */
export interface SimRequest {
  readonly job: Job;
  /** 1 for the first, rising with each retry by the client. */
  readonly attempt: number;
  readonly fields: RawFields;
}

export interface SimResponse {
  readonly status: number;
  readonly fields: RawFields;
  readonly body: string | undefined;
  /** Whose answer it is: the origin server's, the governor's refusal, or none (a connection error). */
  readonly by: 'origin' | 'governor' | 'network';
}

/** Carries requests. `done` is called once, later, never from inside `send`; not after the cancel. */
export interface Hop {
  send(request: SimRequest, done: (response: SimResponse) => void): () => void;
}

/** How a job ended. */
export interface Outcome {
  readonly job: Job;
  /** `served`: a success reached the client. `lost`: it gave up. `open`: the run ended before. */
  readonly end: 'served' | 'lost' | 'open';
  readonly at: MonoMs;
  readonly attempts: number;
  readonly lastStatus: number;
}

/** A quota of the upstream model, as it is enforced there. */
export interface UpstreamPool {
  readonly name: string;
  readonly identity: string;
  readonly kind: 'fixed' | 'bucket' | 'rolling' | 'concurrent';
  readonly unit: string;
  readonly limit: Units;
  /** Window length; time to refill from empty for a bucket; unused for concurrency. */
  readonly windowMs: DurationMs;
}

/** Something that reached the origin server. Recorded in order of time. */
export interface UpstreamCall {
  /** When it reached the origin server and was judged. */
  readonly at: MonoMs;
  /** The same on the origin server's own clock. */
  readonly wall: EpochMs;
  /** When it left for the origin server; less than `at` by the network's delay. */
  readonly sentAt: MonoMs;
  /** Who is charged. */
  readonly identity: string;
  /** `null` for a consumer who does not pass through the governor. */
  readonly request: SimRequest | null;
  readonly status: number;
  /** Refused for want of quota, whatever the status (GitHub says 403); failures are no refusals. */
  readonly refused: boolean;
  /** Name of the pool that refused, `''` where none did. */
  readonly refusedBy: string;
  /** Charged units by pool name; `{}` when it was refused. */
  readonly charged: Readonly<Record<string, Units>>;
}

/** A window of an upstream pool that has ended, or that the run ended in. */
export interface UpstreamWindow {
  readonly pool: UpstreamPool;
  readonly from: MonoMs;
  readonly until: MonoMs;
  /** Units charged to us, and to those who do not pass through the governor. */
  readonly own: Units;
  readonly outside: Units;
  /** Of our requests, how many were refused for want of quota in this pool. */
  readonly refused: number;
}
