/**
 * Figures seen in recorded public traffic of api.openai.com, 2024 to 2026 (README.md names the
 * recordings). Typed, not copied: numbers and the short texts that clients have reported.
 */

/** Family, limit, remaining, reset as sent, and the window they imply (`null`: they imply none). */
export type Tuple = readonly [
  family: string,
  limit: number,
  remaining: number,
  reset: string,
  windowS: 60 | 86_400 | null,
];

export const TUPLES: readonly Tuple[] = [
  ['input-images', 50_000, 49_998, '2ms', 60],
  ['input-images', 250_000, 249_999, '0s', null],
  ['project-tokens', 1_000_000, 999_831, '10ms', 60],
  ['project-tokens', 150_000_000, 149_995_870, '1ms', 60],
  ['project-tokens', 150_000_000, 149_999_992, '0s', null],
  ['requests', 200, 197, '20m52.666s', 86_400],
  ['requests', 500, 499, '120ms', 60],
  ['requests', 3000, 2999, '20ms', 60],
  ['requests', 10_000, 9985, '2m1.016s', 86_400],
  ['requests', 10_000, 9986, '1m53.425s', 86_400],
  ['requests', 10_000, 9991, '1m13.588s', 86_400],
  ['requests', 10_000, 9993, '53.254s', 86_400],
  ['requests', 10_000, 9995, '41.245s', 86_400],
  ['requests', 10_000, 9997, '19.496s', 86_400],
  ['requests', 10_000, 9998, '12.967s', 86_400],
  ['requests', 10_000, 9998, '16.601s', 86_400],
  ['requests', 10_000, 9999, '8.64s', 86_400],
  ['requests', 30_000, 29_999, '2ms', 60],
  ['requests', 100_000, 99_998, '0s', null],
  ['tokens', 30_000, 12_929, '34.142s', 60],
  ['tokens', 30_000, 13_983, '32.032s', 60],
  ['tokens', 30_000, 29_667, '666ms', 60],
  ['tokens', 40_000, 39_212, '1.182s', 60],
  ['tokens', 80_000, 79_970, '22ms', 60],
  ['tokens', 160_000, 157_610, '896ms', 60],
  ['tokens', 200_000, 114_857, '25.542s', 60],
  ['tokens', 200_000, 137_126, '18.862s', 60],
  ['tokens', 200_000, 199_184, '244ms', 60],
  ['tokens', 200_000, 199_977, '6ms', 60],
  ['tokens', 250_000, 248_232, '424ms', 60],
  ['tokens', 500_000, 499_735, '31ms', 60],
  ['tokens', 500_000, 499_995, '0s', null],
  ['tokens', 1_000_000, 996_223, '226ms', 60],
  ['tokens', 2_000_000, 1_997_696, '69ms', 60],
  ['tokens', 2_000_000, 2_000_000, '0s', null],
  ['tokens', 5_000_000, 4_976_251, '284ms', 60],
  ['tokens', 10_000_000, 9_976_252, '142ms', 60],
  ['tokens', 30_000_000, 29_997_056, '5ms', 60],
  ['tokens', 40_000_000, 40_000_000, '0s', null],
  ['tokens', 150_000_000, 149_995_867, '1ms', 60],
  ['tokens', 180_000_000, 179_999_988, '0s', null],
];

/** A refusal's error object, and what it means. */
export interface RefusalFixture {
  readonly name: string;
  readonly status: number;
  readonly type: string | null;
  readonly code: string | null;
  readonly message: string;
  readonly class: 'primary' | 'secondary' | 'overloaded' | 'slow_down' | 'never';
  readonly scope: 'request' | 'pool' | 'identity' | 'provider';
  readonly pool?: string;
  readonly retryInMs?: number;
}

export const REFUSALS: readonly RefusalFixture[] = [
  {
    name: 'tokens per minute',
    status: 429,
    type: 'tokens',
    code: 'rate_limit_exceeded',
    message:
      'Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 200000, Used 195663, Requested 7592. Please try again in 976ms. Visit https://platform.openai.com/account/rate-limits to learn more.',
    class: 'primary',
    scope: 'pool',
    pool: 'tokens',
    retryInMs: 976,
  },
  {
    name: 'requests per day',
    status: 429,
    type: 'requests',
    code: 'rate_limit_exceeded',
    message:
      'Rate limit reached for gpt-4o-mini in organization org-x on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s.',
    class: 'primary',
    scope: 'pool',
    pool: 'requests',
    retryInMs: 432_000,
  },
  {
    name: 'a wait of minutes and a fraction',
    status: 429,
    type: 'tokens',
    code: 'rate_limit_exceeded',
    message:
      'Rate limit reached for gpt-4 in organization org-x on tokens per min (TPM): Limit 10000, Used 9950, Requested 11666. Please try again in 1m9.696s.',
    class: 'primary',
    scope: 'pool',
    pool: 'tokens',
    retryInMs: 69_696,
  },
  {
    name: 'the wording of 2023',
    status: 429,
    type: 'requests',
    code: 'rate_limit_exceeded',
    message:
      'Rate limit reached for default-gpt-3.5-turbo in organization org-x on requests per min. Limit: 3 / min. Please try again in 20s.',
    class: 'primary',
    scope: 'pool',
    pool: 'requests',
    retryInMs: 20_000,
  },
  {
    name: 'a request above the limit',
    status: 429,
    type: 'tokens',
    code: 'rate_limit_exceeded',
    message:
      'Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 42311. The input or output tokens must be reduced in order to run successfully.',
    class: 'never',
    scope: 'request',
    pool: 'tokens',
  },
  ...[
    'insufficient_quota',
    'credit_balance_exhausted',
    'organization_spend_limit_exceeded',
    'project_spend_limit_exceeded',
    'organization_usage_limit_exceeded',
    null,
  ].map((code): RefusalFixture => ({
    name: `money: ${code ?? 'no code'}`,
    status: 429,
    type: 'insufficient_quota',
    code,
    message: 'You exceeded your current quota, please check your plan and billing details.',
    class: 'never',
    scope: 'identity',
  })),
  {
    name: 'grown too fast',
    status: 429,
    type: 'rate_limit_error',
    code: 'slow_down',
    message: 'Please slow down.',
    class: 'slow_down',
    scope: 'identity',
  },
  {
    name: 'grown too fast, before 2026',
    status: 503,
    type: 'rate_limit_error',
    code: 'slow_down',
    message: 'Slow down.',
    class: 'slow_down',
    scope: 'identity',
  },
  {
    name: 'overloaded',
    status: 503,
    type: 'service_unavailable_error',
    code: 'server_is_overloaded',
    message: 'The server is currently overloaded.',
    class: 'overloaded',
    scope: 'provider',
  },
  {
    name: 'a refusal without a reason',
    status: 429,
    type: null,
    code: null,
    message: '',
    class: 'secondary',
    scope: 'identity',
  },
];

/** An 18-character prompt and what it was charged, by what else the request said. */
export const CHARGES: readonly {
  readonly maxTokens: number | null;
  readonly n: number;
  readonly charged: number;
}[] = [
  { maxTokens: null, n: 1, charged: 23 },
  { maxTokens: null, n: 2, charged: 38 },
  { maxTokens: 50, n: 1, charged: 57 },
];
