/** What the heads of refusals tell by themselves, for those whose content will not be read. */
import { describe, expect, it } from 'vitest';
import { createProviders } from '../../providers/index.ts';
import type { RequestHead, ResponseHead } from '../../src/core/head.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { Provider } from '../../src/core/provider.ts';

const providers = createProviders({ github: {}, openai: {}, generic: [] });

function provider(id: string): Provider {
  const found = providers.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no provider ${id}`);
  return found;
}

function told(id: string, status: number, fields: readonly string[]): Observation[] {
  const one = provider(id);
  const request: RequestHead = {
    method: id === 'github' ? 'GET' : 'POST',
    scheme: 'https',
    host: id === 'github' ? 'api.github.com' : 'api.openai.com',
    port: 443,
    path: id === 'github' ? '/user' : '/v1/chat/completions',
    fields: ['Authorization', 'Bearer x'],
    contentLength: 0,
    way: 'forward',
    upgrade: false,
  };
  const claim = one.classify(request, '{"model":"gpt-4o"}', {
    tokensPerByte: () => 0.25,
  });
  const head: ResponseHead = { status, fields, date: 1_700_000_000_000 };
  return one.refusal?.(head, claim) ?? [];
}

const USED_UP = [
  ...['X-RateLimit-Limit', '5000', 'X-RateLimit-Remaining', '0', 'X-RateLimit-Used', '5000'],
  ...['X-RateLimit-Reset', '1700000030', 'X-RateLimit-Resource', 'core'],
];

describe('GitHub', () => {
  it('a quota that is used up is the primary limit', () => {
    expect(told('github', 403, USED_UP)).toMatchObject([{ class: 'primary', scope: 'pool' }]);
    expect(told('github', 429, USED_UP)).toMatchObject([{ class: 'primary', scope: 'pool' }]);
  });

  it('a time to come back is a secondary one', () => {
    const fields = ['Retry-After', '7', 'X-RateLimit-Remaining', '4000'];
    expect(told('github', 403, fields)).toMatchObject([{ class: 'secondary', retryInMs: 7000 }]);
  });

  it('a 403 without either may be about permissions', () => {
    expect(told('github', 403, [])).toEqual([]);
    expect(told('github', 403, ['X-RateLimit-Remaining', '17'])).toEqual([]);
    expect(told('github', 404, USED_UP)).toEqual([]);
  });
});

describe('OpenAI', () => {
  it('says how long', () => {
    const fields = ['retry-after-ms', '50', 'x-ratelimit-remaining-requests', '0'];
    expect(told('openai', 429, fields)).toMatchObject([{ kind: 'throttled', retryInMs: 50 }]);
    expect(told('openai', 503, ['Retry-After', '2'])).toMatchObject([{ class: 'overloaded' }]);
  });

  it('without a time it may be the money, which only the content tells', () => {
    expect(told('openai', 429, [])).toEqual([]);
    expect(told('openai', 200, ['retry-after-ms', '50'])).toEqual([]);
  });
});
