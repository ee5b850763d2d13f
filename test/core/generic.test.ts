import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createGeneric } from '../../providers/generic/index.ts';
import { DATE, DIALECTS } from '../../providers/generic/fixtures.ts';
import { readReset } from '../../providers/generic/resets.ts';
import { createProviders } from '../../providers/index.ts';
import type { Claim } from '../../src/core/claim.ts';
import type { RequestHead, ResponseHead } from '../../src/core/head.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { Provider, Refusal } from '../../src/core/provider.ts';

const ESTIMATES = { tokensPerByte: () => 0.25 };

function make(): Provider {
  return createGeneric({ id: 'acme', hosts: ['api.acme.test'], origin: 'https://api.acme.test' });
}

function request(path = '/', fields: readonly string[] = []): RequestHead {
  return {
    method: 'GET',
    scheme: 'https',
    host: 'api.acme.test',
    port: 443,
    path,
    fields,
    contentLength: 0,
    way: 'intercept',
    upgrade: false,
  };
}

function response(
  status: number,
  fields: readonly string[],
  date: number | null = DATE,
): ResponseHead {
  return { status, fields, date };
}

function claimOf(provider: Provider, path = '/'): Claim {
  return provider.classify(request(path), undefined, ESTIMATES);
}

/** Figures by pool, in the order told. */
function told(observations: readonly Observation[]): object[] {
  return observations.flatMap((one) => {
    if (one.kind !== 'quota') return [];
    const { kind: _kind, spec, ...figures } = one;
    return [{ pool: spec.name, ...figures }];
  });
}

describe('dialects', () => {
  test.each(DIALECTS)('$vendor', ({ fields, told: expected }) => {
    const provider = make();
    // The second answer is that of a provider whose quotas are known by now.
    provider.observe(response(200, fields), claimOf(provider, '/a'));
    const seen = provider.observe(response(200, fields), claimOf(provider, '/a'));
    expect(seen.filter((one) => one.kind !== 'quota')).toEqual([]);
    expect(told(seen)).toEqual(expected);
  });

  test('case and blanks do not matter', () => {
    const seen = make().observe(
      response(200, ['X-RATELIMIT-LIMIT', ' 10 ', 'x-RateLimit-Remaining', '\t9']),
      claimOf(make()),
    );
    expect(told(seen)).toEqual([{ pool: 'requests', limit: 10, remaining: 9 }]);
  });

  test('what a cache kept is not news', () => {
    const fields = ['Age', '30', 'RateLimit', '"a";r=1;t=1', 'X-RateLimit-Remaining', '1'];
    const provider = make();
    expect(provider.observe(response(200, fields), claimOf(provider))).toEqual([]);
    expect(
      provider.observe(response(200, ['age', '0', ...fields.slice(2)]), claimOf(provider)),
    ).not.toEqual([]);
  });

  test.each([
    ['RateLimit', 'x', 'ratelimit'],
    ['RateLimit', '"a";r=-1;t=1', 'ratelimit'],
    ['RateLimit', '', 'ratelimit'],
    ['RateLimit-Policy', '"a";w=60', 'ratelimit-policy'],
    ['RateLimit-Policy', '"a";q="many"', 'ratelimit-policy'],
    ['X-RateLimit-Limit', 'unlimited', 'x-ratelimit-limit'],
    ['X-RateLimit-Remaining', '-1', 'x-ratelimit-remaining'],
    ['X-Rate-Limit-Reset', 'tomorrow', 'x-ratelimit-reset'],
    ['X-RateLimit-Reset', '99999999999999999', 'x-ratelimit-reset'],
    ['RateLimit-Limit-Minute', '1x', 'ratelimit-limit-minute'],
  ])('%s: `%s` is counted as malformed', (name, value, field) => {
    const provider = make();
    expect(provider.observe(response(200, [name, value]), claimOf(provider))).toEqual([
      { kind: 'malformed', field },
    ]);
  });

  test('one fault does not spoil the rest', () => {
    const fields = ['RateLimit', '"a";r=1;t=x, "b";r=2;t=3', 'X-RateLimit-Limit', '-'];
    const provider = make();
    const seen = provider.observe(response(200, fields), claimOf(provider));
    expect(told(seen)).toContainEqual({ pool: 'b', remaining: 2, resetIn: 3000 });
    expect(seen).toContainEqual({ kind: 'malformed', field: 'x-ratelimit-limit' });
  });
});

describe('reset', () => {
  const of = (value: string, date: number | null): object | null => {
    const reset = { at: undefined, in: undefined };
    return readReset(value, date, reset) ? reset : null;
  };
  test.each([
    [String(DATE / 1000), DATE, { at: DATE }],
    [String(DATE), DATE, { at: DATE }],
    [`${DATE / 1000 + 1}.5`, DATE, { at: DATE + 1500 }],
    ['3600', DATE, { in: 3_600_000 }],
    ['0', DATE, { in: 0 }],
    ['0.25', DATE, { in: 250 }],
    ['1m30s', DATE, { in: 90_000 }],
    ['2026-09-20T00:01:00.5Z', DATE, { at: DATE + 60_500 }],
    ['Sun, 20 Sep 2026 00:01:00 GMT', DATE, { at: DATE + 60_000 }],
    [String(DATE / 1000), null, { at: DATE }],
    [String(DATE), null, { at: DATE }],
    ['59', null, { in: 59_000 }],
    // An epoch that is decades off is no point in time; as seconds from now it is absurd too.
    ['1000000000', DATE, null],
    ['2036-09-20T00:00:00Z', DATE, null],
    ['soon', DATE, null],
    ['-5', DATE, null],
    ['', DATE, null],
  ])('%s', (value, date, expected) => {
    const filled = expected === null ? null : { at: undefined, in: undefined, ...expected };
    expect(of(value, date)).toEqual(filled);
  });
});

describe('which pools a request draws on', () => {
  const draws = (provider: Provider, path: string): [string, number, boolean][] =>
    claimOf(provider, path).draws.map(({ spec, units, ifKnown }) => [
      spec.name,
      units,
      ifKnown === true,
    ]);

  test('before the first answer one request, of the pool that the unnamed fields then tell', () => {
    const provider = make();
    const claim = claimOf(provider, '/x');
    expect(claim.draws).toMatchObject([{ units: 1, sure: true, spec: { name: 'requests' } }]);
    expect(claim.draws[0]?.spec).not.toHaveProperty('limit');
    const seen = provider.observe(response(200, ['x-ratelimit-limit', '5']), claim);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toHaveProperty('spec', claim.draws[0]?.spec);
    expect(claimOf(provider, '/y').draws[0]?.spec).toBe(claim.draws[0]?.spec);
  });

  test('named quotas are drawn on once seen, those of each route apart', () => {
    const provider = make();
    const api = ['RateLimit', '"api";r=9;t=1'];
    provider.observe(response(200, api), claimOf(provider, '/api/models'));
    expect(draws(provider, '/api/models/1')).toEqual([['api', 1, false]]);
    expect(draws(provider, '/docs')).toEqual([['api', 1, false]]);
    const both = ['RateLimit', '"pages";r=9;t=1, "burst";r=2;t=1'];
    provider.observe(response(200, both), claimOf(provider, '/docs?page=1'));
    expect(draws(provider, '/docs/2')).toEqual([
      ['pages', 1, false],
      ['burst', 1, true],
    ]);
    expect(draws(provider, '/api/x')).toEqual([['api', 1, false]]);
  });

  test('those who wait on the first answer are judged by the tightest quota it named', () => {
    const provider = make();
    const cold = claimOf(provider);
    const fields = ['RateLimit', '"day";r=900;t=1, "burst";r=3;t=2'];
    const seen = provider.observe(response(200, fields), cold);
    expect(told(seen)).toEqual([
      { pool: 'day', remaining: 900, resetIn: 1000 },
      { pool: 'burst', remaining: 3, resetIn: 2000 },
      { pool: 'requests', remaining: 3, resetIn: 2000 },
    ]);
    expect(told(provider.observe(response(200, fields), claimOf(provider)))).toHaveLength(2);
  });

  test('an origin that invents names does not fill the memory', () => {
    const provider = make();
    for (let i = 0; i < 1000; i++) {
      const fields = ['RateLimit', `"n${i}";r=1;t=1`, `x-ratelimit-limit-f${i}`, '1'];
      provider.observe(response(200, fields), claimOf(provider, `/${i}`));
    }
    const names = new Set<string>();
    for (let i = 999; i > 800; i--) for (const [name] of draws(provider, `/${i}`)) names.add(name);
    expect(names.size).toBeLessThanOrEqual(64);
  });

  test('units are what the policy says', () => {
    const provider = make();
    const fields = [
      ...['RateLimit-Policy', '"b";q=9;qu="content-bytes", "c";q=2;qu="concurrent-requests"'],
      ...['RateLimit', '"b";r=9, "c";r=2'],
    ];
    const specs = provider
      .observe(response(200, fields), claimOf(provider))
      .flatMap((one) => (one.kind === 'quota' ? [`${one.spec.unit} ${one.spec.kind}`] : []));
    expect(specs).toEqual(expect.arrayContaining(['bytes fixed', 'requests concurrent']));
  });
});

describe('refusals', () => {
  const throttle = (status: number, fields: readonly string[]): object[] => {
    const provider = make();
    return provider
      .observe(response(status, fields), claimOf(provider))
      .filter((one) => one.kind === 'throttled');
  };

  test('429 with an empty quota is that pool’s, without one the identity’s', () => {
    expect(
      throttle(429, ['x-ratelimit-remaining', '0', 'x-ratelimit-reset', '9', 'Retry-After', '12']),
    ).toMatchObject([
      { class: 'primary', scope: 'pool', spec: { name: 'requests' }, retryInMs: 12_000 },
    ]);
    expect(throttle(429, ['retry-after', '3'])).toEqual([
      {
        kind: 'throttled',
        class: 'secondary',
        scope: 'identity',
        retryInMs: 3000,
        code: 'http_429',
      },
    ]);
    expect(throttle(429, [])).toMatchObject([{ class: 'secondary' }]);
  });

  test('Retry-After as a date is read by the response’s own', () => {
    const later = new Date(DATE + 40_000).toUTCString();
    expect(throttle(429, ['Retry-After', later])).toMatchObject([{ retryInMs: 40_000 }]);
    expect(throttle(503, ['Retry-After', later])).toMatchObject([
      { class: 'overloaded', retryInMs: 40_000 },
    ]);
  });

  test('Retry-After means something on refusals and faults alone', () => {
    expect(throttle(200, ['retry-after', '53'])).toEqual([]);
    expect(throttle(301, ['retry-after', '53'])).toEqual([]);
    expect(throttle(500, [])).toEqual([]);
    expect(throttle(503, [])).toMatchObject([{ class: 'overloaded' }]);
    expect(throttle(500, ['retry-after', '5'])).toMatchObject([{ retryInMs: 5000 }]);
  });

  test('refusing: plain JSON with a message', () => {
    const provider = make();
    const refusal: Refusal = {
      id: 'rl_9',
      code: 'RL_QUOTA',
      reason: 'requests ran out',
      rule: 'mine',
      retryInMs: 1500,
      retryAt: DATE + 1500,
      providerDown: false,
      claim: claimOf(provider),
      now: DATE,
    };
    const problem = provider.problem(refusal);
    expect(problem.status).toBe(429);
    expect(problem.fields).toEqual([
      ...['content-type', 'application/json', 'retry-after', '2', 'retry-after-ms', '1500'],
    ]);
    expect(JSON.parse(problem.body)).toEqual({
      message: expect.stringContaining('requests ran out') as string,
      ratelord: {
        id: 'rl_9',
        code: 'RL_QUOTA',
        reason: 'requests ran out',
        rule: 'mine',
        retry_at: '2026-09-20T00:00:01.500Z',
      },
    });
    const never = provider.problem({ ...refusal, retryInMs: null, retryAt: null });
    expect(never.fields).toEqual(['content-type', 'application/json', 'x-should-retry', 'false']);
    expect(provider.problem({ ...refusal, providerDown: true }).status).toBe(503);
  });
});

test('credentials are found where APIs take them', () => {
  const provider = make();
  const of = (path: string, ...fields: string[]) => provider.credential(request(path, fields));
  expect(of('/', 'Authorization', 'Bearer x')).toMatchObject({ name: 'authorization' });
  expect(of('/', 'X-Api-Key', 'x')).toMatchObject({ name: 'x-api-key', scheme: 'none' });
  expect(of('/?a=1&key=x')).toEqual({ in: 'query', name: 'key' });
  expect(of('/?monkey=x')).toBeNull();
});

test('garbage is never thrown on and yields only finite figures', () => {
  const provider = make();
  const name = fc.oneof(
    fc.constantFrom('RateLimit', 'RateLimit-Policy', 'Retry-After', 'Age', 'X-RateLimit-Reset'),
    fc.constantFrom('x-ratelimit-limit', 'ratelimit-remaining', 'x-rate-limit-used-minute'),
    fc.string().map((tail) => `x-ratelimit-${tail}`),
    fc.string(),
  );
  const item = fc.constantFrom(
    '"',
    'a',
    ';',
    ',',
    '=',
    'r',
    'q',
    't',
    'w',
    '9',
    '-',
    '.',
    ' ',
    '(',
    ':',
  );
  const value = fc.oneof(
    fc.string(),
    fc.string({ unit: item }),
    fc.double().map(String),
    fc.bigInt().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  );
  const fields = fc.array(fc.tuple(name, value), { maxLength: 10 }).map((all) => all.flat());
  const date = fc.option(fc.integer({ min: 0, max: 4e12 }));
  fc.assert(
    fc.property(fields, date, fc.constantFrom(200, 429, 500, 503), (all, at, status) => {
      const seen = provider.observe(response(status, all, at), claimOf(provider, '/x'));
      for (const one of seen) {
        if (one.kind === 'throttled' && one.retryInMs !== undefined) {
          expect(one.retryInMs).toBeGreaterThanOrEqual(0);
        }
        if (one.kind !== 'quota') continue;
        const { limit, remaining, used, resetAt, resetIn, windowMs } = one;
        for (const figure of [limit, remaining, used, resetAt, resetIn, windowMs]) {
          if (figure !== undefined) expect(figure).toBeGreaterThanOrEqual(0);
          if (figure !== undefined) expect(Number.isFinite(figure)).toBe(true);
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test('the list of providers is explicit', () => {
  const ids = (options?: Parameters<typeof createProviders>[0]) =>
    createProviders(options).map((one) => one.id);
  expect(ids()).toEqual(['github', 'openai']);
  expect(
    ids({ github: false, generic: [{ id: 'hf', hosts: ['huggingface.co'], origin: 'https://x' }] }),
  ).toEqual(['openai', 'hf']);
  const [openai] = createProviders({ github: false, openai: { hosts: ['llm.acme.test'] } });
  expect(openai?.hosts).toContain('llm.acme.test');
});
