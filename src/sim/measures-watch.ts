/** Notes what passes a hop: who asked when, and what a governor refused. */
import type { DurationMs, MonoMs } from '../core/units.ts';
import type { Kernel } from './kernel.ts';
import type { Hop, Job, SimRequest, SimResponse } from './types.ts';

/** A request that reached the governor. */
export interface Asking {
  readonly at: MonoMs;
  readonly agent: string;
  readonly identity: string;
  readonly attempt: number;
}

/** A request that the governor answered itself. */
export interface Refused {
  readonly at: MonoMs;
  /** When it had asked. */
  readonly askedAt: MonoMs;
  readonly identity: string;
  readonly job: Job;
  readonly status: number;
  /** What it would have waited at most, from `askedAt`. */
  readonly maxWaitMs: DurationMs;
}

/** Put it between the clients and a governor. Lists are in order of time. */
export class Watch implements Hop {
  readonly askings: Asking[] = [];
  readonly refusals: Refused[] = [];
  private readonly kernel: Kernel;
  private readonly inner: Hop;
  private readonly defaultMaxWaitMs: DurationMs;

  /** @param defaultMaxWaitMs of jobs that name none: the policy's */
  constructor(kernel: Kernel, inner: Hop, defaultMaxWaitMs: DurationMs) {
    this.kernel = kernel;
    this.inner = inner;
    this.defaultMaxWaitMs = defaultMaxWaitMs;
  }

  send(request: SimRequest, done: (response: SimResponse) => void): () => void {
    const { job, attempt } = request;
    const askedAt = this.kernel.elapsed;
    this.askings.push({ at: askedAt, agent: job.agent, identity: job.identity, attempt });
    return this.inner.send(request, (response) => {
      if (response.by === 'governor') {
        this.refusals.push({
          at: this.kernel.elapsed,
          askedAt,
          identity: job.identity,
          job,
          status: response.status,
          maxWaitMs: job.maxWaitMs ?? this.defaultMaxWaitMs,
        });
      }
      done(response);
    });
  }
}
