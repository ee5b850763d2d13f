/**
 * The `octokit` package 5.0.5 with its defaults: @octokit/plugin-retry 8.1.1 inside
 * @octokit/plugin-throttling 11.0.5 (`dist-bundle/index.js` of each; hooks registered later wrap
 * those before). So a 429 is first retried by the inner plugin after 1, 4 and 9 s, whatever it says
 * of when (the first of these may be longer, see `sharedCount`); a 403 never is. What then reaches
 * the outer plugin waits for the reset or Retry-After, once, because `onRateLimit` and
 * `onSecondaryRateLimit` of the package retry only the first time.
 */
import { field } from '../../core/head.ts';
import type { DurationMs } from '../../core/units.ts';
import type { Job, Outcome, SimResponse } from '../types.ts';
import { Course, NODE_FETCH_TIMEOUT_MS, succeeded } from './client.ts';
import type { Client, ClientParts } from './client.ts';
import { Lane } from './lane.ts';

const RETRIES = 3;
/** 403 among them: a primary or secondary limit is the outer plugin's business. */
const NOT_RETRIED: readonly number[] = [400, 401, 403, 404, 410, 422, 451];
const SECONDARY_FALLBACK_S = 60;
/** Times the outer plugin sends again. */
const THROTTLE_RETRIES = 1;

/** Writes that send somebody a notification, of those that the simulated jobs make. */
const NOTIFIES =
  /^\/repos\/.+?\/.+?\/(?:issues|issues\/.+?\/comments|pulls|pulls\/.+?\/(?:comments|merge|reviews)|commits\/.+?\/comments|releases)[^/]*$/i;

interface Lanes {
  readonly global: Lane;
  readonly write: Lane;
  readonly search: Lane;
  readonly notifications: Lane;
}

export class OctokitClient implements Client {
  private readonly parts: ClientParts;
  private readonly lanes: Lanes;
  /**
   * The inner plugin keeps its count in `options.request`, which is one object for all requests of
   * an instance: what one of them left there makes the next one's first wait longer.
   */
  private sharedCount = 0;

  constructor(parts: ClientParts) {
    this.parts = parts;
    this.lanes = {
      global: new Lane(parts.kernel, 10, 0),
      write: new Lane(parts.kernel, 1, 1000),
      search: new Lane(parts.kernel, 1, 2000),
      notifications: new Lane(parts.kernel, 1, 3000),
    };
  }

  submit(job: Job, done: (outcome: Outcome) => void): void {
    const fieldsOf = (): readonly string[] => ['user-agent', 'octokit.js/5.0.5'];
    const options = { attemptTimeoutMs: NODE_FETCH_TIMEOUT_MS, fieldsOf };
    this.round(new Course(job, this.parts, options, done), 0);
  }

  /** One pass through the outer plugin: its lanes in turn, the inner plugin, then its own verdict. */
  private round(course: Course, count: number): void {
    const again = count > 0;
    this.walk(this.gatesOf(course.job), again, () => {
      // An aborted request holds its place, as in the library, but is not sent.
      this.lanes.global.enter(again, () => {
        const leave = (): void => this.lanes.global.leave(again);
        if (course.over) return leave();
        course.onAbort = leave;
        this.attempt(course, 0, (response) => {
          course.onAbort = null;
          leave();
          if (served(course.job, response)) return course.end('served');
          const ms = this.throttleWait(course.job, response, count);
          if (ms === null) return course.end('lost');
          course.wait(ms, () => this.round(course, count + 1));
        });
      });
    });
  }

  private gatesOf({ method, path }: Job): readonly Lane[] {
    const target = path.split('?')[0] ?? '';
    const write = method !== 'GET' && method !== 'HEAD';
    const gates: Lane[] = [];
    if (write || target.startsWith('/graphql')) gates.push(this.lanes.write);
    if (write && NOTIFIES.test(target)) gates.push(this.lanes.notifications);
    if (method === 'GET' && target.startsWith('/search/')) gates.push(this.lanes.search);
    return gates;
  }

  /** Passes through spacing lanes, one after the other; nothing is held in them. */
  private walk(gates: readonly Lane[], again: boolean, then: () => void, from = 0): void {
    const gate = gates[from];
    if (gate === undefined) return then();
    gate.enter(again, () => {
      gate.leave(again);
      this.walk(gates, again, then, from + 1);
    });
  }

  /** plugin-retry: squares of seconds, while the place in the outer lane is kept. */
  private attempt(course: Course, retries: number, then: (response: SimResponse) => void): void {
    course.send((response) => {
      const status = response.by === 'network' ? 500 : response.status;
      if (status < 400) return then(response);
      const ms = (this.sharedCount + 1) ** 2 * 1000;
      this.sharedCount = retries + 1;
      if (NOT_RETRIED.includes(status) || retries >= RETRIES) return then(response);
      course.wait(ms, () => this.attempt(course, retries + 1, then));
    });
  }

  /** plugin-throttling; `null` gives up. */
  private throttleWait(job: Job, response: SimResponse, count: number): DurationMs | null {
    const graphql = job.path.startsWith('/graphql') && response.status !== 401;
    if (!graphql && response.status !== 403 && response.status !== 429) return null;
    this.sharedCount = count;
    if (response.by === 'network' || count >= THROTTLE_RETRIES) return null;
    if (/\bsecondary rate\b/i.test(response.body ?? '')) {
      const told = Number(field(response.fields, 'retry-after') ?? 0);
      return (told > 0 ? told : SECONDARY_FALLBACK_S) * 1000;
    }
    const exhausted = field(response.fields, 'x-ratelimit-remaining') === '0';
    if (!exhausted && !rateLimited(response)) return null;
    const reset = Math.trunc(Number(field(response.fields, 'x-ratelimit-reset') ?? 0)) * 1000;
    const wall = this.parts.kernel.now().wall;
    return Math.max(Math.ceil((reset - wall) / 1000) + 1, 0) * 1000;
  }
}

/** GraphQL tells of an exhausted quota in a 200. */
function served(job: Job, response: SimResponse): boolean {
  return succeeded(response) && !(job.path.startsWith('/graphql') && rateLimited(response));
}

function rateLimited({ body }: SimResponse): boolean {
  return body?.includes('RATE_LIMITED') === true && /"type"\s*:\s*"RATE_LIMITED"/.test(body);
}
