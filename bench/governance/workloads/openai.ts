/** Workloads on an LLM API: buckets of requests and tokens, refilled evenly, charged at admission. */
import { MINUTE, SECOND } from '../../../src/core/units.ts';
import type { Arrival } from '../../../src/sim/arrivals.ts';
import type { Kernel } from '../../../src/sim/kernel.ts';
import type { Random } from '../../../src/sim/random.ts';
import type { Job } from '../../../src/sim/types.ts';
import { OpenaiRules, OPENAI_DEFAULTS } from '../../../src/sim/upstream/openai.ts';
import { Origin } from '../../../src/sim/upstream/origin.ts';
import type { Shows, Workload } from '../stage.ts';
import {
  defaultPolicy,
  IDENTITY,
  jobsOf,
  names,
  NEAREST_MS,
  network,
  service,
  type Demand,
} from './jobs.ts';

const MODEL = 'gpt-4o';
const TOKENS_PER_S = 100;

interface Settings {
  readonly name: string;
  readonly about: string;
  readonly requests: number;
  readonly tokens: number;
  readonly windows: number;
  readonly stepMs: number;
  readonly demands: readonly Demand[];
  /** A job is worth the tokens it is charged. */
  readonly worthTokens?: boolean;
  readonly shows: readonly Shows[];
}

/** As the upstream model charges: what is asked, not what is used (providers/openai/README.md). */
function charge(job: Job): Readonly<Record<string, number>> {
  const { messages, max_tokens: most } = JSON.parse(job.body ?? '{}') as {
    readonly messages?: readonly { readonly content: string }[];
    readonly max_tokens?: number;
  };
  const chars = (messages ?? []).reduce((sum, { content }) => sum + content.length, 0);
  return {
    requests: 1,
    tokens: Math.ceil(chars / 4 + 3 + (most ?? 16)),
  };
}

function openai(settings: Settings): Workload {
  const { requests, tokens } = settings;
  const shape = OPENAI_DEFAULTS.models[0];
  if (shape === undefined) throw new Error('the model upstream has no model');
  const model = {
    ...shape,
    name: MODEL,
    requests: { limit: requests, windowMs: MINUTE },
    tokens: { limit: tokens, windowMs: MINUTE },
    tokensPerS: TOKENS_PER_S,
  };
  return {
    name: settings.name,
    about: settings.about,
    identity: IDENTITY,
    agents: [...new Set(settings.demands.map(({ agent }) => agent))],
    quota: { pool: 'tokens', limit: tokens, windowMs: MINUTE },
    calls: { pool: 'requests', limit: requests, windowMs: MINUTE },
    windows: settings.windows,
    client: 'openai',
    policy: defaultPolicy(),
    github: false,
    oracle: {
      kind: 'lp',
      stepMs: settings.stepMs,
      buckets: [
        { name: 'requests', limit: requests, windowMs: MINUTE },
        { name: 'tokens', limit: tokens, windowMs: MINUTE },
      ],
    },
    shows: new Set(settings.shows),
    jobs: (random, untilMs) =>
      jobsOf(settings.demands, random, untilMs).map((job) => {
        const units = charge(job);
        const value = settings.worthTokens === true ? (units['tokens'] ?? 0) : job.value;
        return { ...job, value, cost: { ...job.cost, units } };
      }),
    // The answer's own time, and the network's shortest way back.
    answerMs: ({ cost }) => NEAREST_MS + 200 + (cost.outputTokens / TOKENS_PER_S) * SECOND,
    origin: (kernel: Kernel, random: Random) =>
      new Origin({ kernel, random, rules: new OpenaiRules({ models: [model] }), network, service }),
  };
}

const chat = (input: number, output: number, maxTokens: number, sigma = 0.3) =>
  ({
    kind: 'openai-chat',
    model: MODEL,
    inputTokens: { kind: 'lognormal', median: input, sigma },
    outputTokens: { kind: 'lognormal', median: output, sigma: 0.3 },
    maxTokens,
  }) as const;

/** Small askers, large ones whose every request costs a hundred times as much, and a flooder. */
function skewed(tokens: number): Demand[] {
  const perSecond = tokens / (MINUTE / SECOND);
  const shared = {
    priority: 'normal',
    value: 1,
    deadlineMs: { kind: 'uniform', low: 40 * SECOND, high: 120 * SECOND },
    answerMs: 20 * SECOND,
  } as const;
  // A sixth is each one's fair share, and each of them wants a quarter: all are backlogged.
  const small = names('small', 2).map((agent): Demand => ({
    ...shared,
    agent,
    arrivals: { kind: 'poisson', perSecond: (0.25 * perSecond) / 200 },
    work: chat(100, 50, 97),
  }));
  const large = names('large', 3).map((agent): Demand => ({
    ...shared,
    agent,
    arrivals: { kind: 'poisson', perSecond: (0.25 * perSecond) / 20_000 },
    // Little spread: fairness is measured where each had ten of its largest.
    work: chat(18_000, 1000, 2000, 0.1),
  }));
  const flooder: Demand = {
    ...shared,
    agent: 'flooder',
    arrivals: { kind: 'poisson', perSecond: (2 * perSecond) / 2000 },
    work: chat(1500, 400, 500),
  };
  return [...small, ...large, flooder];
}

export const costSkew = openai({
  name: 'W5 cost skew, flooder',
  about:
    '5,000 requests and 600,000 tokens a minute; requests of 200 and of 20,000 tokens, and one agent that wants twice the quota',
  requests: 5000,
  tokens: 600_000,
  windows: 10,
  stepMs: 20 * SECOND,
  worthTokens: true,
  demands: skewed(600_000),
  shows: ['saturated', 'fairness'],
});

/** `arrivals` are an hour's; a hundred agents share them at random. */
export function fromTrace(name: string, arrivals: readonly Arrival[]): Workload {
  const last = arrivals.at(-1)?.atMs ?? 0;
  const minutes = Math.max(1, Math.min(60, Math.floor(last / MINUTE)));
  const used = arrivals.filter(({ atMs }) => atMs < minutes * MINUTE);
  const tokens = used.reduce((sum, { inputTokens = 0 }) => sum + inputTokens + 19, 0);
  const round = (value: number): number => Number(value.toPrecision(2));
  // Nearly as many tokens a minute as are wanted on average: the bursts have to wait, some to go.
  const limit = round((0.9 * tokens) / minutes);
  const requests = round((1.2 * used.length) / minutes);
  const classes = [
    { stem: 'chat', agents: 10, priority: 'high', value: 10, low: 10, high: 30, part: 0.3 },
    { stem: 'tool', agents: 10, priority: 'normal', value: 3, low: 30, high: 60, part: 0.4 },
    { stem: 'batch', agents: 5, priority: 'background', value: 1, low: 120, high: 300, part: 0.3 },
  ] as const;
  // Spreads them evenly and the same way in every run (Knuth's multiplicative hash).
  const owner = (index: number): number => (Math.imul(index, 2654435761) >>> 0) / 4294967296;
  let from = 0;
  const demands = classes.flatMap(
    ({ stem, agents, priority, value, low, high, part }): Demand[] => {
      const begin = from;
      from += part;
      return names(stem, agents).map((agent, at) => {
        const first = begin + (at * part) / agents;
        const mine = used.filter((_, index) => {
          const place = owner(index);
          return place >= first && place < first + part / agents;
        });
        return {
          agent,
          priority,
          value,
          arrivals: { kind: 'trace', arrivals: mine },
          work: {
            kind: 'openai-chat',
            model: MODEL,
            inputTokens: 1,
            outputTokens: 1,
            maxTokens: null,
          },
          deadlineMs: { kind: 'uniform', low: low * SECOND, high: high * SECOND },
          answerMs: 6 * SECOND,
        };
      });
    },
  );
  return openai({
    name: `W6 trace (${name})`,
    about: `${String(used.length)} requests in ${String(minutes)} minutes as recorded; quota: 0.9 of the mean tokens a minute, 1.2 of the mean requests; three classes with deadlines`,
    requests,
    tokens: limit,
    windows: minutes,
    stepMs: 10 * SECOND,
    demands,
    shows: ['trace', 'priority'],
  });
}
