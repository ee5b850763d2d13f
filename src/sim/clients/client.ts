/**
 * A client carries out jobs: it sends requests through a hop and retries as its library does. One
 * instance is one process of one agent, so whatever the library keeps per process is kept here.
 */
import type { RawFields } from '../../core/head.ts';
import type { DurationMs } from '../../core/units.ts';
import type { Kernel } from '../kernel.ts';
import type { Random } from '../random.ts';
import type { Hop, Job, Outcome, SimResponse } from '../types.ts';

export interface Client {
  /**
   * Starts the job now. `done` is called once, later, never from inside: with `served` when a success
   * came back, with `lost` when the library gave up or the job's deadline passed (the agent's own
   * timeout aborts whatever is under way). Jobs open when a run ends get no call.
   */
  submit(job: Job, done: (outcome: Outcome) => void): void;
}

/** What every client is made of. */
export interface ClientParts {
  readonly kernel: Kernel;
  readonly random: Random;
  readonly hop: Hop;
}

/** Fields that a library sends with each attempt, besides credential and content type. */
export type FieldsOf = (attempt: number) => RawFields;

/** Status of an answer that never came. */
export const NO_STATUS = 0;

/**
 * Node's `fetch` gives up on an answer whose head has not come after five minutes, whatever the
 * SDK's own timeout: undici's `headersTimeout`, https://undici.nodejs.org/#/docs/api/Client.
 */
export const NODE_FETCH_TIMEOUT_MS: DurationMs = 300_000;

const NETWORK_ERROR: SimResponse = {
  status: NO_STATUS,
  fields: [],
  body: undefined,
  by: 'network',
};

export interface CourseOptions {
  /** An attempt without an answer by then is aborted, and seen as a connection error. */
  readonly attemptTimeoutMs: DurationMs;
  readonly fieldsOf: FieldsOf;
}

/** One job on its way: at most one request or one wait at a time, and an end. */
export class Course {
  readonly job: Job;
  attempts = 0;
  lastStatus = NO_STATUS;
  /** Once true nothing more is sent or called. */
  over = false;
  /** Called once if the course ends while a request or a wait is under way. */
  onAbort: (() => void) | null = null;

  private readonly parts: ClientParts;
  private readonly options: CourseOptions;
  private readonly done: (outcome: Outcome) => void;
  private stopWaiting: (() => void) | null = null;
  private readonly stopDeadline: (() => void) | null;

  constructor(
    job: Job,
    parts: ClientParts,
    options: CourseOptions,
    done: (outcome: Outcome) => void,
  ) {
    this.job = job;
    this.parts = parts;
    this.options = options;
    this.done = done;
    this.stopDeadline =
      job.deadlineAt === Infinity ? null : parts.kernel.at(job.deadlineAt, () => this.end('lost'));
  }

  /** Sends the next attempt; `then` is not called once the course is over. */
  send(then: (response: SimResponse) => void): void {
    if (this.over) return;
    const { kernel, hop } = this.parts;
    const attempt = ++this.attempts;
    const fields = requestFields(this.job, this.options.fieldsOf(attempt));
    let stopTimeout: (() => void) | null = null;
    const answered = (response: SimResponse): void => {
      stopTimeout?.();
      this.stopWaiting = null;
      this.lastStatus = response.status;
      then(response);
    };
    const cancel = hop.send({ job: this.job, attempt, fields }, answered);
    if (this.options.attemptTimeoutMs !== Infinity) {
      stopTimeout = kernel.after(this.options.attemptTimeoutMs, () => {
        cancel();
        answered(NETWORK_ERROR);
      });
    }
    this.stopWaiting = () => {
      stopTimeout?.();
      cancel();
    };
  }

  /** Calls `then` after that time, unless the course is over by then. */
  wait(ms: DurationMs, then: () => void): void {
    if (this.over) return;
    this.stopWaiting = this.parts.kernel.after(Math.max(0, ms), () => {
      this.stopWaiting = null;
      then();
    });
  }

  end(end: 'served' | 'lost'): void {
    if (this.over) return;
    this.over = true;
    this.stopDeadline?.();
    this.stopWaiting?.();
    this.stopWaiting = null;
    this.onAbort?.();
    this.done({
      job: this.job,
      end,
      at: this.parts.kernel.elapsed,
      attempts: this.attempts,
      lastStatus: this.lastStatus,
    });
  }
}

/** A success as an SDK sees it; a 304 is one, for whoever asked conditionally. */
export function succeeded(response: SimResponse): boolean {
  return response.status >= 200 && response.status < 400;
}

function requestFields(job: Job, more: RawFields): RawFields {
  const fields = ['authorization', `Bearer ${job.identity}`];
  if (job.body !== undefined) fields.push('content-type', 'application/json');
  return [...fields, ...more];
}
