/** Refusals: whatever the shape, the same promises about status, waiting and the `ratelord` member. */
import { expect, it } from 'vitest';
import { field } from '../../src/core/head.ts';
import type { Provider, ProblemResponse, Refusal } from '../../src/core/provider.ts';
import { DATE } from './provider-cases.ts';
import type { ProviderCase } from './provider-cases.ts';
import { checkProblem } from './valid.ts';

function refusals(of: ProviderCase, provider: Provider, change: Partial<Refusal>): Refusal[] {
  return of.requests.map((request) => ({
    id: 'rl_1',
    code: 'RL_QUOTA',
    reason: 'pool `core` is used up',
    retryInMs: 1500,
    retryAt: DATE + 1500,
    providerDown: false,
    claim: provider.classify(request.head, request.body, { tokensPerByte: () => 0.25 }),
    now: DATE,
    ...change,
  }));
}

function member(problem: ProblemResponse): unknown {
  const body = JSON.parse(problem.body) as { readonly ratelord?: unknown };
  return body.ratelord;
}

export function problemCases(of: ProviderCase): void {
  it('refuses with the time to come back', () => {
    const provider = of.make();
    const pool = {
      id: 'github:core',
      name: 'core',
      unit: 'requests',
      limit: 5000,
      used: 5000,
      remaining: 0,
      resetAt: DATE + 1500,
    };
    for (const refusal of refusals(of, provider, { pool, rule: 'night' })) {
      const problem = provider.problem(refusal);
      checkProblem(problem);
      expect([403, 429]).toContain(problem.status);
      expect(field(problem.fields, 'retry-after')).toBe('2');
      expect(field(problem.fields, 'retry-after-ms')).toBe('1500');
      expect(field(problem.fields, 'content-type')).toMatch(/json/);
      expect(member(problem)).toEqual({
        id: 'rl_1',
        code: 'RL_QUOTA',
        reason: 'pool `core` is used up',
        rule: 'night',
        pool: 'github:core',
        retry_at: '2022-07-19T04:36:40.500Z',
      });
    }
  });

  it('asks for at least a whole second', () => {
    const provider = of.make();
    for (const refusal of refusals(of, provider, { retryInMs: 0.2, retryAt: DATE })) {
      const { fields } = provider.problem(refusal);
      expect(field(fields, 'retry-after')).toBe('1');
      expect(Number(field(fields, 'retry-after-ms'))).toBeGreaterThan(0);
    }
  });

  it('says that waiting is no use when it is none', () => {
    const provider = of.make();
    const never = { retryInMs: null, retryAt: null, code: 'RL_TOO_LARGE' };
    for (const refusal of refusals(of, provider, never)) {
      const problem = provider.problem(refusal);
      checkProblem(problem);
      expect([403, 429]).toContain(problem.status);
      expect(field(problem.fields, 'x-should-retry')).toBe('false');
      expect(field(problem.fields, 'retry-after')).toBeUndefined();
      expect(field(problem.fields, 'retry-after-ms')).toBeUndefined();
      expect(member(problem)).not.toHaveProperty('retry_at');
    }
  });

  it('answers 503 while the provider is down', () => {
    const provider = of.make();
    const down = { providerDown: true, code: 'RL_PROVIDER_DOWN', retryInMs: 30_000 };
    for (const refusal of refusals(of, provider, down)) {
      const problem = provider.problem(refusal);
      checkProblem(problem);
      expect(problem.status).toBe(503);
      expect(field(problem.fields, 'retry-after')).toBe('30');
    }
  });

  it('lets no text of a refusal into a field', () => {
    const provider = of.make();
    const text = 'late\r\nx-injected: 1 \u2028 é';
    const pool = {
      id: text,
      name: text,
      unit: 'requests',
      limit: null,
      used: null,
      remaining: null,
      resetAt: null,
    };
    for (const refusal of refusals(of, provider, { reason: text, rule: text, pool })) {
      const problem = provider.problem(refusal);
      checkProblem(problem);
      expect(member(problem)).toMatchObject({ reason: text, rule: text, pool: text });
    }
  });
}
