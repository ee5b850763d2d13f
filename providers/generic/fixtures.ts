/**
 * Answers as vendors have been seen or documented to give them (README.md names each), with what
 * they mean. The response's `Date` is 2026-09-20T00:00:00Z.
 */
import type { RawFields } from '../../src/core/head.ts';

export const DATE = Date.UTC(2026, 8, 20);
const SECONDS = DATE / 1000;

export interface Dialect {
  readonly vendor: string;
  readonly fields: RawFields;
  readonly told: readonly {
    readonly pool: string;
    readonly limit?: number;
    readonly remaining?: number;
    readonly used?: number;
    readonly resetAt?: number;
    readonly resetIn?: number;
    readonly windowMs?: number;
  }[];
}

export const DIALECTS: readonly Dialect[] = [
  {
    vendor: 'Hugging Face (a policy that is no structured field)',
    fields: [
      ...['RateLimit', '"api";r=999;t=295'],
      ...['RateLimit-Policy', '"fixed window";"api";q=1000;w=300'],
    ],
    told: [{ pool: 'api', limit: 1000, remaining: 999, resetIn: 295_000, windowMs: 300_000 }],
  },
  {
    vendor: 'IETF draft, two policies on several lines, unknown parameters, a partition key',
    fields: [
      ...['RateLimit-Policy', '"burst";q=100;w=60;acme-mood="fine"'],
      ...['ratelimit-policy', '"daily";q=1000;w=86400;pk=:cHsdsRa894==:'],
      ...['RateLimit', '"burst";r=7;t=30;x'],
      ...['RateLimit', '"daily";r=950;t=3600'],
    ],
    told: [
      { pool: 'burst', limit: 100, remaining: 7, resetIn: 30_000, windowMs: 60_000 },
      { pool: 'daily', limit: 1000, remaining: 950, resetIn: 3_600_000, windowMs: 86_400_000 },
    ],
  },
  {
    vendor: 'IETF draft, the policy named default',
    fields: ['RateLimit', '"default";r=50;t=30', 'RateLimit-Policy', '"default";q=100;w=60'],
    told: [{ pool: 'requests', limit: 100, remaining: 50, resetIn: 30_000, windowMs: 60_000 }],
  },
  {
    vendor: 'draft 07: a dictionary and a bare number',
    fields: ['RateLimit', 'limit=100, remaining=50, reset=5', 'RateLimit-Policy', '100;w=60'],
    told: [{ pool: 'requests', limit: 100, remaining: 50, resetIn: 5000, windowMs: 60_000 }],
  },
  {
    vendor: 'draft 03: three fields, seconds, a list of policies',
    fields: [
      ...['RateLimit-Limit', '100, 100;w=60', 'RateLimit-Remaining', '9'],
      ...['RateLimit-Reset', '50'],
    ],
    told: [{ pool: 'requests', limit: 100, remaining: 9, resetIn: 50_000, windowMs: 60_000 }],
  },
  {
    vendor: 'GitLab: the same names with an epoch',
    fields: [
      ...['RateLimit-Limit', '2000', 'RateLimit-Observed', '5', 'RateLimit-Remaining', '1995'],
      ...['RateLimit-Reset', String(SECONDS + 60), 'RateLimit-Name', 'throttle_authenticated_api'],
      ...['RateLimit-ResetTime', 'Sun, 20 Sep 2026 00:01:00 GMT'],
    ],
    told: [{ pool: 'requests', limit: 2000, used: 5, remaining: 1995, resetAt: DATE + 60_000 }],
  },
  {
    vendor: 'Exa: epoch seconds',
    fields: [
      ...['x-ratelimit-limit', '450', 'x-ratelimit-remaining', '449'],
      ...['x-ratelimit-reset', String(SECONDS + 1)],
    ],
    told: [{ pool: 'requests', limit: 450, remaining: 449, resetAt: DATE + 1000 }],
  },
  {
    vendor: 'Linear: epoch milliseconds, quotas named before the part',
    fields: [
      ...['X-RateLimit-Requests-Limit', '1500', 'X-RateLimit-Requests-Remaining', '1499'],
      ...['X-RateLimit-Requests-Reset', String(DATE + 3_600_000)],
      ...['X-RateLimit-Complexity-Limit', '250000', 'X-RateLimit-Complexity-Remaining', '249000'],
      ...['X-RateLimit-Complexity-Reset', String(DATE + 3_600_000)],
    ],
    told: [
      { pool: 'requests', limit: 1500, remaining: 1499, resetAt: DATE + 3_600_000 },
      { pool: 'complexity', limit: 250_000, remaining: 249_000, resetAt: DATE + 3_600_000 },
    ],
  },
  {
    vendor: 'Jira: ISO to the minute',
    fields: [
      ...['X-RateLimit-Limit', '100', 'X-RateLimit-Remaining', '20'],
      ...['X-RateLimit-Reset', '2026-09-20T00:01Z', 'X-RateLimit-NearLimit', 'false'],
    ],
    told: [{ pool: 'requests', limit: 100, remaining: 20, resetAt: DATE + 60_000 }],
  },
  {
    vendor: 'Replicate: no limit',
    fields: ['ratelimit-remaining', '2999', 'ratelimit-reset', '1'],
    told: [{ pool: 'requests', remaining: 2999, resetIn: 1000 }],
  },
  {
    vendor: 'Together: seconds',
    fields: ['x-ratelimit-limit', '2', 'x-ratelimit-remaining', '1', 'x-ratelimit-reset', '2'],
    told: [{ pool: 'requests', limit: 2, remaining: 1, resetIn: 2000 }],
  },
  {
    vendor: 'X: the other spelling',
    fields: [
      ...['x-rate-limit-limit', '900', 'x-rate-limit-remaining', '899'],
      ...['x-rate-limit-reset', String(SECONDS + 900)],
    ],
    told: [{ pool: 'requests', limit: 900, remaining: 899, resetAt: DATE + 900_000 }],
  },
  {
    vendor: 'Discord: decimals, and the seconds that are left',
    fields: [
      ...['X-RateLimit-Limit', '5', 'X-RateLimit-Remaining', '4'],
      ...['X-RateLimit-Reset-After', '1.25', 'X-RateLimit-Reset', `${SECONDS + 1}.25`],
      ...['X-RateLimit-Bucket', 'abcd1234'],
    ],
    told: [{ pool: 'requests', limit: 5, remaining: 4, resetIn: 1250 }],
  },
  {
    vendor: 'Groq: requests of a day, tokens of a minute, Go durations',
    fields: [
      ...['x-ratelimit-limit-requests', '14400', 'x-ratelimit-remaining-requests', '14399'],
      ...['x-ratelimit-reset-requests', '6s', 'x-ratelimit-limit-tokens', '18000'],
      ...['x-ratelimit-remaining-tokens', '17993', 'x-ratelimit-reset-tokens', '26ms'],
    ],
    told: [
      { pool: 'requests', limit: 14_400, remaining: 14_399, resetIn: 6000 },
      { pool: 'tokens', limit: 18_000, remaining: 17_993, resetIn: 26 },
    ],
  },
  {
    vendor: 'Mistral: the window in the name, no reset',
    fields: [
      ...['x-ratelimit-limit-req-minute', '360', 'x-ratelimit-remaining-req-minute', '359'],
      ...['x-ratelimit-limit-req-10-second', '60', 'x-ratelimit-remaining-req-10-second', '59'],
      ...['x-ratelimit-tokens-query-cost', '12'],
    ],
    told: [
      { pool: 'req-minute', limit: 360, remaining: 359, windowMs: 60_000 },
      { pool: 'req-10-second', limit: 60, remaining: 59, windowMs: 10_000 },
    ],
  },
  {
    vendor: 'Anthropic: RFC 3339',
    fields: [
      ...[
        'anthropic-ratelimit-requests-limit',
        '50',
        'anthropic-ratelimit-requests-remaining',
        '49',
      ],
      ...['anthropic-ratelimit-requests-reset', '2026-09-20T00:00:01Z'],
      ...['anthropic-ratelimit-input-tokens-limit', '30000'],
      ...['anthropic-ratelimit-input-tokens-remaining', '30000'],
      ...['anthropic-ratelimit-input-tokens-reset', '2026-09-19T23:59:57Z', 'retry-after', '53'],
    ],
    told: [
      { pool: 'requests', limit: 50, remaining: 49, resetAt: DATE + 1000 },
      { pool: 'input-tokens', limit: 30_000, remaining: 30_000, resetAt: DATE - 3000 },
    ],
  },
  {
    vendor: 'both spellings of one quota: the first is believed',
    fields: [
      ...['RateLimit-Limit', '10', 'X-RateLimit-Limit', '10', 'RateLimit-Remaining', '3'],
      ...['X-RateLimit-Remaining', '2', 'RateLimit-Reset', '7'],
    ],
    told: [{ pool: 'requests', limit: 10, remaining: 3, resetIn: 7000 }],
  },
  {
    vendor: 'the draft and an older dialect side by side: the draft is believed',
    fields: [
      ...['RateLimit', '"tier";r=8;t=4', 'X-RateLimit-Limit', '10', 'X-RateLimit-Remaining', '9'],
      ...['X-RateLimit-Limit-Day', '100', 'X-RateLimit-Remaining-Day', '90'],
      ...['X-RateLimit-Reset-After-Day', '60'],
    ],
    told: [
      { pool: 'tier', remaining: 8, resetIn: 4000 },
      { pool: 'day', limit: 100, remaining: 90, resetIn: 60_000, windowMs: 86_400_000 },
    ],
  },
  {
    vendor: 'a used count instead of what remains',
    fields: ['X-RateLimit-Limit', '10', 'X-RateLimit-Used', '12'],
    told: [{ pool: 'requests', limit: 10, used: 12, remaining: 0 }],
  },
  { vendor: 'xAI without a figure', fields: ['x-ratelimit-reset', '5'], told: [] },
];
