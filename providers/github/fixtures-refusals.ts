/** Refusals typed from recorded traffic and reports; see README.md. Names and addresses are made up. */
export interface RefusalFixture {
  readonly name: string;
  readonly status: number;
  readonly fields: readonly string[];
  readonly message: string;
  readonly documentation: string;
  /** `null` = no limit. */
  readonly expected: 'primary' | 'secondary' | null;
  readonly retryInMs?: number;
}

const REST_DOCS = 'https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api';
const SPENT = ['x-ratelimit-limit', '5000', 'x-ratelimit-remaining', '0'] as const;
const PLENTY = ['x-ratelimit-limit', '5000', 'x-ratelimit-remaining', '4711'] as const;
const SECONDARY =
  'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.';

export const REFUSALS: readonly RefusalFixture[] = [
  {
    name: 'primary of an address, 2013',
    status: 403,
    fields: ['X-RateLimit-Limit', '60', 'X-RateLimit-Remaining', '0'],
    message: 'API rate limit exceeded for 192.0.2.7.',
    documentation: '',
    expected: 'primary',
  },
  {
    name: 'primary of an address with the hint to authenticate',
    status: 403,
    fields: ['x-ratelimit-limit', '60', 'x-ratelimit-remaining', '0'],
    message:
      "API rate limit exceeded for 192.0.2.7. (But here's the good news: Authenticated requests get a higher rate limit.)",
    documentation: 'https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting',
    expected: 'primary',
  },
  {
    name: 'primary of a user',
    status: 403,
    fields: SPENT,
    message: 'API rate limit exceeded for user ID 1.',
    documentation: REST_DOCS,
    expected: 'primary',
  },
  {
    name: 'primary of an installation, 2025, as a 429',
    status: 429,
    fields: SPENT,
    message: 'API rate limit exceeded for installation ID 1. If you reach out to support, …',
    documentation: REST_DOCS,
    expected: 'primary',
  },
  {
    name: 'primary of an installation without any field',
    status: 403,
    fields: [],
    message: 'API rate limit exceeded for installation.',
    documentation: '',
    expected: 'primary',
  },
  {
    name: 'primary told by the remaining alone',
    status: 403,
    fields: SPENT,
    message: '',
    documentation: '',
    expected: 'primary',
  },
  {
    name: 'secondary on search with quota left',
    status: 403,
    fields: ['x-ratelimit-limit', '30', 'x-ratelimit-remaining', '14'],
    message: SECONDARY,
    documentation: REST_DOCS + '#about-secondary-rate-limits',
    expected: 'secondary',
  },
  {
    name: 'secondary on search as a 429',
    status: 429,
    fields: ['x-ratelimit-limit', '30', 'x-ratelimit-remaining', '21', 'retry-after', '60'],
    message: SECONDARY,
    documentation: 'https://docs.github.com/rest/overview/rate-limits#secondary-rate-limits',
    expected: 'secondary',
    retryInMs: 60_000,
  },
  {
    name: 'secondary although nothing remains',
    status: 403,
    fields: SPENT,
    message: SECONDARY,
    documentation: '',
    expected: 'secondary',
  },
  {
    name: 'secondary told by the documentation alone',
    status: 403,
    fields: PLENTY,
    message: 'Slow down.',
    documentation: 'https://docs.github.com/free-pro-team@latest/rest#secondary-rate-limits',
    expected: 'secondary',
  },
  {
    name: 'abuse detection, 2018, with no rate-limit field',
    status: 403,
    fields: ['Retry-After', '60'],
    message: 'You have triggered an abuse detection mechanism. Please retry your request later.',
    documentation: 'https://developer.github.com/v3/#abuse-rate-limits',
    expected: 'secondary',
    retryInMs: 60_000,
  },
  {
    name: 'abuse told by the documentation alone',
    status: 403,
    fields: [],
    message: 'Slow down.',
    documentation: 'https://developer.github.com/v3/#abuse-rate-limits',
    expected: 'secondary',
  },
  {
    name: 'content creation blocked',
    status: 403,
    fields: PLENTY,
    message:
      'You have exceeded a secondary rate limit and have been temporarily blocked from content creation. Please retry your request again later.',
    documentation: REST_DOCS,
    expected: 'secondary',
  },
  {
    name: 'secondary with a blank retry-after',
    status: 403,
    fields: [...PLENTY, 'retry-after', ''],
    message: SECONDARY,
    documentation: '',
    expected: 'secondary',
  },
  {
    name: 'limiter named by its field alone',
    status: 403,
    fields: [...PLENTY, 'gh-limited-by', 'search-elapsed-time-shared-grouped'],
    message: '',
    documentation: '',
    expected: 'secondary',
  },
  {
    name: 'a 429 that says nothing',
    status: 429,
    fields: [],
    message: '',
    documentation: '',
    expected: 'secondary',
  },
  {
    name: 'too many bad credentials',
    status: 403,
    fields: ['x-ratelimit-limit', '60', 'x-ratelimit-remaining', '0'],
    message: 'Maximum number of login attempts exceeded. Please try again later.',
    documentation: 'https://docs.github.com/rest',
    expected: null,
  },
  {
    name: 'missing permission of a user',
    status: 403,
    fields: PLENTY,
    message: 'Must have push access to view repository collaborators.',
    documentation: 'https://docs.github.com/rest/collaborators/collaborators',
    expected: null,
  },
  {
    name: 'missing permission of an app',
    status: 403,
    fields: PLENTY,
    message: 'Resource not accessible by integration',
    documentation: 'https://docs.github.com/rest/issues/issues#create-an-issue',
    expected: null,
  },
  {
    name: 'missing permission of a token, by the last request of a window',
    status: 403,
    fields: [...SPENT, 'x-accepted-github-permissions', 'contents=read'],
    message: 'Resource not accessible by personal access token',
    documentation: 'https://docs.github.com/rest/repos/repos#get-a-repository',
    expected: null,
  },
  {
    name: 'nothing remaining, and words of a cache before the API',
    status: 403,
    fields: SPENT,
    message: '<html><body>rate limit exceeded</body></html>',
    documentation: '',
    expected: 'primary',
  },
  {
    name: 'SSO required',
    status: 403,
    fields: [...PLENTY, 'x-github-sso', 'required; url=https://github.com/orgs/acme/sso'],
    message: 'Resource protected by organization SAML enforcement.',
    documentation: '',
    expected: null,
  },
];

/** `errors` of GraphQL answers, which come with status 200. */
export const GRAPHQL_REFUSALS: readonly {
  readonly error: Readonly<Record<string, string>>;
  readonly expected: 'primary' | 'secondary' | null;
  readonly code?: string;
}[] = [
  {
    error: { type: 'RATE_LIMITED', message: 'API rate limit exceeded for installation ID 1.' },
    expected: 'primary',
    code: 'RATE_LIMITED',
  },
  {
    error: {
      type: 'RATE_LIMIT',
      code: 'graphql_rate_limit',
      message: 'API rate limit already exceeded for user ID 1.',
    },
    expected: 'primary',
    code: 'RATE_LIMIT',
  },
  {
    error: { code: 'graphql_rate_limit', message: 'API rate limit already exceeded' },
    expected: 'primary',
    code: 'graphql_rate_limit',
  },
  {
    error: { message: 'API rate limit already exceeded for installation ID 1.' },
    expected: 'primary',
    code: 'graphql_rate_limit',
  },
  { error: { message: SECONDARY }, expected: 'secondary', code: 'secondary rate limit' },
  {
    error: { type: 'NOT_FOUND', message: 'Could not resolve to a Repository.' },
    expected: null,
  },
];
