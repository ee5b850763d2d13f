import { describe, expect, test } from 'vitest';
import { createGithub } from '../../providers/github/index.ts';
import { createOpenai } from '../../providers/openai/index.ts';
import type { Provider } from '../../src/core/provider.ts';
import { arrivalsOf, twoClasses, type ArrivalSpec } from '../../src/sim/arrivals.ts';
import { draw, gamma, largest, weibull, type Distribution } from '../../src/sim/arrivals-draws.ts';
import { workOf, type Asked, type WorkSpec } from '../../src/sim/arrivals-work.ts';
import { Random } from '../../src/sim/random.ts';

type Open = Exclude<ArrivalSpec, { kind: 'greedy' }>;

function times(spec: Open, untilMs: number, seed = 1, fromMs = 0): number[] {
  const next = arrivalsOf(spec, new Random(seed), fromMs, untilMs);
  const found: number[] = [];
  for (let one = next(); one !== null; one = next()) found.push(one.atMs);
  return found;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function varianceOverMean(at: readonly number[], binMs: number, untilMs: number): number {
  const counts = new Array<number>(Math.floor(untilMs / binMs)).fill(0);
  for (const one of at)
    counts[Math.floor(one / binMs)] = (counts[Math.floor(one / binMs)] ?? 0) + 1;
  const middle = mean(counts);
  return mean(counts.map((n) => (n - middle) ** 2)) / middle;
}

const HOUR = 3_600_000;

describe('processes', () => {
  const all: readonly Open[] = [
    { kind: 'poisson', perSecond: 2 },
    { kind: 'periodic', everyMs: 500, jitterMs: 400 },
    { kind: 'bursty', perSecond: 10, onMs: 2000, offMs: 8000 },
    { kind: 'batches', gapMs: { kind: 'exponential', mean: 5000 }, size: 10, withinMs: 6000 },
    { kind: 'front-loaded', jobs: 100, withinMs: 5000 },
    { kind: 'daily', perSecond: 2, swing: 0.8, dayMs: HOUR, noiseCv: 0.5 },
    { kind: 'trace', arrivals: [{ atMs: 0 }, { atMs: 10 }, { atMs: 10 }] },
  ];

  test.each(all)('$kind: in order, within bounds, the same for the same seed', (spec) => {
    const found = times(spec, HOUR + 1000, 3, 1000);
    expect(found.length).toBeGreaterThan(2);
    expect(found).toEqual([...found].sort((a, b) => a - b));
    expect(found[0]).toBeGreaterThanOrEqual(1000);
    expect(found[found.length - 1]).toBeLessThan(HOUR + 1000);
    expect(times(spec, HOUR + 1000, 3, 1000)).toEqual(found);
  });

  test('rates are what was asked for', () => {
    expect(times({ kind: 'poisson', perSecond: 2 }, HOUR).length / 3600).toBeCloseTo(2, 0);
    expect(
      times({ kind: 'periodic', everyMs: 500, offsetMs: 250, jitterMs: 100 }, HOUR),
    ).toHaveLength(7200);
    // On a fifth of the time.
    const bursty = times({ kind: 'bursty', perSecond: 10, onMs: 2000, offMs: 8000 }, 10 * HOUR);
    expect(bursty.length / 36_000).toBeCloseTo(2, 0);
    const batches = times({ kind: 'batches', gapMs: 60_000, size: 7 }, HOUR);
    expect(batches).toHaveLength(59 * 7);
    expect(new Set(batches).size).toBe(59);
  });

  test('bursts are over-dispersed, Poisson is not', () => {
    expect(
      varianceOverMean(times({ kind: 'poisson', perSecond: 2 }, HOUR), 10_000, HOUR),
    ).toBeLessThan(1.5);
    const bursty: Open = { kind: 'bursty', perSecond: 10, onMs: 2000, offMs: 8000 };
    expect(varianceOverMean(times(bursty, HOUR), 10_000, HOUR)).toBeGreaterThan(10);
  });

  test('a day has its peak where it should be, its mean, and noise', () => {
    const day: Open = { kind: 'daily', perSecond: 5, swing: 0.8, dayMs: HOUR, peakAtMs: HOUR / 4 };
    const found = times(day, HOUR);
    expect(found.length / 3600).toBeCloseTo(5, 0);
    const near = (at: number): number => found.filter((t) => Math.abs(t - at) < HOUR / 20).length;
    // (1 + 0.8) / (1 − 0.8), a little less for the width.
    expect(near(HOUR / 4) / near((3 * HOUR) / 4)).toBeGreaterThan(5);
    const noisy: Open = { ...day, swing: 0, noiseCv: 0.5, blockMs: 60_000 };
    // 1 + mean · cv²: 300 a minute.
    expect(varianceOverMean(times(noisy, 20 * HOUR), 60_000, 20 * HOUR)).toBeGreaterThan(40);
  });

  test('two classes share the rate', () => {
    const { high, background } = twoClasses(10, 0.3, HOUR);
    expect(times(high, HOUR).length / 3600).toBeGreaterThan(2);
    expect(times(high, HOUR).length / 3600).toBeLessThan(4);
    expect(times(background, HOUR).length / 3600).toBeCloseTo(7, 0);
  });

  test('a trace is played faster, and thinned', () => {
    const arrivals = Array.from({ length: 1000 }, (_, i) => ({ atMs: i * 10, inputTokens: i }));
    expect(times({ kind: 'trace', arrivals, speed: 2 }, HOUR, 1, 100).slice(0, 3)).toEqual([
      100, 105, 110,
    ]);
    const some = times({ kind: 'trace', arrivals, share: 0.3 }, HOUR);
    expect(some.length).toBeGreaterThan(250);
    expect(some.length).toBeLessThan(350);
  });
});

describe('distributions', () => {
  const draws = (from: Distribution, n = 20_000): number[] => {
    const random = new Random(5);
    return Array.from({ length: n }, () => draw(from, random));
  };

  test('means', () => {
    expect(draws(7, 2)).toEqual([7, 7]);
    expect(mean(draws({ kind: 'uniform', low: 2, high: 4 }))).toBeCloseTo(3, 1);
    expect(mean(draws({ kind: 'exponential', mean: 3 })) / 3).toBeCloseTo(1, 1);
    const lognormal = draws({ kind: 'lognormal', median: 100, sigma: 0.5 });
    expect(mean(lognormal) / (100 * Math.exp(0.125))).toBeCloseTo(1, 1);
    expect(new Set(draws({ kind: 'empirical', values: [1, 5] }))).toEqual(new Set([1, 5]));
  });

  test('a Pareto tail falls by its exponent and ends where it is cut', () => {
    const from: Distribution = { kind: 'pareto', minimum: 10, alpha: 1.5, maximum: 1000 };
    const found = draws(from);
    expect(Math.min(...found)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...found)).toBe(largest(from));
    const above = found.filter((x) => x > 40).length / found.length;
    expect(above).toBeCloseTo(4 ** -1.5, 1);
  });

  test('gamma and Weibull have their moments', () => {
    const random = new Random(6);
    for (const shape of [0.3, 0.8, 2.5]) {
      const found = Array.from({ length: 40_000 }, () => gamma(random, shape, 2));
      expect(mean(found) / (shape * 2)).toBeCloseTo(1, 1);
      const middle = mean(found);
      expect(mean(found.map((x) => (x - middle) ** 2)) / (shape * 4)).toBeCloseTo(1, 0);
    }
    // Γ(1 + 1/0.5) = 2.
    const found = Array.from({ length: 100_000 }, () => weibull(random, 0.5, 3));
    expect(mean(found) / 6).toBeCloseTo(1, 1);
  });
});

describe('work is what the adapters read', () => {
  function drawsOf(provider: Provider, host: string, asked: Asked): Record<string, number> {
    const claim = provider.classify(
      {
        method: asked.method,
        scheme: 'https',
        host,
        port: 443,
        path: asked.path,
        fields: ['authorization', 'Bearer k', 'content-type', 'application/json'],
        contentLength: asked.body?.length ?? 0,
        way: 'gateway',
        upgrade: false,
      },
      asked.body,
      { tokensPerByte: () => 0, outputTokens: () => null } as never,
    );
    return Object.fromEntries(claim.draws.map(({ spec, units }) => [spec.name, units]));
  }

  const github: readonly WorkSpec[] = [
    { kind: 'github-rest' },
    { kind: 'github-rest', writeShare: 1 },
    { kind: 'github-rest', contentShare: 1 },
    { kind: 'github-rest', searchShare: 1 },
    { kind: 'github-graphql', points: 1 },
    { kind: 'github-graphql', points: 2 },
    { kind: 'github-graphql', points: 57 },
    { kind: 'github-graphql', points: 1, mutationShare: 1 },
  ];

  test.each(github)('GitHub: %o', (spec) => {
    const asked = workOf(spec, { atMs: 0 }, new Random(1));
    const { 'secondary-concurrency': places, ...drawn } = drawsOf(
      createGithub(),
      'api.github.com',
      asked,
    );
    expect(places).toBe(1);
    expect(drawn).toEqual(asked.cost.units);
  });

  test('shares of kinds', () => {
    const random = new Random(2);
    const spec: WorkSpec = {
      kind: 'github-rest',
      writeShare: 0.2,
      contentShare: 0.1,
      searchShare: 0.3,
    };
    const methods = Array.from({ length: 5000 }, () => workOf(spec, { atMs: 0 }, random));
    const share = (of: (asked: Asked) => boolean): number => methods.filter(of).length / 5000;
    expect(share(({ method }) => method === 'PUT')).toBeCloseTo(0.2, 1);
    expect(share(({ method }) => method === 'POST')).toBeCloseTo(0.1, 1);
    expect(share(({ path }) => path.startsWith('/search'))).toBeCloseTo(0.3, 1);
  });

  test('OpenAI: prompt and cap are in the body, the real output in the cost', () => {
    const spec: WorkSpec = {
      kind: 'openai-chat',
      model: 'gpt-5-mini',
      inputTokens: 12_000,
      outputTokens: 300,
      maxTokens: 500,
      serviceMs: 200,
      msPerOutputToken: 10,
    };
    const asked = workOf(spec, { atMs: 0 }, new Random(1));
    expect(asked.cost).toEqual({
      units: { requests: 1, tokens: 12_300 },
      inputTokens: 12_000,
      outputTokens: 300,
      serviceMs: 3200,
    });
    // A quarter of the characters, a small constant, and the cap.
    const drawn = drawsOf(createOpenai(), 'api.openai.com', asked);
    expect(drawn['requests']).toBe(1);
    expect(Math.abs((drawn['tokens'] ?? 0) - 12_500)).toBeLessThan(20);
    expect(JSON.parse(asked.body ?? '')).toMatchObject({ model: 'gpt-5-mini', max_tokens: 500 });
  });

  test('OpenAI: an arrival brings its sizes, output stays under the cap', () => {
    const spec: WorkSpec = {
      kind: 'openai-chat',
      model: 'm',
      inputTokens: 1,
      outputTokens: 1,
      maxTokens: 100,
    };
    const arrival = { atMs: 0, inputTokens: 50, outputTokens: 400 };
    const { cost } = workOf(spec, arrival, new Random(1));
    expect(cost).toMatchObject({ inputTokens: 50, outputTokens: 100 });
    const { body, cost: free } = workOf({ ...spec, maxTokens: null }, arrival, new Random(1));
    expect(body).not.toContain('max_tokens');
    expect(free.outputTokens).toBe(400);
  });

  test('generic: units by pool', () => {
    const spec: WorkSpec = {
      kind: 'generic',
      units: { calls: 1, credits: { kind: 'uniform', low: 5, high: 9 } },
    };
    const { cost } = workOf(spec, { atMs: 0 }, new Random(1));
    expect(cost.units['calls']).toBe(1);
    expect(cost.units['credits']).toBeGreaterThanOrEqual(5);
  });
});
