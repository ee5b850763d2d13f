import { describe, expect, test } from 'vitest';
import { Random } from '../../src/sim/random.ts';
import { makeTrace, smallDay, type SyntheticSpec } from '../../src/sim/synthetic.ts';
import {
  perSecondCounts,
  perSecondSums,
  readServegen,
  readTrace,
  type TraceArrival,
} from '../../src/sim/traces.ts';

const read = (text: string): readonly TraceArrival[] => readTrace(text, new Random(1));

describe('readers', () => {
  test('Azure, with Windows line ends', () => {
    const text =
      'TIMESTAMP,ContextTokens,GeneratedTokens\r\n' +
      '2023-11-16 23:59:59.5000000,374,44\r\n' +
      '2023-11-17 00:00:01.2500000,396,109\r\n' +
      '2023-11-17 00:00:02,7,1\r\n';
    expect(read(text)).toEqual([
      { atMs: 0, inputTokens: 374, outputTokens: 44 },
      { atMs: 1750, inputTokens: 396, outputTokens: 109 },
      { atMs: 2500, inputTokens: 7, outputTokens: 1 },
    ]);
  });

  test('Azure of 2024, which says that its times are UTC', () => {
    const text =
      'TIMESTAMP,ContextTokens,GeneratedTokens\n' +
      '2024-05-10 00:00:00.009930+00:00,2162,5\n' +
      '2024-05-10 00:00:00+00:00,2399,6\n';
    expect(
      read(text).map(({ atMs, inputTokens }) => [Math.round(atMs * 1000), inputTokens]),
    ).toEqual([
      [0, 2399],
      [9930, 2162],
    ]);
    expect(() => read(text.replace('+00:00', '+02:00'))).toThrow('line 2');
  });

  test('Mooncake, put in order', () => {
    const text = 'timestamp_ms,input_tokens,output_tokens\n3000,5,6\n1000,1,2\n';
    expect(read(text)).toEqual([
      { atMs: 0, inputTokens: 1, outputTokens: 2 },
      { atMs: 2000, inputTokens: 5, outputTokens: 6 },
    ]);
  });

  test('a malformed line is named', () => {
    expect(() => read('timestamp_ms,input_tokens,output_tokens\n1,2,3\n1,2\n')).toThrow('line 3');
    expect(() => read('TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,2\n')).toThrow(
      'line 2',
    );
    expect(() => read('a,b,c\n1,2,3\n')).toThrow('line 1: no known form');
    expect(() => readServegen('0,1.5,2,Cauchy,1,1\n')).toThrow('line 1');
  });

  test('ServeGen: a bin has its rate whatever its family says, an empty one nothing', () => {
    const text =
      '0,5,1.1,Gamma,0.8264,0.242\n600,0,,,,\n1200,8,5,Weibull,0.405,0.00001\n1800,2,0.5,Gamma,4,0.125\n';
    const arrivals = read(text);
    const inBin = (bin: number): number[] =>
      arrivals.filter(({ atMs }) => Math.floor(atMs / 600_000) === bin).map(({ atMs }) => atMs);
    expect(inBin(0).length / 600).toBeCloseTo(5, 0);
    expect(inBin(1)).toEqual([]);
    expect(inBin(2).length / 600).toBeGreaterThan(6);
    expect(inBin(2).length / 600).toBeLessThan(10);
    expect(inBin(3).length / 600).toBeCloseTo(2, 0);
    // Coefficients of variation of the gaps: 1/√shape for Gammas; a Weibull of 0.4 has about 3.
    expect(variation(inBin(0))).toBeCloseTo(1.1, 0);
    expect(variation(inBin(2))).toBeGreaterThan(2);
    expect(variation(inBin(3))).toBeCloseTo(0.5, 1);
    expect(read(text)).toEqual(arrivals);
  });
});

function variation(times: readonly number[]): number {
  const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
  const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
  return Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length) / mean;
}

test('counts and sums by the second', () => {
  const arrivals = [0, 999, 1000, 3500].map((atMs) => ({ atMs, inputTokens: 10, outputTokens: 1 }));
  expect(perSecondCounts(arrivals)).toEqual([2, 1, 0, 1]);
  expect(perSecondSums(arrivals, (one) => one.inputTokens + one.outputTokens)).toEqual([
    22, 11, 0, 11,
  ]);
  expect(perSecondCounts([])).toEqual([]);
});

describe('made traces', () => {
  const LENGTH = 7_200_000;
  const made = (spec: SyntheticSpec): readonly TraceArrival[] =>
    makeTrace(spec, LENGTH, new Random(4));

  test('Hawkes: mean and dispersion are those that its parameters say', () => {
    const spec = { kind: 'hawkes', perSecond: 2, branching: 0.6, decayMs: 500 } as const;
    const counts = sumsOf(made(spec), 60);
    const mean = counts.reduce((a, b) => a + b, 0) / counts.length;
    expect(mean / 60).toBeGreaterThan(4.7);
    expect(mean / 60).toBeLessThan(5.3);
    const dispersion = counts.reduce((sum, n) => sum + (n - mean) ** 2, 0) / counts.length / mean;
    // 1 / (1 − 0.6)² = 6.25
    expect(dispersion).toBeGreaterThan(4);
    expect(dispersion).toBeLessThan(9);
    expect(() => made({ ...spec, branching: 1 })).toThrow('branching');
  });

  test('regimes change when they should', () => {
    const counts = perSecondCounts(
      made({
        kind: 'regimes',
        regimes: [
          { fromMs: 0, perSecond: 2 },
          { fromMs: 3_600_000, perSecond: 10 },
        ],
      }),
    );
    const rate = (part: readonly number[]): number => part.reduce((a, b) => a + b, 0) / part.length;
    expect(rate(counts.slice(0, 3600))).toBeCloseTo(2, 0);
    expect(rate(counts.slice(3600))).toBeCloseTo(10, 0);
  });

  test('other sizes leave the times alone', () => {
    const spec = { kind: 'poisson', perSecond: 1 } as const;
    const small = makeTrace(spec, LENGTH, new Random(4), { input: 1, output: 2 });
    expect(small.map(({ atMs }) => atMs)).toEqual(made(spec).map(({ atMs }) => atMs));
    expect(small[0]).toMatchObject({ inputTokens: 1, outputTokens: 2 });
  });

  test('the small day is small, and a day', () => {
    const counts = sumsOf(smallDay(new Random(1)), 300);
    expect(counts.reduce((a, b) => a + b, 0)).toBeLessThan(3000);
    expect(Math.max(...counts)).toBeGreaterThan(2 * Math.min(...counts));
  });
});

function sumsOf(arrivals: readonly TraceArrival[], seconds: number): number[] {
  const counts = perSecondCounts(arrivals);
  const sums: number[] = [];
  for (let i = 0; i + seconds <= counts.length; i += seconds) {
    sums.push(counts.slice(i, i + seconds).reduce((a, b) => a + b, 0));
  }
  return sums;
}
