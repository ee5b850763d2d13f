import { createGithub } from '../../providers/github/index.ts';
import { answer, requestTo } from './provider-cases.ts';
import type { ProviderCase } from './provider-cases.ts';

const AUTH = ['Authorization', 'Bearer s3cr3t-c4n4ry'];
const API = 'api.github.com';
const QUERY = JSON.stringify({
  query: 'query { viewer { repositories(first: 50) { totalCount } } rateLimit { cost remaining } }',
});
const read = requestTo(API, 'GET', '/repos/acme/widgets/issues?page=2', AUTH);
const graphql = requestTo(API, 'POST', '/graphql', AUTH);

function core(used: number): string[] {
  return [
    ...['X-RateLimit-Limit', '5000', 'X-RateLimit-Remaining', String(5000 - used)],
    ...['X-RateLimit-Used', String(used), 'X-RateLimit-Reset', '1658208999'],
    ...['X-RateLimit-Resource', 'core'],
  ];
}

export const GITHUB: ProviderCase = {
  name: 'github',
  make: () => createGithub({ hosts: ['ghe.acme.test'] }),
  requests: [
    { head: read },
    { head: requestTo(API, 'POST', '/repos/acme/widgets/issues', AUTH) },
    { head: graphql, body: QUERY },
    { head: graphql },
    { head: requestTo('ghe.acme.test', 'GET', '/api/v3/user', AUTH) },
    { head: requestTo('uploads.github.com', 'POST', '/repos/a/b/releases/1/assets?name=x', AUTH) },
  ],
  exchanges: [
    {
      name: 'a counted read',
      head: read,
      response: answer(200, core(3)),
      tells: { pool: 'core', limit: 5000, remaining: 4997 },
      throttled: null,
    },
    {
      name: 'a primary refusal',
      head: read,
      response: answer(403, core(5000)),
      content: '{"message":"API rate limit exceeded for user ID 1."}',
      tells: { pool: 'core', limit: 5000, remaining: 0 },
      throttled: 'primary',
    },
    {
      name: 'a missing permission',
      head: read,
      response: answer(403, core(4)),
      content: '{"message":"Must have push access"}',
      throttled: null,
    },
    {
      name: 'a GraphQL refusal inside a 200',
      head: graphql,
      body: QUERY,
      response: answer(200, []),
      content:
        '{"data":null,"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}',
      throttled: 'primary',
    },
  ],
  figureFields: [
    'X-RateLimit-Limit',
    'x-ratelimit-remaining',
    'x-ratelimit-used',
    'x-ratelimit-reset',
  ],
};
