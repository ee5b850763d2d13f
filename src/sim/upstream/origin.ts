/** An origin server: the network to it and back, the time it takes, its bad moments, and the record. */
import type { DurationMs, MonoMs } from '../../core/units.ts';
import type { Kernel } from '../kernel.ts';
import type { Random } from '../random.ts';
import type { Hop, SimRequest, SimResponse, UpstreamCall } from '../types.ts';
import { failingAt, failureAnswer, type FailurePhase } from './failures.ts';
import type { Moment, UpstreamRules, Verdict } from './rules.ts';

/** Draws a length of time in milliseconds. */
export type Sampler = (random: Random) => DurationMs;

export interface OriginOptions {
  readonly kernel: Kernel;
  readonly random: Random;
  readonly rules: UpstreamRules;
  /** One way between the governor and the origin; drawn anew for each way, so answers overtake. */
  readonly network: Sampler;
  /** From judging to answering, where neither the job nor the rules say. */
  readonly service: Sampler;
  readonly failures?: readonly FailurePhase[];
  /** The origin's clock runs so far ahead of ours. */
  readonly skewMs?: DurationMs;
}

/** Refusals are answered at the door. */
const DOOR_MS: DurationMs = 2;
/** A client's or proxy's own patience with an origin that never answers. */
const SILENCE_MS: DurationMs = 60_000;
const NO_FIELDS: readonly string[] = [];

export class Origin implements Hop {
  readonly rules: UpstreamRules;
  /** Everything that reached it, in order. */
  readonly calls: UpstreamCall[] = [];
  private readonly options: OriginOptions;
  private readonly kernel: Kernel;
  private readonly random: Random;
  private readonly failures: readonly FailurePhase[];
  private dateSecond = NaN;
  private dateText = '';

  constructor(options: OriginOptions) {
    this.options = options;
    this.kernel = options.kernel;
    this.random = options.random;
    this.rules = options.rules;
    this.failures = options.failures ?? [];
  }

  send(request: SimRequest, done: (response: SimResponse) => void): () => void {
    const sentAt = this.kernel.elapsed;
    const course = { gone: false };
    this.kernel.after(this.options.network(this.random), () => {
      this.arrived(request, sentAt, (response, after) => {
        this.kernel.after(after, () => {
          if (!course.gone) done(response);
        });
      });
    });
    return () => {
      course.gone = true;
    };
  }

  /** A consumer who does not pass through the governor. Returns whether it got what it asked for. */
  outside(identity: string, pool: string, units: number): boolean {
    const moment = this.moment();
    const got = this.rules.outside(identity, pool, units, moment);
    this.calls.push({
      ...moment,
      sentAt: moment.at,
      identity,
      request: null,
      status: got ? 200 : 429,
      refused: !got,
      refusedBy: got ? '' : pool,
      charged: got ? { [pool]: units } : {},
    });
    return got;
  }

  private moment(): Moment {
    const { wall } = this.kernel.now();
    return { at: this.kernel.elapsed, wall: wall + (this.options.skewMs ?? 0) };
  }

  private arrived(
    request: SimRequest,
    sentAt: MonoMs,
    answer: (response: SimResponse, after: DurationMs) => void,
  ): void {
    const moment = this.moment();
    const failure = failingAt(this.failures, moment.at, request, this.random);
    if (failure !== null && !failure.charged) {
      const status = failure.kind === 'status' ? failure.status : 0;
      this.record(request, sentAt, moment, status, false, '', {});
      this.fail(failure, answer);
      return;
    }
    const verdict = this.rules.admit(request, moment);
    const status =
      failure === null ? verdict.status : failure.kind === 'status' ? failure.status : 0;
    const { refused, refusedBy, charged } = verdict;
    this.record(request, sentAt, moment, status, refused, refusedBy, charged);
    const service = this.serviceOf(request, verdict);
    this.kernel.after(service, () => {
      verdict.left?.();
      if (failure !== null) this.fail(failure, answer);
      else answer(this.answerOf(verdict), this.options.network(this.random));
    });
  }

  private serviceOf(request: SimRequest, verdict: Verdict): DurationMs {
    if (verdict.refused) return DOOR_MS;
    return verdict.serviceMs ?? request.job.cost.serviceMs ?? this.options.service(this.random);
  }

  private fail(
    failure: FailurePhase,
    answer: (response: SimResponse, after: DurationMs) => void,
  ): void {
    const back = this.options.network(this.random);
    if (failure.kind === 'status') answer(failureAnswer(failure, this.date()), back);
    else {
      const after = failure.kind === 'timeout' ? SILENCE_MS : back;
      answer({ status: 0, fields: NO_FIELDS, body: undefined, by: 'network' }, after);
    }
  }

  private answerOf(verdict: Verdict): SimResponse {
    return {
      status: verdict.status,
      fields: [...verdict.fields, 'date', this.date()],
      body: verdict.body,
      by: 'origin',
    };
  }

  /** The origin's own clock, in whole seconds (RFC 9110 section 5.6.7). */
  private date(): string {
    const second = Math.floor(this.moment().wall / 1000);
    if (second !== this.dateSecond) {
      this.dateSecond = second;
      this.dateText = new Date(second * 1000).toUTCString();
    }
    return this.dateText;
  }

  private record(
    request: SimRequest,
    sentAt: MonoMs,
    { at, wall }: Moment,
    status: number,
    refused: boolean,
    refusedBy: string,
    charged: UpstreamCall['charged'],
  ): void {
    const { identity } = request.job;
    this.calls.push({ at, wall, sentAt, identity, request, status, refused, refusedBy, charged });
  }
}
