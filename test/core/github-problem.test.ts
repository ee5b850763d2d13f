import { Octokit } from 'octokit';
import { describe, expect, it } from 'vitest';
import { field } from '../../src/core/head.ts';
import type { ProblemResponse, Refusal } from '../../src/core/provider.ts';
import { Github, head } from './github-kit.ts';

const github = new Github();
const NOW = 1_700_000_000_250;
const core = {
  id: 'github:1:core',
  name: 'core',
  unit: 'requests',
  limit: 5000,
  used: 5003,
  remaining: 0,
  resetAt: NOW + 9000,
};

function refuse(change: Partial<Refusal> = {}, path = '/repos/a/b', method = 'GET') {
  return github.provider.problem({
    id: 'rl_7',
    code: 'RL_QUOTA',
    reason: 'pool `core` is used up',
    retryInMs: 1500,
    retryAt: NOW + 1500,
    providerDown: false,
    pool: core,
    claim: github.claim(head(method, path)),
    now: NOW,
    ...change,
  });
}

function quotaFields(problem: ProblemResponse): Record<string, string | undefined> {
  const names = ['limit', 'remaining', 'used', 'reset', 'resource'];
  return Object.fromEntries(names.map((n) => [n, field(problem.fields, `x-ratelimit-${n}`)]));
}

describe('a refusal', () => {
  it('looks like GitHub’s own', () => {
    const problem = refuse();
    expect(problem.status).toBe(403);
    expect(quotaFields(problem)).toEqual({
      limit: '5000',
      remaining: '0',
      used: '5003',
      reset: '1700000002',
      resource: 'core',
    });
    const body: unknown = JSON.parse(problem.body);
    expect(body).toMatchObject({
      message: expect.stringMatching(/^API rate limit exceeded/) as unknown,
      documentation_url: expect.stringMatching(/^https:\/\/docs\.github\.com\//) as unknown,
    });
    expect(body).not.toHaveProperty('errors');
  });

  it('names a bucket that clients know, whatever pool refused', () => {
    const own = { ...core, name: 'crawlers' };
    expect(quotaFields(refuse({ pool: own }, '/search/code'))['resource']).toBe('code_search');
    const { pool: _pool, ...byRule } = { pool: core };
    const refusal = github.provider.problem({
      ...byRule,
      id: 'rl_7',
      code: 'RL_RULE',
      reason: 'writes wait at night',
      retryInMs: 1500,
      retryAt: NOW + 1500,
      providerDown: false,
      claim: github.claim(head('GET', '/rate_limit')),
      now: NOW,
    });
    expect(quotaFields(refusal)).toMatchObject({ limit: '0', used: '0', resource: 'core' });
  });

  it('that waiting cannot clear gives clients nothing to wait for', () => {
    const problem = refuse({ retryInMs: null, retryAt: null });
    expect(problem.status).toBe(403);
    expect(Object.values(quotaFields(problem)).every((value) => value === undefined)).toBe(true);
    expect(problem.body).not.toMatch(/rate limit exceeded/i);
  });

  it('while everything is down names a time even when none is known', () => {
    const problem = refuse({ providerDown: true, retryInMs: null, retryAt: null });
    expect(problem.status).toBe(503);
    expect(field(problem.fields, 'retry-after')).toBe('60');
  });

  it('of a query carries errors as well', () => {
    const body: unknown = JSON.parse(refuse({}, '/graphql', 'POST').body);
    expect(body).toMatchObject({ errors: [{ type: 'RATE_LIMITED' }] });
    const never = refuse({ retryInMs: null, retryAt: null }, '/graphql', 'POST');
    expect(JSON.parse(never.body)).toMatchObject({ errors: [{ type: 'FORBIDDEN' }] });
  });
});

describe('octokit', () => {
  /** What its throttling plugin makes of a problem; it is told not to come back. */
  async function meet(problem: ProblemResponse, query: boolean) {
    const told: [string, number][] = [];
    let requests = 0;
    const note = (kind: string) => (retryAfter: number) => {
      told.push([kind, retryAfter]);
      return false;
    };
    const octokit = new Octokit({
      auth: 't',
      throttle: { onRateLimit: note('primary'), onSecondaryRateLimit: note('secondary') },
      request: {
        fetch: () => {
          requests += 1;
          const { status, fields, body } = problem;
          const headers: [string, string][] = [];
          for (let i = 0; i < fields.length; i += 2) {
            headers.push([fields[i] as string, fields[i + 1] as string]);
          }
          return Promise.resolve(new Response(body, { status, headers }));
        },
      },
    });
    const call = query ? octokit.graphql('{ viewer { login } }') : octokit.request('GET /user');
    const error: unknown = await call.then(
      () => null,
      (reason: unknown) => reason,
    );
    return { told, requests, error };
  }

  it.each([
    ['REST', false],
    ['GraphQL', true],
  ])('takes a refused %s request for a primary limit and reads its reset', async (_name, query) => {
    const pool = { pool: core, retryInMs: 30_000, now: Date.now(), retryAt: Date.now() + 30_000 };
    const problem = query ? refuse(pool, '/graphql', 'POST') : refuse(pool);
    const { told, requests, error } = await meet(problem, query);
    expect(told.map(([kind]) => kind)).toEqual(['primary']);
    expect(told[0]?.[1]).toBeGreaterThan(25);
    expect(requests).toBe(1);
    expect(error).toMatchObject({
      status: 403,
      message: expect.stringMatching(/^API rate limit exceeded/) as unknown,
    });
  });

  it('does not come back where waiting is no use', async () => {
    const { told, requests, error } = await meet(refuse({ retryInMs: null, retryAt: null }), false);
    expect(told).toEqual([]);
    expect(requests).toBe(1);
    expect(error).toMatchObject({ status: 403 });
  });
});
