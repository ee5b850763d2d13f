/**
 * Agents with the vendors' own SDKs, their retry settings left alone. One is one process's worth: an
 * SDK of its own, and its way to the API is a base URL (ratelord's mount, `/@agent/…`) or HTTPS_PROXY.
 */
import { readFileSync } from 'node:fs';
import { Octokit } from 'octokit';
import OpenAI from 'openai';
import { fetch as undiciFetch, ProxyAgent } from 'undici';
import type { Client } from '../../../src/sim/clients/client.ts';
import type { Asking, Refused } from '../../../src/sim/measures.ts';
import type { Job, Outcome } from '../../../src/sim/types.ts';
import type { Daemon } from './daemon.ts';
import { JOB_FIELD } from './origin.ts';
import type { RealTimeKernel } from './real-time.ts';
import type { LiveWorkload } from './workloads.ts';

/** What clients saw: the twin of the simulator's `Watch`. */
export interface Seen {
  readonly askings: Asking[];
  readonly refusals: Refused[];
  readonly attempts: Map<number, number>;
  /** Failures that were no answers: none are meant to be. */
  readonly errors: string[];
}

export interface ClientParts {
  readonly kernel: RealTimeKernel;
  readonly daemon: Daemon;
  readonly live: LiveWorkload;
  readonly jobs: ReadonlyMap<number, Job>;
  readonly seen: Seen;
}

export type Way = 'base URL' | 'HTTPS_PROXY';

type Fetch = typeof globalThis.fetch;

const nothing = (): void => undefined;
const SILENT = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const WARM_KEY = 'warm-up';

export class SdkAgent implements Client {
  private readonly parts: ClientParts;
  private readonly agent: string;
  private readonly baseUrl: string;
  private readonly fetch: Fetch;
  private readonly call: (job: Job, signal: AbortSignal) => Promise<unknown>;
  private readonly dispatcher: ProxyAgent | null;

  constructor(parts: ClientParts, agent: string, way: Way) {
    const { daemon, live } = parts;
    this.parts = parts;
    this.agent = agent;
    this.baseUrl = way === 'base URL' ? `${daemon.proxy}/@${agent}${live.mount}` : live.api;
    this.dispatcher = way === 'base URL' ? null : proxyAgent(daemon, agent);
    this.fetch = fetchThrough(this.dispatcher);
    this.call = live.provider === 'openai' ? this.openai() : this.octokit();
  }

  /** Connects, does the TLS handshake and lets code get warm, on a credential that nobody else uses. */
  async warmUp(): Promise<void> {
    const path = this.parts.live.provider === 'openai' ? '/v1/models' : '/repos/acme/widgets';
    const headers = { authorization: `Bearer ${WARM_KEY}` };
    const answer = await this.fetch(`${this.baseUrl}${path}`, { headers });
    await answer.text();
    if (answer.status !== 200)
      throw new Error(`${this.agent}: ${String(answer.status)} at warm-up`);
  }

  submit(job: Job, done: (outcome: Outcome) => void): void {
    const { kernel, seen } = this.parts;
    const abort = new AbortController();
    const course = { over: false, lastStatus: 0 };
    const end = (how: 'served' | 'lost'): void => {
      if (course.over) return;
      course.over = true;
      stop();
      const attempts = seen.attempts.get(job.id) ?? 0;
      const at = Math.max(kernel.elapsed, kernel.real);
      done({ job, end: how, at, attempts, lastStatus: 0 });
    };
    // The agent's own timeout. An SDK may hold the request in a queue of its own and notice later.
    const stop = kernel.at(job.deadlineAt, () => {
      end('lost');
      abort.abort();
    });
    this.call(job, abort.signal).then(
      () => end('served'),
      (error: unknown) => {
        if (!course.over && statusOf(error) === 0) seen.errors.push(String(error));
        end('lost');
      },
    );
  }

  close(): Promise<void> {
    return this.dispatcher?.destroy() ?? Promise.resolve();
  }

  private openai(): SdkAgent['call'] {
    const client = new OpenAI({
      apiKey: this.key(),
      baseURL: `${this.baseUrl}/v1`,
      logLevel: 'off',
      fetch: this.watched(),
    });
    return (job, signal) => {
      const body = JSON.parse(job.body ?? '{}') as OpenAI.ChatCompletionCreateParamsNonStreaming;
      return client.chat.completions.create(body, { signal, headers: fieldsOf(job) });
    };
  }

  private octokit(): SdkAgent['call'] {
    const once = (_after: number, _options: unknown, _octokit: unknown, retries: number): boolean =>
      retries === 0;
    const client = new Octokit({
      auth: this.key(),
      baseUrl: this.baseUrl,
      log: SILENT,
      // What the package has by default; the id keeps the queues of agents in one process apart.
      throttle: { id: this.agent, onRateLimit: once, onSecondaryRateLimit: once },
    });
    const fetch = this.watched();
    return (job, signal) =>
      client.request({
        method: job.method as 'GET',
        url: job.path,
        headers: fieldsOf(job),
        request: { signal, fetch },
      });
  }

  private key(): string {
    return this.parts.live.workload.identity;
  }

  /** Notes each attempt and each refusal of ratelord's, and changes nothing. */
  private watched(): Fetch {
    const { kernel, seen, jobs } = this.parts;
    const now = (): number => Math.max(kernel.elapsed, kernel.real);
    return async (url, init) => {
      const job = jobs.get(Number(new Headers(init?.headers).get(JOB_FIELD)));
      if (job === undefined) throw new Error('an SDK dropped the field that names the job');
      init?.signal?.throwIfAborted();
      const { agent, identity } = job;
      const attempt = (seen.attempts.get(job.id) ?? 0) + 1;
      seen.attempts.set(job.id, attempt);
      const askedAt = now();
      seen.askings.push({ at: askedAt, agent, identity, attempt });
      const answer = await this.fetch(url, init);
      if (answer.headers.get('x-ratelord-decision') === 'reject') {
        const { status } = answer;
        const maxWaitMs = job.maxWaitMs ?? 0;
        seen.refusals.push({ at: now(), askedAt, identity, job, status, maxWaitMs });
      }
      return answer;
    };
  }
}

function fieldsOf({ id, priority, maxWaitMs }: Job): Record<string, string> {
  return {
    [JOB_FIELD]: String(id),
    'x-ratelord-priority': priority,
    'x-ratelord-max-wait': `${String(Math.round(maxWaitMs ?? 0))}ms`,
  };
}

function proxyAgent(daemon: Daemon, agent: string): ProxyAgent {
  return new ProxyAgent({
    uri: daemon.proxy,
    token: `Basic ${Buffer.from(`${agent}:x`).toString('base64')}`,
    requestTls: { ca: readFileSync(daemon.ca) },
  });
}

/** Node's own `fetch`, or undici's, whose dispatchers it takes: the same code in two versions. */
function fetchThrough(dispatcher: ProxyAgent | null): Fetch {
  if (dispatcher === null) return globalThis.fetch;
  const through = (url: string, init?: object) => undiciFetch(url, { ...init, dispatcher });
  return through as unknown as Fetch;
}

/** Of an SDK's error; 0 = it was no answer. */
function statusOf(error: unknown): number {
  const { status } = error as { readonly status?: unknown };
  return typeof status === 'number' ? status : 0;
}
