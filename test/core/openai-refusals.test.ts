import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Refusal } from '../../src/core/provider.ts';
import { parseRetryAfter } from '../../providers/dialects/retry-after.ts';
import { REFUSALS } from '../../providers/openai/fixtures.ts';
import { createOpenai } from '../../providers/openai/index.ts';
import {
  DATE,
  QUARTER,
  chatClaim,
  quotas,
  request,
  response,
  tapped,
  throttles,
} from './openai-world.ts';

const provider = createOpenai();
const claim = chatClaim(provider);

function refused(status: number, error: unknown, fields: readonly string[] = []) {
  const text = typeof error === 'string' ? error : JSON.stringify({ error });
  return tapped(provider, response(status, fields), claim, [text])?.observations ?? [];
}

describe('what a refusal means', () => {
  test.each(REFUSALS)('$name', (fixture) => {
    const { status, type, code, message } = fixture;
    const [throttle, ...more] = throttles(refused(status, { message, type, param: null, code }));
    expect(more).toEqual([]);
    expect(throttle).toMatchObject({ class: fixture.class, scope: fixture.scope });
    expect(throttle?.spec?.name).toBe(fixture.pool);
    expect(throttle?.retryInMs).toBe(fixture.retryInMs);
    expect(throttle?.code).toMatch(/^[\w.-]+$/);
  });

  test('the message tells the figures where the fields do not', () => {
    const error = REFUSALS[0];
    const [quota] = quotas(refused(429, error));
    expect(quota).toEqual({
      kind: 'quota',
      spec: claim.draws[1]?.spec,
      limit: 200_000,
      used: 195_663,
      remaining: 4337,
      windowMs: 60_000,
    });
    expect(quotas(refused(429, error, ['x-ratelimit-limit-tokens', '200000']))).toEqual([]);
  });

  test('a limit above which no request can be is learned from the refusal of one', () => {
    const large = REFUSALS.find((one) => one.class === 'never' && one.scope === 'request');
    expect(quotas(refused(429, large))).toMatchObject([{ limit: 30_000 }]);
  });

  test('a daily quota beside the one of the fields is a pool of its own', () => {
    const error = {
      type: 'tokens',
      code: 'rate_limit_exceeded',
      message:
        'Rate limit reached on tokens per day (TPD): Limit 900000, Used 900000, Requested 9.',
    };
    const seen = refused(429, error, ['x-ratelimit-limit-tokens', '30000']);
    expect(throttles(seen)[0]?.spec?.name).toBe('tokens-per-day');
    expect(quotas(seen)).toMatchObject([{ limit: 900_000, remaining: 0, windowMs: 86_400_000 }]);
  });

  test('the longest wait asked for is kept; of the fields the finer outranks the other', () => {
    const error = {
      code: 'rate_limit_exceeded',
      type: 'tokens',
      message: 'Please try again in 579ms.',
    };
    const wait = (...fields: string[]): number | undefined =>
      throttles(refused(429, error, fields))[0]?.retryInMs;
    expect(wait()).toBe(579);
    expect(wait('retry-after', '1')).toBe(1000);
    expect(wait('retry-after', '1', 'retry-after-ms', '640')).toBe(640);
    expect(wait('Retry-After', new Date(DATE + 9000).toUTCString())).toBe(9000);
    expect(wait('retry-after', '1', 'retry-after-ms', 'x')).toBe(1000);
    expect(wait('retry-after-ms', '100')).toBe(579);
  });

  test.each(['', '<html>429</html>', '{"error":', '[]', '{"error":"x"}', 'null'])(
    'a body like `%s` leaves the fields to say it',
    (body) => {
      const empty = ['x-ratelimit-remaining-requests', '0', 'retry-after', '3'];
      expect(throttles(refused(429, body, empty))).toMatchObject([
        { class: 'primary', scope: 'pool', spec: claim.draws[0]?.spec, retryInMs: 3000 },
      ]);
      expect(throttles(refused(429, body))).toMatchObject([{ class: 'secondary' }]);
    },
  );

  test('errors that are no refusals are left alone', () => {
    expect(provider.responseTap(response(500), claim)).toBeNull();
    expect(provider.responseTap(response(400), claim)).toBeNull();
  });

  test('an unreadable Retry-After is counted', () => {
    expect(refused(429, {}, ['retry-after', 'soon'])).toContainEqual({
      kind: 'malformed',
      field: 'retry-after',
    });
    expect(parseRetryAfter('Wed, 21 Oct 2015 07:28:00 GMT', null)).toBeNaN();
    expect(parseRetryAfter('1e99', 0)).toBeNaN();
    expect(parseRetryAfter('99999999999', 0)).toBeNaN();
    expect(parseRetryAfter('1.5', 0)).toBe(1500);
  });

  test('any body is survived', () => {
    const error = fc.record(
      {
        message: fc.oneof(
          fc.string(),
          fc.constant('on tokens per day: Limit 9,9 Used ,, again in 1.'),
        ),
        type: fc.oneof(fc.jsonValue(), fc.constantFrom('tokens', 'requests')),
        code: fc.oneof(fc.jsonValue(), fc.constant('rate_limit_exceeded')),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(error, fc.string()), fc.constantFrom(429, 503), (value, status) => {
        expect(throttles(refused(status, value))).toHaveLength(1);
      }),
    );
  });
});

describe('refusing', () => {
  const base: Refusal = {
    id: 'rl_1',
    code: 'RL_QUOTA',
    reason: 'requests of gpt-4o ran out',
    pool: {
      id: 'openai/org/requests/model:gpt-4o',
      name: 'requests',
      unit: 'requests',
      limit: 500,
      used: 500,
      remaining: 0,
      resetAt: DATE,
    },
    retryInMs: 20_400,
    retryAt: DATE + 20_400,
    providerDown: false,
    claim,
    now: DATE,
  };
  const asked = (lang: string, userAgent: string): typeof claim =>
    provider.classify(
      request('/v1/chat/completions', {
        fields: ['User-Agent', userAgent, ...(lang === '' ? [] : ['X-Stainless-Lang', lang])],
      }),
      '{"model":"gpt-4o"}',
      QUARTER,
    );
  const fieldsOf = (refusal: Refusal): Record<string, string> => {
    const { fields } = provider.problem(refusal);
    return Object.fromEntries(
      fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1] ?? '']] : [])),
    );
  };

  test('in the shape that the SDKs raise as their own error', () => {
    const problem = provider.problem(base);
    expect(problem.status).toBe(429);
    expect(fieldsOf(base)).toEqual({
      'content-type': 'application/json',
      'retry-after': '21',
      'retry-after-ms': '20400',
    });
    expect(JSON.parse(problem.body)).toEqual({
      error: {
        message: expect.stringMatching(/gpt-4o.*Please try again in 20\.4s\.$/) as string,
        type: 'requests',
        param: null,
        code: 'rate_limit_exceeded',
      },
      ratelord: {
        id: 'rl_1',
        code: 'RL_QUOTA',
        reason: base.reason,
        pool: 'openai/org/requests/model:gpt-4o',
        retry_at: '2026-09-20T00:00:20.400Z',
      },
    });
  });

  test('never: nothing to wait for, and no retry', () => {
    const fields = fieldsOf({ ...base, retryInMs: null, retryAt: null });
    expect(fields['x-should-retry']).toBe('false');
    expect(fields).not.toHaveProperty('retry-after');
    expect(fields).not.toHaveProperty('retry-after-ms');
  });

  test.each([
    ['python', 'OpenAI/Python 3.3.1', 100, false],
    ['python', 'OpenAI/Python 3.3.1', 121, true],
    ['', 'AsyncOpenAI/Python 3.3.1', 100, false],
    ['js', 'OpenAI/JS 7.5.0', 60, false],
    ['js', 'OpenAI/JS 7.5.0', 61, true],
    ['', 'curl/8', 61, true],
  ])('%s %s: a wait of %d s is too long: %s', (lang, userAgent, seconds, tooLong) => {
    const fields = fieldsOf({ ...base, retryInMs: seconds * 1000, claim: asked(lang, userAgent) });
    expect(fields['retry-after']).toBe(String(seconds));
    expect(fields['x-should-retry']).toBe(tooLong ? 'false' : undefined);
  });

  test('a provider that is down is a 503', () => {
    const problem = provider.problem({ ...base, providerDown: true });
    expect(problem.status).toBe(503);
    expect(JSON.parse(problem.body)).toMatchObject({ error: { code: 'server_is_overloaded' } });
  });

  test('a wait of nothing is still a second in whole seconds', () => {
    expect(fieldsOf({ ...base, retryInMs: 0 })).toMatchObject({
      'retry-after': '1',
      'retry-after-ms': '1',
    });
  });
});
