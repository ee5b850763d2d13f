/** The shape of a scenario file. What the parts mean together is checked in load.ts. */
import { z } from 'zod';
import { MINUTE, type Priority } from '../../core/units.ts';
import { bad, good, readQuota, readWord, shown, WINDOW_KINDS, type Read } from '../scalars.ts';
import { keys, mayRead, reads } from '../shape.ts';
import { byKind } from './kinds.ts';
import {
  readAmount,
  readBound,
  readCount,
  readFlag,
  readGlobs,
  readLength,
  readName,
  readPart,
  readPositive,
  readRate,
  readTime,
  readWindowQuota,
} from './scalars.ts';
import { readDuration } from '../scalars.ts';

const PRIORITIES = ['high', 'normal', 'background'] as const satisfies readonly Priority[];
export const CLIENTS = ['openai', 'octokit', 'requests', 'naive', 'none'] as const;
export const PROVIDERS = ['github', 'openai', 'generic'] as const;
export const MEASURES = [
  'upstream.refused',
  'upstream.refused_per_million',
  'upstream.served',
  'upstream.failed',
  'utilisation',
  'lost_ratio',
  'avoidable_loss',
  'served',
  'served_ratio',
  'refused_ratio',
  'false_refusals',
  'jain',
  'gap_violations',
  'wait_p50_ms',
  'wait_p99_ms',
  'longest_wait_ms',
  'longest_gap_ms',
  'starved',
  'stampede',
  'retried',
  'drift_noticed',
] as const;
export type Measure = (typeof MEASURES)[number];

/** A number, or how it is drawn; the numbers in it are read by `read`. */
function spread(read: (value: unknown) => Read<number>) {
  const table = byKind(
    {
      uniform: keys({ low: reads(read), high: reads(read) }),
      exponential: keys({ mean: reads(read) }),
      lognormal: keys({ median: reads(read), sigma: reads(readAmount) }),
      pareto: keys({ minimum: reads(read), alpha: reads(readPositive), maximum: reads(read) }),
      empirical: keys({ values: z.array(reads(read)).min(1) }),
    },
    'distribution',
  );
  return z.unknown().transform((value, context): number | z.output<typeof table> => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const parsed = table.safeParse(value, { reportInput: true });
      if (parsed.success) return parsed.data;
      for (const issue of parsed.error.issues) context.issues.push(issue as z.core.$ZodRawIssue);
      return z.NEVER;
    }
    const constant = value === undefined ? bad('a value is missing') : read(value);
    if (constant.ok) return constant.value;
    context.addIssue({ code: 'custom', message: constant.message, params: constant });
    return z.NEVER;
  });
}

const time = spread(readDuration);
const amount = spread(readAmount);

function readAnswer(value: unknown): Read<number | 'reset' | 'timeout'> {
  if (value === 'reset' || value === 'timeout') return good(value);
  if (typeof value === 'number' && Number.isInteger(value) && value >= 400 && value < 600) {
    return good(value);
  }
  return bad(
    `${shown(value)} is no failure: write a status from 400 to 599, \`reset\` or \`timeout\``,
  );
}

const failure = keys({
  from: reads(readTime),
  until: reads(readTime),
  answer: reads(readAnswer),
  share: mayRead(readPart),
  retry_after: mayRead(readLength),
  remaining: mayRead(readAmount),
  charged: mayRead(readFlag),
});

/** What every origin server has, whatever its API. */
const origin = {
  network: time.optional(),
  service: time.optional(),
  clock_skew: mayRead(readDuration),
  failures: z.array(failure).nullish(),
};

const github = keys({
  ...origin,
  core: mayRead(readCount),
  search: mayRead(readCount),
  graphql: mayRead(readCount),
  window: mayRead(readLength),
  secondary: mayRead(readFlag),
  hidden: z
    .array(
      keys({ name: reads(readName), quota: reads(readWindowQuota), writes: mayRead(readFlag) }),
    )
    .nullish(),
  retry_after: mayRead(readDuration),
});

function readCharge(value: unknown): Read<'request' | 'actual' | { readonly factor: number }> {
  if (value === 'request' || value === 'actual') return good(value);
  if (typeof value === 'number' && value > 0) return good({ factor: value });
  return bad(
    `${shown(value)} is no charge: write \`request\`, \`actual\` or a factor like \`1.5\``,
  );
}

const openai = keys({
  ...origin,
  models: z.record(
    z.string(),
    keys({
      requests: reads(readWindowQuota),
      tokens: reads(readWindowQuota),
      tokens_per_s: mayRead(readAmount),
    }),
  ),
  charge: mayRead(readCharge),
  budget_tokens: mayRead(readCount),
  retry_after: mayRead(readFlag),
  organization: mayRead(readName),
});

const DIALECTS = ['ietf', 'x-ratelimit', 'none'] as const;

const generic = keys({
  ...origin,
  dialect: mayRead((value) => readWord(value, DIALECTS, 'dialect')),
  retry_after: mayRead(readFlag),
  quotas: z
    .array(
      keys({
        name: reads(readName),
        quota: reads(readQuota),
        window: mayRead((value) => readWord(value, WINDOW_KINDS, 'window')),
      }),
    )
    .min(1),
});

const outsider = keys({
  provider: reads((value) => readWord(value, PROVIDERS, 'provider')),
  identity: mayRead(readName),
  pool: reads(readName),
  share: mayRead(readPart),
  rate: mayRead(readRate),
  batch: mayRead(readCount),
  arrivals: mayRead((value) => readWord(value, ['poisson', 'periodic'] as const, 'arrivals')),
  from: mayRead(readTime),
  until: mayRead(readTime),
});

const arrivals = byKind(
  {
    greedy: keys({
      in_flight: reads(readCount),
      think: time.optional(),
      after_loss: mayRead(readDuration),
      jobs: mayRead(readCount),
    }),
    poisson: keys({ rate: reads(readRate) }),
    periodic: keys({
      every: reads(readLength),
      offset: mayRead(readDuration),
      jitter: mayRead(readDuration),
    }),
    bursty: keys({ rate: reads(readRate), on: reads(readLength), off: reads(readLength) }),
    batches: keys({ gap: time, size: amount, within: mayRead(readDuration) }),
    'front-loaded': keys({ jobs: reads(readCount), within: reads(readDuration) }),
    daily: keys({
      rate: reads(readRate),
      swing: mayRead(readPart),
      peak_at: mayRead(readDuration),
      day: mayRead(readLength),
      noise_cv: mayRead(readAmount),
    }),
    trace: keys({
      file: mayRead(readFile),
      speed: mayRead(readPositive),
      share: mayRead(readPart),
    }),
  },
  'arrival process',
);

function readFile(value: unknown): Read<string> {
  return typeof value === 'string' && value !== ''
    ? good(value)
    : bad(`${shown(value)} is no path`);
}

const work = byKind(
  {
    'github-rest': keys({
      writes: mayRead(readPart),
      content: mayRead(readPart),
      searches: mayRead(readPart),
      service: time.optional(),
    }),
    'github-graphql': keys({
      points: amount,
      mutations: mayRead(readPart),
      service: time.optional(),
    }),
    'openai-chat': keys({
      model: reads(readName),
      input: amount,
      output: amount,
      max_tokens: amount.optional(),
      chars_per_token: amount.optional(),
      service: time.optional(),
    }),
    generic: keys({
      method: mayRead(readName),
      path: mayRead(readFile),
      units: z.record(z.string(), amount).optional(),
      service: time.optional(),
    }),
  },
  'kind of work',
);

const agent = keys({
  id: reads(readName),
  count: mayRead(readCount),
  identity: mayRead(readName),
  priority: mayRead((value) => readWord(value, PRIORITIES, 'priority')),
  weight: mayRead(readPositive),
  client: mayRead((value) => readWord(value, CLIENTS, 'client')),
  max_retries: mayRead(readAmount),
  arrivals,
  work,
  value: amount.optional(),
  deadline: time.optional(),
  max_wait: mayRead(readDuration),
  from: mayRead(readTime),
  until: mayRead(readTime),
});

const invariant = keys({
  name: mayRead((value) =>
    typeof value === 'string' && value !== '' ? good(value) : bad(`${shown(value)} is no name`),
  ),
  measure: reads((value) => readWord(value, MEASURES, 'measure')),
  min: mayRead(readBound),
  max: mayRead(readBound),
  agents: mayRead(readGlobs),
  priority: mayRead((value) => readWord(value, PRIORITIES, 'priority')),
  provider: mayRead((value) => readWord(value, PROVIDERS, 'provider')),
  pool: mayRead(readName),
});

export const scenarioSchema = keys({
  name: reads(readName),
  seed: mayRead(readAmount),
  duration: reads(readLength),
  settle: mayRead(readDuration),
  client_delay: time.optional(),
  policy: z.unknown().optional(),
  providers: keys({
    github: github.nullish(),
    openai: openai.nullish(),
    generic: generic.nullish(),
  }),
  outsiders: z.array(outsider).nullish(),
  agents: z.array(agent).min(1),
  invariants: z.array(invariant).nullish(),
});

export type ScenarioParts = z.output<typeof scenarioSchema>;
export type GithubParts = z.output<typeof github>;
export type OpenaiParts = z.output<typeof openai>;
export type GenericParts = z.output<typeof generic>;
export type AgentParts = z.output<typeof agent>;
export type InvariantParts = z.output<typeof invariant>;

/** How long a run goes on after the last job was made. */
export const DEFAULT_SETTLE_MS = 2 * MINUTE;
