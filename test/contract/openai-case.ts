import { createOpenai } from '../../providers/openai/index.ts';
import { answer, requestTo } from './provider-cases.ts';
import type { ProviderCase } from './provider-cases.ts';

const AUTH = ['Authorization', 'Bearer s3cr3t-c4n4ry', 'Content-Type', 'application/json'];
const API = 'api.openai.com';
const CHAT = JSON.stringify({
  model: 'gpt-4o',
  messages: [{ role: 'user', content: 'Say hello.' }],
  max_tokens: 32,
});
const chat = requestTo(API, 'POST', '/v1/chat/completions', AUTH);
const FIGURES = [
  ...['x-ratelimit-limit-requests', '500', 'x-ratelimit-remaining-requests', '499'],
  ...['x-ratelimit-reset-requests', '120ms', 'x-ratelimit-limit-tokens', '30000'],
  ...['x-ratelimit-remaining-tokens', '29960', 'x-ratelimit-reset-tokens', '80ms'],
];

export const OPENAI: ProviderCase = {
  name: 'openai',
  make: () => createOpenai({}),
  requests: [
    { head: chat, body: CHAT },
    { head: chat },
    { head: requestTo(API, 'POST', '/v1/responses', AUTH), body: '{"model":"gpt-5","input":"hi"}' },
    { head: requestTo(API, 'GET', '/v1/models', AUTH) },
  ],
  exchanges: [
    {
      name: 'a completion',
      head: chat,
      body: CHAT,
      response: answer(200, FIGURES),
      content: '{"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}',
      tells: { pool: 'requests', limit: 500, remaining: 499 },
      throttled: null,
    },
    {
      name: 'a refusal that clears',
      head: chat,
      body: CHAT,
      response: answer(429, [...FIGURES, 'retry-after', '2']),
      content:
        '{"error":{"message":"Rate limit reached for gpt-4o on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms.","type":"requests","param":null,"code":"rate_limit_exceeded"}}',
      throttled: 'primary',
    },
    {
      name: 'a refusal that waiting cannot clear',
      head: chat,
      body: CHAT,
      response: answer(429, []),
      content:
        '{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}',
      throttled: 'never',
    },
  ],
  figureFields: ['x-ratelimit-limit-requests', 'x-ratelimit-remaining-requests'],
};
