/**
 * Two workloads with their windows compressed, so that several of them pass in a minute of real time:
 * W7 and W5 in small. Both are played in virtual time and for real, with the same jobs.
 */
import { SECOND, type DurationMs } from '../../../src/core/units.ts';
import type { Random } from '../../../src/sim/random.ts';
import type { Job } from '../../../src/sim/types.ts';
import { GithubRules } from '../../../src/sim/upstream/github.ts';
import { OPENAI_DEFAULTS, OpenaiRules } from '../../../src/sim/upstream/openai.ts';
import { Origin } from '../../../src/sim/upstream/origin.ts';
import type { Workload } from '../stage.ts';
import {
  defaultPolicy,
  IDENTITY,
  jobsOf,
  names,
  NEAREST_MS,
  network,
  service,
  type Demand,
} from '../workloads/jobs.ts';

/** How much of the real thing is kept. */
export interface Compression {
  readonly windowMs: DurationMs;
  readonly windows: number;
}

/** A workload and where its requests would go in earnest. */
export interface LiveWorkload {
  readonly workload: Workload;
  readonly provider: 'github' | 'openai';
  readonly hosts: readonly string[];
  /** The mount's path under a base URL, and the API's own. */
  readonly mount: string;
  readonly api: string;
}

/** Users, workers and crawlers on one fixed window; they want twice as much as there is. */
export function githubLive({ windowMs, windows }: Compression): LiveWorkload {
  // The documented 900 points a minute of the secondary limits are to stay out of the way.
  const limit = Math.floor((14 * windowMs) / SECOND);
  const perSecond = limit / (windowMs / SECOND);
  const kind = 'poisson';
  const demands: Demand[] = [
    ...group('user', 6, 'high', { value: 10, patience: 0.5 }, 0.2 * perSecond),
    ...group('worker', 12, 'normal', { value: 3, patience: 0.8 }, 1.6 * perSecond),
    ...group('crawler', 6, 'background', { value: 1, patience: 0.8 }, 0.3 * perSecond),
  ];
  function group(
    stem: string,
    count: number,
    priority: Demand['priority'],
    { value, patience }: { value: number; patience: number },
    rate: number,
  ): Demand[] {
    return names(stem, count).map((agent) => ({
      agent,
      priority,
      value,
      arrivals: { kind, perSecond: rate / count },
      work: { kind: 'github-rest' },
      // ratelord refuses what it cannot pass in time; the SDK waits for the reset once and asks again.
      maxWaitMs: patience * windowMs,
      // Far enough for that. A wait as long as the window would end with it, or not: chance would tell.
      deadlineMs: 2 * windowMs,
    }));
  }
  const workload: Workload = {
    name: 'L1 three classes, live',
    about: `GitHub core compressed to ${String(limit)} in ${String(windowMs / SECOND)} s; 24 agents (octokit) of three classes want 2.1 times as much`,
    identity: IDENTITY,
    agents: demands.map(({ agent }) => agent),
    quota: { pool: 'core', limit, windowMs },
    windows,
    client: 'octokit',
    policy: defaultPolicy(),
    github: true,
    oracle: { kind: 'matroid', pool: 'core' },
    shows: new Set(['saturated', 'priority']),
    jobs: (random, untilMs) => jobsOf(demands, random, untilMs),
    origin: (kernel, random) =>
      new Origin({
        kernel,
        random,
        rules: new GithubRules({ core: limit, windowMs }),
        network,
        service,
      }),
  };
  return {
    workload,
    provider: 'github',
    hosts: ['api.github.com'],
    mount: '/github',
    api: 'https://api.github.com',
  };
}

const MODEL = 'gpt-4o';
const TOKENS_PER_S = 1000;
/** Tokens a second that the quota gives; each of twenty agents' fair share is a twentieth. */
const TOKENS = 20_000;

/** A twentieth of the quota is a small agent's dozen requests a second, or a large one's quarter. */
function skewedDemand(windowMs: DurationMs): Demand[] {
  const share = TOKENS / 20;
  const shared = {
    priority: 'normal',
    value: 1,
    deadlineMs: { kind: 'uniform', low: 0.6 * windowMs, high: 1.2 * windowMs },
    answerMs: 2 * SECOND,
  } as const;
  const asks = (agent: string, tokens: number, wants: number, output: number): Demand => ({
    ...shared,
    agent,
    arrivals: { kind: 'poisson', perSecond: (wants * share) / tokens },
    work: {
      kind: 'openai-chat',
      model: MODEL,
      inputTokens: { kind: 'lognormal', median: tokens - output - 3, sigma: 0.05 },
      outputTokens: { kind: 'uniform', low: output / 2, high: output },
      maxTokens: output,
    },
  });
  return [
    ...names('small', 2).map((agent) => asks(agent, 80, 1.6, 20)),
    ...names('large', 17).map((agent) => asks(agent, 4000, 2.5, 200)),
    asks('flooder', 2000, 30, 100),
  ];
}

/** Buckets of requests and tokens, costs fifty times apart, and one that wants half as much again as all have. */
export function openaiLive({ windowMs, windows }: Compression): LiveWorkload {
  const tokens = (TOKENS * windowMs) / SECOND;
  const requests = (300 * windowMs) / SECOND;
  const [shape] = OPENAI_DEFAULTS.models;
  if (shape === undefined) throw new Error('the model upstream has no model');
  const model = {
    ...shape,
    name: MODEL,
    requests: { limit: requests, windowMs },
    tokens: { limit: tokens, windowMs },
    tokensPerS: TOKENS_PER_S,
  };
  const demands = skewedDemand(windowMs);
  const workload: Workload = {
    name: 'L2 cost skew, flooder, live',
    about: `${String(tokens)} tokens in ${String(windowMs / SECOND)} s; requests of 80 and of 4,000 tokens, 20 agents (openai), one of which wants 1.5 times the quota`,
    identity: IDENTITY,
    agents: demands.map(({ agent }) => agent),
    quota: { pool: 'tokens', limit: tokens, windowMs },
    windows,
    client: 'openai',
    policy: defaultPolicy(),
    github: false,
    oracle: {
      kind: 'lp',
      stepMs: windowMs / 3,
      buckets: [
        { name: 'requests', limit: requests, windowMs },
        { name: 'tokens', limit: tokens, windowMs },
      ],
    },
    shows: new Set(['saturated', 'fairness']),
    jobs: (random, untilMs) =>
      charged(jobsOf(demands, random, untilMs), new OpenaiRules({ models: [model] })),
    answerMs: ({ cost }) => 2 * NEAREST_MS + 200 + (cost.outputTokens / TOKENS_PER_S) * SECOND,
    origin: (kernel, random: Random) =>
      new Origin({ kernel, random, rules: new OpenaiRules({ models: [model] }), network, service }),
  };
  return {
    workload,
    provider: 'openai',
    hosts: ['api.openai.com'],
    mount: '/openai',
    api: 'https://api.openai.com',
  };
}

/** Each with the units that the model upstream itself charges for it, and worth as many. */
function charged(jobs: readonly Job[], rules: OpenaiRules): Job[] {
  return jobs.map((job) => {
    // A day apart, so that there is always room.
    const at = job.id * 86_400_000;
    const units = rules.admit({ job, attempt: 1, fields: [] }, { at, wall: at }).charged;
    return { ...job, value: units['tokens'] ?? 0, cost: { ...job.cost, units } };
  });
}
