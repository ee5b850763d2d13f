import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseGoDuration, formatGoDuration } from '../../providers/dialects/go-duration.ts';
import { TUPLES } from '../../providers/openai/fixtures.ts';
import { createOpenai } from '../../providers/openai/index.ts';
import { explains, hiddenWindow } from '../../providers/openai/window.ts';
import { chatClaim, quotas, request, response, QUARTER } from './openai-world.ts';

describe('durations', () => {
  test.each([
    ['0s', 0],
    ['2ms', 2],
    ['8.64s', 8640],
    ['6m0s', 360_000],
    ['1m13.588s', 73_588],
    ['20m52.666s', 1_252_666],
    ['1h2m3s', 3_723_000],
    ['1h', 3_600_000],
    ['6m', 360_000],
    ['350µs', 0.35],
    ['350μs', 0.35],
    ['350us', 0.35],
    ['17.399999999s', 17_399.999999],
  ])('%s', (text, ms) => expect(parseGoDuration(text)).toBeCloseTo(ms, 6));

  test.each(['', 's', '5', '-1s', '1.2.3s', '1m ', 'ms', '.s', '1d', '9999999h', '1s'.repeat(30)])(
    '`%s` is none',
    (text) => expect(parseGoDuration(text)).toBeNaN(),
  );

  test('what is printed reads back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 86_400_000 }), (ms) => {
        expect(parseGoDuration(formatGoDuration(ms))).toBeCloseTo(ms, 3);
      }),
    );
  });
});

describe('the hidden window', () => {
  test.each(TUPLES)('%s %d/%d %s', (_family, limit, remaining, reset, windowS) => {
    const ms = parseGoDuration(reset);
    expect(hiddenWindow(limit, remaining, ms)).toBe(windowS === null ? undefined : windowS * 1000);
    const missing = limit - remaining;
    if (missing > 0) {
      const each = [60_000, 86_400_000].filter((one) => explains(one, limit, missing, ms));
      expect(each).toContain((windowS ?? 60) * 1000);
    }
  });

  test.each([
    [500, 499, 130],
    [10_000, 9999, 100],
    [200_000, 100_000, 60_000],
    [0, 0, 60_000],
  ])('%d/%d with %d ms fit neither and imply nothing', (limit, remaining, reset) => {
    expect(hiddenWindow(limit, remaining, reset)).toBeUndefined();
  });

  test('a bucket of either length is recognised at any fill, and never taken for the other', () => {
    const filled = fc.record({
      window: fc.constantFrom(60_000, 86_400_000),
      limit: fc.integer({ min: 3, max: 200_000_000 }),
      used: fc.double({ min: 0, max: 1, noNaN: true }),
      late: fc.double({ min: 0, max: 0.9, noNaN: true }),
    });
    fc.assert(
      fc.property(filled, ({ window, limit, used, late }) => {
        // A charge is at least one unit, and a little of it may have refilled.
        const missing = Math.max(1, used * limit) - late;
        const remaining = Math.floor(limit - missing);
        const reset = Math.floor((missing / limit) * window);
        const found = hiddenWindow(limit, remaining, reset);
        if (reset >= 1) expect(found).toBe(window);
        else expect(found).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });
});

describe('observe', () => {
  const provider = createOpenai();
  const claim = chatClaim(provider);

  test('families become bucket pools of the model, a day told from a minute', () => {
    const seen = provider.observe(
      response(200, [
        ...['X-RateLimit-Limit-Requests', '10000', 'x-ratelimit-limit-tokens', '200000'],
        ...['x-ratelimit-remaining-requests', '9999', 'x-ratelimit-remaining-tokens', '199772'],
        ...['x-ratelimit-reset-requests', '8.64s', 'x-ratelimit-reset-tokens', '68ms'],
        ...['x-ratelimit-limit-project-tokens', '1000000'],
        ...['x-ratelimit-remaining-project-tokens', '999831'],
        ...['x-ratelimit-reset-project-tokens', '10ms', 'x-request-id', 'req_1'],
      ]),
      claim,
    );
    const told = quotas(seen).map(({ spec, kind: _kind, ...rest }) => [
      `${spec.name} ${spec.partition} ${spec.unit} ${spec.kind}`,
      rest,
    ]);
    expect(told).toEqual([
      [
        'requests model:gpt-4o requests bucket',
        { limit: 10_000, remaining: 9999, resetIn: 8640, windowMs: 86_400_000 },
      ],
      [
        'tokens model:gpt-4o tokens bucket',
        { limit: 200_000, remaining: 199_772, resetIn: 68, windowMs: 60_000 },
      ],
      [
        'project-tokens model:gpt-4o tokens bucket',
        { limit: 1_000_000, remaining: 999_831, resetIn: 10, windowMs: 60_000 },
      ],
    ]);
  });

  test('the pools told are the very ones drawn on, and a family once seen is drawn on too', () => {
    const fresh = createOpenai();
    const first = chatClaim(fresh);
    expect(first.draws.map((draw) => draw.spec.name)).toEqual(['requests', 'tokens']);
    const seen = quotas(
      fresh.observe(
        response(200, [
          ...['x-ratelimit-limit-requests', '500', 'x-ratelimit-limit-project-tokens', '9'],
        ]),
        first,
      ),
    );
    expect(seen[0]?.spec).toBe(first.draws[0]?.spec);
    const next = chatClaim(fresh);
    expect(next.draws.map(({ spec, ifKnown }) => [spec.name, ifKnown === true])).toEqual([
      ['requests', false],
      ['tokens', false],
      ['project-tokens', true],
    ]);
    expect(next.draws[2]?.spec).toBe(seen[1]?.spec);
    // Another model has its own.
    expect(chatClaim(fresh, { model: 'gpt-5' }).draws).toHaveLength(2);
  });

  test('nothing is implied by a full bucket', () => {
    const fields = [
      'x-ratelimit-limit-tokens',
      '2000000',
      'x-ratelimit-remaining-tokens',
      '2000000',
    ];
    const [quota] = quotas(
      provider.observe(response(200, [...fields, 'x-ratelimit-reset-tokens', '0s']), claim),
    );
    expect(quota).toMatchObject({ limit: 2_000_000, remaining: 2_000_000, resetIn: 0 });
    expect(quota?.windowMs).toBeUndefined();
  });

  test('more than the limit cannot remain', () => {
    const fields = ['x-ratelimit-limit-tokens', '5', 'x-ratelimit-remaining-tokens', '9'];
    expect(quotas(provider.observe(response(200, fields), claim))).toMatchObject([
      { limit: 5, remaining: 5 },
    ]);
  });

  test('who is charged', () => {
    const both = ['openai-organization', 'org-abc', 'OpenAI-Project', 'proj_1'];
    expect(provider.observe(response(200, both), claim)).toEqual([
      { kind: 'account', account: 'org-abc/proj_1' },
    ]);
    expect(provider.observe(response(200, both.slice(0, 2)), claim)).toEqual([
      { kind: 'account', account: 'org-abc' },
    ]);
    expect(provider.observe(response(200, ['openai-organization', 'a b']), claim)).toEqual([
      { kind: 'malformed', field: 'openai-organization' },
    ]);
  });

  test.each([
    ['x-ratelimit-limit-requests', '-1'],
    ['x-ratelimit-remaining-tokens', 'unlimited'],
    ['x-ratelimit-reset-tokens', '5'],
    ['x-ratelimit-remaining-requests', '1e3'],
    ['x-ratelimit-limit-tokens', ''],
    ['x-ratelimit-limit-tokens', '99999999999999999999'],
  ])('%s: `%s` is counted as malformed and ignored', (name, value) => {
    expect(provider.observe(response(200, [name, value]), claim)).toEqual([
      { kind: 'malformed', field: name },
    ]);
  });

  test('an answer reported with its head alone says by itself that it was refused', () => {
    const head = request('/v1/chat/completions', { way: 'passive', method: 'GET' });
    const reported = provider.classify(head, '{"model":"gpt-4o"}', QUARTER);
    const refused = response(429, ['x-ratelimit-remaining-tokens', '0', 'retry-after', '7']);
    expect(provider.responseTap(refused, reported)).toBeNull();
    expect(provider.observe(refused, reported)).toContainEqual({
      kind: 'throttled',
      class: 'primary',
      scope: 'pool',
      spec: claim.draws[1]?.spec,
      retryInMs: 7000,
      code: 'http_429',
    });
  });

  test('garbage is never thrown on and yields only finite figures', () => {
    const name = fc.oneof(
      fc
        .constantFrom('limit', 'remaining', 'reset')
        .chain((part) =>
          fc.constantFrom('requests', 'tokens', 'x', '').map((x) => `x-ratelimit-${part}-${x}`),
        ),
      fc.string(),
      fc.constantFrom('openai-organization', 'openai-project', 'retry-after'),
    );
    const value = fc.oneof(fc.string(), fc.integer().map(String), fc.constantFrom('1ms', '9m9s'));
    const fields = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((all) => all.flat());
    fc.assert(
      fc.property(fields, fc.constantFrom(200, 429, 503), (all, status) => {
        for (const one of provider.observe(response(status, all), claim)) {
          if (one.kind !== 'quota') continue;
          for (const figure of [one.limit, one.remaining, one.resetIn, one.windowMs]) {
            if (figure !== undefined) expect(figure).toBeGreaterThanOrEqual(0);
            if (figure !== undefined) expect(Number.isFinite(figure)).toBe(true);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});
