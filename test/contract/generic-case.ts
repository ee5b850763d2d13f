import { createGeneric } from '../../providers/generic/index.ts';
import { answer, requestTo } from './provider-cases.ts';
import type { ProviderCase } from './provider-cases.ts';

const API = 'api.example.test';
const read = requestTo(API, 'GET', '/v1/items?page=2', ['X-Api-Key', 's3cr3t-c4n4ry']);

export const GENERIC: ProviderCase = {
  name: 'generic',
  make: () => createGeneric({ id: 'example', hosts: [API], origin: `https://${API}` }),
  requests: [
    { head: read },
    { head: requestTo(API, 'POST', '/v1/items', ['Authorization', 'Bearer s3cr3t-c4n4ry']) },
  ],
  exchanges: [
    {
      name: 'a counted read',
      head: read,
      response: answer(200, [
        ...['X-RateLimit-Limit', '100', 'X-RateLimit-Remaining', '42'],
        ...['X-RateLimit-Reset', '1658205459'],
      ]),
      tells: { pool: 'requests', limit: 100, remaining: 42 },
      throttled: null,
    },
    {
      name: 'the fields of the draft',
      head: read,
      response: answer(200, [
        ...['RateLimit-Policy', '"default";q=100;w=60', 'RateLimit', '"default";r=50;t=30'],
      ]),
      throttled: null,
    },
    {
      name: 'a refusal',
      head: read,
      response: answer(429, ['Retry-After', '7']),
    },
  ],
  figureFields: ['X-RateLimit-Limit', 'x-ratelimit-remaining', 'ratelimit-limit'],
};
