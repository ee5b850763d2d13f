/**
 * The real @octokit/plugin-throttling on @octokit/core, one instance an agent, its `fetch` the
 * upstream model, its timers the kernel's. Set as its README shows and `octokit` ships it: a request
 * that meets a limit is sent again once, after the wait that the answer asks for.
 */
import { Octokit } from '@octokit/core';
import { throttling } from '@octokit/plugin-throttling';
import type { RawFields } from '../../../src/core/head.ts';
import type { Client } from '../../../src/sim/clients/client.ts';
import type { Hop, Job, Outcome, SimResponse } from '../../../src/sim/types.ts';
import type { Contender, Stage } from '../stage.ts';

const Throttled = Octokit.plugin(throttling);
const once = (_after: number, _options: object, _octokit: object, count: number): boolean =>
  count < 1;
const silent = { debug: quiet, info: quiet, warn: quiet, error: quiet };

function quiet(): void {
  // What it has to say of every limit it meets.
}

/** One after the other: the plugin's limiters are kept by id for the life of the process. */
let processes = 0;

interface Answer {
  readonly status: number;
  readonly url: string;
  readonly headers: Map<string, string>;
  text(): Promise<string>;
}

class ThrottledClient implements Client {
  private readonly stage: Stage;
  private readonly hop: Hop;
  private readonly octokit: Octokit;
  private readonly attempts = new Map<number, number>();

  constructor(stage: Stage, hop: Hop) {
    this.stage = stage;
    this.hop = hop;
    const throttle = { id: String(++processes), onRateLimit: once, onSecondaryRateLimit: once };
    this.octokit = new Throttled({ log: silent, throttle });
  }

  submit(job: Job, done: (outcome: Outcome) => void): void {
    const { kernel, time } = this.stage;
    let over = false;
    let lastStatus = 0;
    let cancel = (): void => undefined;
    const end = (how: 'served' | 'lost'): void => {
      if (over) return;
      over = true;
      stop?.();
      cancel();
      const attempts = this.attempts.get(job.id) ?? 0;
      this.attempts.delete(job.id);
      done({ job, end: how, at: kernel.elapsed, attempts, lastStatus });
    };
    const stop = job.deadlineAt === Infinity ? null : kernel.at(job.deadlineAt, () => end('lost'));
    // What the agent's own timeout aborts is sent no more, but keeps its place in the limiters.
    const fetch = (): Promise<Answer> => {
      if (over) return Promise.reject(new DOMException('aborted', 'AbortError'));
      return new Promise((resolve) => {
        cancel = this.send(job, (response) => {
          lastStatus = response.status;
          time.touch();
          resolve(answerOf(response));
        });
      });
    };
    time.touch();
    this.octokit.request({ method: job.method, url: job.path, request: { fetch } }).then(
      () => end('served'),
      () => end('lost'),
    );
  }

  private send(job: Job, done: (response: SimResponse) => void): () => void {
    const attempt = (this.attempts.get(job.id) ?? 0) + 1;
    this.attempts.set(job.id, attempt);
    const fields: RawFields = ['authorization', `Bearer ${job.identity}`];
    return this.hop.send({ job, attempt, fields }, done);
  }
}

function answerOf({ status, fields, body }: SimResponse): Answer {
  const headers = new Map<string, string>();
  for (let i = 0; i < fields.length; i += 2) headers.set(fields[i] ?? '', fields[i + 1] ?? '');
  return { status, url: '', headers, text: () => Promise.resolve(body ?? '') };
}

export const octokit: Contender = {
  name: '@octokit/plugin-throttling',
  about: 'the real library on the virtual clock, one instance an agent, one retry a limit',
  share: 0.02,
  suits: (workload) => workload.github,
  enter(stage) {
    const hop = stage.door(stage.origin);
    return () => new ThrottledClient(stage, hop);
  },
};
