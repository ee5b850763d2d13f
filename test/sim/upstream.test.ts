import { describe, expect, it } from 'vitest';
import { GenericRules, onePool } from '../../src/sim/upstream/generic.ts';
import { GithubRules, UNCHANGED } from '../../src/sim/upstream/github.ts';
import { OpenaiRules } from '../../src/sim/upstream/openai.ts';
import { startOutsider } from '../../src/sim/upstream/outsiders.ts';
import { createQuota } from '../../src/sim/upstream/quota.ts';
import { Random } from '../../src/sim/random.ts';
import { named, request, world } from './upstream-kit.ts';

const pool = { name: 'p', identity: 'i', unit: 'requests', limit: 3, windowMs: 1000 } as const;

describe('quotas as origin servers enforce them', () => {
  it('opens a fixed window with the first call and closes it a window later', () => {
    const quota = createQuota({ ...pool, kind: 'fixed' });
    for (const at of [700, 800, 900]) quota.take(1, at, true);
    expect(quota.has(1, 1699)).toBe(false);
    expect(quota.waitFor(1, 1000)).toBe(700);
    expect(quota.has(1, 1700)).toBe(true);
    quota.take(1, 5000, false);
    expect(quota.resetIn(5100)).toBe(900);
    expect(quota.windows(9000)).toMatchObject([
      { from: 700, until: 1700, own: 3, outside: 0 },
      { from: 5000, until: 6000, own: 0, outside: 1 },
    ]);
  });

  it('refills a bucket evenly and never above its limit', () => {
    const quota = createQuota({ ...pool, kind: 'bucket' });
    quota.take(3, 0, true);
    expect(quota.waitFor(1, 0)).toBeCloseTo(333.33, 1);
    expect(quota.has(1, 333)).toBe(false);
    expect(quota.has(1, 334)).toBe(true);
    expect(quota.remaining(60_000)).toBe(3);
    expect(quota.waitFor(4, 60_000)).toBe(Infinity);
  });

  it('counts exactly what came in the last window', () => {
    const quota = createQuota({ ...pool, kind: 'rolling' });
    for (const at of [0, 500, 999]) quota.take(1, at, true);
    expect(quota.has(1, 999)).toBe(false);
    expect(quota.waitFor(2, 999)).toBe(501);
    expect(quota.has(1, 1000)).toBe(true);
    expect(quota.has(2, 1499)).toBe(false);
    expect(quota.has(2, 1500)).toBe(true);
  });

  it('lets so many in at once', () => {
    const quota = createQuota({ ...pool, kind: 'concurrent', windowMs: Infinity });
    quota.take(3, 0, true);
    expect(quota.has(1, 1e9)).toBe(false);
    quota.free(1);
    expect(quota.has(1, 1e9)).toBe(true);
  });
});

describe('the GitHub model', () => {
  it('refuses the call after the last one, and tells when to come back', () => {
    const { ask, kernel, origin } = world(new GithubRules({ core: 2 }));
    expect(ask()).toMatchObject({ status: 200, by: 'origin' });
    const last = ask();
    expect(named(last, 'x-ratelimit-remaining')).toBe('0');
    expect(named(last, 'x-ratelimit-resource')).toBe('core');
    const refused = ask();
    expect(refused.status).toBe(403);
    expect(refused.body).toContain('API rate limit exceeded');
    const reset = Number(named(refused, 'x-ratelimit-reset')) * 1000;
    // The first call was judged after 10 ms; whole seconds, floored.
    expect(reset).toBe(kernel.now().wall - kernel.elapsed + 3_600_000);
    expect(origin.calls.map(({ status, refused: no }) => [status, no])).toEqual([
      [200, false],
      [200, false],
      [403, true],
    ]);
    kernel.runUntil(3_600_010);
    expect(ask().status).toBe(200);
  });

  it('keeps an own window for each identity and each resource', () => {
    const { ask } = world(new GithubRules({ core: 1, search: 1 }));
    expect(ask().status).toBe(200);
    expect(ask(request({ path: '/search/issues?q=x' })).status).toBe(200);
    expect(ask(request({ identity: 'other' })).status).toBe(200);
    expect(ask().status).toBe(403);
  });

  it('answers what did not change for nothing', () => {
    const { ask } = world(new GithubRules({ core: 1 }));
    for (let i = 0; i < 3; i++) {
      const same = ask(request({}, ['if-none-match', UNCHANGED]));
      expect(same.status).toBe(304);
      expect(named(same, 'x-ratelimit-remaining')).toBe('1');
    }
  });

  it('refuses the hundred-and-first at once with plenty of primary quota left', () => {
    const { kernel, origin } = world(new GithubRules());
    const answers: number[] = [];
    let refusal: readonly string[] = [];
    for (let i = 0; i < 101; i++) {
      origin.send(request(), (response) => {
        answers.push(response.status);
        if (response.status === 403) refusal = response.fields;
      });
    }
    kernel.runUntil(1000);
    expect(answers.filter((status) => status === 403)).toHaveLength(1);
    expect(named({ status: 403, fields: refusal, body: '', by: 'origin' }, 'retry-after')).toBe(
      '60',
    );
    expect(refusal).toContain('4900');
    expect(origin.calls.at(-1)).toMatchObject({ refusedBy: 'secondary-concurrency', charged: {} });
  });

  it('counts writes fivefold against 900 points a minute, and content on its own', () => {
    const { ask, origin } = world(new GithubRules(), { service: () => 1, network: () => 1 });
    const write = request({ method: 'PATCH', path: '/repos/o/r/labels/x' });
    for (let i = 0; i < 180; i++) expect(ask(write).status).toBe(200);
    expect(ask(write).status).toBe(403);
    expect(origin.calls.at(-1)?.refusedBy).toBe('secondary-points');
    const other = world(new GithubRules(), { service: () => 1, network: () => 1 });
    const post = request({ method: 'POST', path: '/repos/o/r/issues' });
    for (let i = 0; i < 80; i++) expect(other.ask(post).status).toBe(201);
    expect(other.ask(post).body).toContain('content creation');
  });

  it('has limits that nobody documents', () => {
    const hidden = [{ name: 'writes', limit: 2, windowMs: 10_000, writes: true }];
    const { ask, kernel } = world(new GithubRules({ hidden }));
    const write = request({ method: 'POST', path: '/repos/o/r/git/blobs' });
    expect([ask(write), ask(write), ask(write)].map(({ status }) => status)).toEqual([
      201, 201, 403,
    ]);
    expect(ask().status).toBe(200);
    kernel.runUntil(10_200);
    expect(ask(write).status).toBe(201);
  });
});

describe('the OpenAI model', () => {
  const models = [
    {
      name: 'm',
      requests: { limit: 600, windowMs: 60_000 },
      tokens: { limit: 6000, windowMs: 60_000 },
      tokensPerS: 0,
    },
  ];
  const chat = (maxTokens: number, chars = 388) =>
    request({
      provider: 'openai',
      method: 'POST',
      path: '/v1/chat/completions',
      body: JSON.stringify({
        model: 'm',
        max_tokens: maxTokens,
        messages: [{ role: 'user', content: 'x'.repeat(chars) }],
      }),
      cost: { units: {}, inputTokens: 97, outputTokens: 10 },
    });

  it('charges prompt and max_tokens at admission and tells when the bucket is full', () => {
    const { ask } = world(new OpenaiRules({ models }), { service: () => 0, network: () => 0 });
    const first = ask(chat(900));
    expect(first.status).toBe(200);
    expect(named(first, 'x-ratelimit-remaining-tokens')).toBe('5000');
    expect(named(first, 'x-ratelimit-reset-tokens')).toBe('10s');
    expect(named(first, 'x-ratelimit-reset-requests')).toBe('100ms');
    expect(JSON.parse(first.body ?? '')).toMatchObject({
      usage: { prompt_tokens: 97, completion_tokens: 10 },
    });
  });

  it('refuses what does not fit, says how long, and for good what never fits', () => {
    const { ask, kernel } = world(new OpenaiRules({ models }), {
      service: () => 0,
      network: () => 0,
    });
    expect(ask(chat(5800)).status).toBe(200);
    const refused = ask(chat(900));
    expect(refused.status).toBe(429);
    expect(Number(named(refused, 'retry-after-ms'))).toBeGreaterThan(8900);
    expect(refused.body).toMatch(/on tokens per min \(TPM\): Limit 6000, Used \d+, Requested 1000/);
    kernel.runUntil(kernel.elapsed + Number(named(refused, 'retry-after-ms')));
    expect(ask(chat(900)).status).toBe(200);
    const large = ask(chat(7000));
    expect(large.body).toContain('Request too large');
    expect(named(large, 'retry-after')).toBeUndefined();
  });

  it('charges by its own estimate where it has another', () => {
    const { origin, ask } = world(new OpenaiRules({ models, charge: { factor: 2 } }));
    ask(chat(900));
    expect(origin.calls[0]?.charged).toEqual({ requests: 1, tokens: 2000 });
  });

  it('stops for good when the money is spent', () => {
    const { ask } = world(new OpenaiRules({ models, budgetTokens: 1500 }));
    expect(ask(chat(900)).status).toBe(200);
    const broke = ask(chat(900));
    expect(broke.status).toBe(429);
    expect(broke.body).toContain('insufficient_quota');
  });
});

describe('the generic model', () => {
  it('holds two windows at once and charges neither when one refuses', () => {
    const fixed = { kind: 'fixed', unit: 'requests' } as const;
    const rules = new GenericRules({
      pools: [
        { ...fixed, name: 'minute', limit: 2, windowMs: 60_000 },
        { ...fixed, name: 'hour', limit: 3, windowMs: 3_600_000 },
      ],
      dialect: 'ietf',
      retryAfter: true,
    });
    const { ask, kernel } = world(rules);
    const first = ask();
    expect(named(first, 'ratelimit-policy')).toBe(
      '"minute";q=2;qu="requests";w=60, "hour";q=3;qu="requests";w=3600',
    );
    expect(named(first, 'ratelimit')).toBe('"minute";r=1;t=60, "hour";r=2;t=3600');
    ask();
    const refused = ask();
    expect(refused.status).toBe(429);
    expect(named(refused, 'retry-after')).toBe('60');
    expect(named(refused, 'ratelimit')).toContain('"hour";r=1;');
    kernel.runUntil(60_020);
    expect([ask().status, ask().status]).toEqual([200, 429]);
  });

  it('frees a seat when the answer leaves', () => {
    const { origin, kernel } = world(new GenericRules(onePool('concurrent', 1, Infinity)));
    const seen: number[] = [];
    const send = (at: number) =>
      kernel.at(at, () => origin.send(request(), ({ status }) => seen.push(status)));
    for (const at of [0, 50, 101]) send(at);
    kernel.runUntil(1000);
    expect(seen.sort()).toEqual([200, 200, 429]);
  });
});

describe('an origin in trouble', () => {
  const storm = { from: 0, until: 1000, share: 1, charged: false } as const;

  it('answers 503 for so long, and charges nothing', () => {
    const rules = new GithubRules();
    const { ask, kernel, origin } = world(rules, {
      failures: [{ ...storm, kind: 'status', status: 503, retryAfterMs: 2000, remaining: null }],
    });
    const down = ask();
    expect(down.status).toBe(503);
    expect(named(down, 'retry-after')).toBe('2');
    expect(named(down, 'x-ratelimit-remaining')).toBeUndefined();
    expect(origin.calls[0]).toMatchObject({ refused: false, charged: {} });
    kernel.runUntil(1000);
    expect(ask().status).toBe(200);
  });

  it('breaks off, charged or not', () => {
    const { ask, origin } = world(new GithubRules(), {
      failures: [{ ...storm, kind: 'reset', charged: true }],
    });
    expect(ask()).toMatchObject({ status: 0, by: 'network' });
    expect(origin.calls[0]?.charged).toMatchObject({ core: 1 });
  });

  it('never calls back after a cancel, and charges all the same', () => {
    const { kernel, origin } = world(new GithubRules());
    let called = false;
    const cancel = origin.send(request(), () => (called = true));
    kernel.runUntil(50);
    cancel();
    kernel.runUntil(1000);
    expect(called).toBe(false);
    expect(origin.calls).toHaveLength(1);
  });
});

describe('outsiders', () => {
  it('take what they take, refusals included, and show in the fields of everybody', () => {
    const rules = new GithubRules({ core: 100 });
    const { ask, kernel, origin } = world(rules);
    const outsider = {
      identity: 'bot',
      pool: 'core',
      perSecond: 1,
      batch: 10,
      arrivals: 'poisson',
      from: 0,
      until: 1_000_000,
    } as const;
    startOutsider(outsider, origin, kernel, new Random(7));
    kernel.runUntil(60_000);
    const taken = origin.calls.filter((call) => call.request === null).length;
    expect(taken).toBeGreaterThan(20);
    expect(taken % 10).toBe(0);
    expect(named(ask(), 'x-ratelimit-used')).toBe(String(taken + 1));
    kernel.runUntil(1_000_000);
    const [window] = rules.windows(kernel.elapsed);
    expect(window).toMatchObject({ own: 1, outside: 99 });
  });
});
