/** Clients whose library decides by the last answer alone whether and when to send again. */
import type { DurationMs, EpochMs } from '../../core/units.ts';
import type { Random } from '../random.ts';
import type { Job, Outcome, SimResponse } from '../types.ts';
import { Course, succeeded } from './client.ts';
import type { Client, ClientParts, FieldsOf } from './client.ts';

/** What a library knows when it decides. */
export interface Failure {
  readonly job: Job;
  readonly response: SimResponse;
  /** Attempts made so far, at least 1. */
  readonly attempts: number;
  readonly wall: EpochMs;
  readonly random: Random;
}

export interface RetryRules {
  readonly attemptTimeoutMs: DurationMs;
  readonly fieldsOf: FieldsOf;
  /** Milliseconds until the next attempt; `null` gives up. */
  retryIn(failure: Failure): DurationMs | null;
}

export class RuledClient implements Client {
  private readonly parts: ClientParts;
  private readonly rules: RetryRules;

  constructor(parts: ClientParts, rules: RetryRules) {
    this.parts = parts;
    this.rules = rules;
  }

  submit(job: Job, done: (outcome: Outcome) => void): void {
    const course = new Course(job, this.parts, this.rules, done);
    const attempt = (): void => course.send(answered);
    const answered = (response: SimResponse): void => {
      if (succeeded(response)) return course.end('served');
      const { kernel, random } = this.parts;
      const { attempts } = course;
      const ms = this.rules.retryIn({ job, response, attempts, wall: kernel.now().wall, random });
      if (ms === null) return course.end('lost');
      course.wait(ms, attempt);
    };
    attempt();
  }
}
