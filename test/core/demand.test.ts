import { describe, expect, it } from 'vitest';
import {
  chanceOf,
  FROM_HISTORY,
  NOTHING,
  quantile,
  together,
} from '../../src/core/governor/demand.ts';
import type { Prospect } from '../../src/core/governor/demand.ts';
import { Offered } from '../../src/core/quota/offered.ts';
import { HOUR, MINUTE } from '../../src/core/units.ts';
import { Random } from '../../src/sim/random.ts';

const START = 1_700_006_400_000;

/** Negative binomial by brute force: Poisson of a gamma distributed mean, in lumps. */
function drawn(of: Prospect, random: Random): number {
  const lumps = of.mean / of.lump;
  const shape = (lumps * lumps) / Math.max(1e-9, of.variance / of.lump ** 2 - lumps);
  let rate = gamma(random, shape) * (lumps / shape);
  let count = 0;
  for (rate -= random.exponential(1); rate > 0; rate -= random.exponential(1)) count += 1;
  return count * of.lump;
}

/** Marsaglia and Tsang. */
function gamma(random: Random, shape: number): number {
  if (shape < 1) return gamma(random, shape + 1) * random.next() ** (1 / shape);
  const d = shape - 1 / 3;
  for (;;) {
    const x = random.normal();
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(1 - random.next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
      return d * v;
    }
  }
}

describe('a prospect', () => {
  it.each([
    { mean: 0.4, variance: 0.9, lump: 1 },
    { mean: 5, variance: 12, lump: 1 },
    { mean: 30, variance: 300, lump: 3 },
    { mean: 400, variance: 4000, lump: 1 },
    { mean: 9000, variance: 6e6, lump: 100 },
  ])('has the quantiles of what is drawn from it: %o', (of) => {
    const random = new Random(of.mean);
    const sample = Array.from({ length: 6_000 }, () => drawn(of, random)).sort((a, b) => a - b);
    for (const p of [0.3, 0.67, 0.9, 0.99]) {
      const found = quantile(of, p);
      const below = sample.filter((units) => units <= found).length / sample.length;
      const strictly = sample.filter((units) => units < found - of.lump).length / sample.length;
      expect(below).toBeGreaterThan(p - 0.03);
      expect(strictly).toBeLessThan(p + 0.03);
    }
    for (const units of [of.mean * 0.5, of.mean, of.mean * 2]) {
      const seen = sample.filter((one) => one >= units).length / sample.length;
      expect(Math.abs(chanceOf(of, units) - seen)).toBeLessThan(0.035);
    }
  });

  it('of nothing asks for nothing, and adds nothing', () => {
    const some = { mean: 3, variance: 4, lump: 1 };
    expect(quantile(NOTHING, 0.99)).toBe(0);
    expect(chanceOf(NOTHING, 1)).toBe(0);
    expect(together(NOTHING, some)).toEqual(some);
    expect(together(some, { mean: 1, variance: 2, lump: 5 })).toEqual({
      mean: 4,
      variance: 6,
      lump: 2,
    });
  });
});

describe('what was offered', () => {
  /** So many an hour, at random, for some hours. */
  function asked(perHour: number, hours: number, size = 1): Offered {
    const offered = new Offered(HOUR, START);
    const random = new Random('asked');
    const end = START + hours * HOUR;
    for (let at = START; at < end; at += random.exponential(HOUR / perHour)) {
      offered.add(0, size, Math.floor(at));
    }
    return offered;
  }

  it.each([HOUR, 20 * MINUTE, MINUTE])('goes on at its rate over %i ms', (ms) => {
    const now = START + 12 * HOUR;
    const ahead = FROM_HISTORY.ahead(asked(600, 12), 0, ms, now);
    const mean = (600 * ms) / HOUR;
    expect(ahead.mean).toBeGreaterThan(mean * 0.6);
    expect(ahead.mean).toBeLessThan(mean * 1.4);
    expect(ahead.variance).toBeGreaterThan(mean);
    expect(FROM_HISTORY.ahead(asked(600, 12), 1, ms, now)).toBe(NOTHING);
  });

  it('is forgotten once nobody asks any more', () => {
    const offered = asked(600, 6);
    const later = FROM_HISTORY.ahead(offered, 0, HOUR, START + 18 * HOUR);
    expect(later.mean).toBeLessThan(60);
    expect(FROM_HISTORY.ahead(offered, 0, MINUTE, START + 6 * HOUR + 5 * MINUTE).mean).toBeLessThan(
      1,
    );
  });

  it('takes one early request for no flood', () => {
    const offered = new Offered(HOUR, START);
    offered.add(0, 1, START + 1000);
    expect(quantile(FROM_HISTORY.ahead(offered, 0, HOUR, START + 1000), 0.9)).toBeLessThan(50);
  });

  it('believes a flood within its first minute, and keeps a broad mind about it', () => {
    const offered = new Offered(HOUR, START);
    for (let i = 1; i <= 25; i++) offered.add(0, 1, START + i * 2400);
    const { mean, variance } = FROM_HISTORY.ahead(offered, 0, HOUR, START + MINUTE);
    expect(mean).toBeGreaterThan(800);
    expect(mean).toBeLessThan(1500);
    expect(variance).toBeGreaterThan(10 * mean);
  });

  it('comes in lumps when it came in lumps', () => {
    const even = FROM_HISTORY.ahead(asked(600, 12), 0, HOUR, START + 12 * HOUR);
    const large = FROM_HISTORY.ahead(asked(60, 12, 10), 0, HOUR, START + 12 * HOUR);
    expect(large.lump).toBeGreaterThanOrEqual(10);
    expect(large.variance).toBeGreaterThan(3 * even.variance);
  });

  it('is the same after it was written down and read back, wherever in a block', () => {
    const offered = asked(600, 3);
    const copy = Offered.load(JSON.parse(JSON.stringify(offered.save())) as never);
    expect(copy.save()).toEqual(offered.save());
    for (const one of [offered, copy]) one.add(2, 7, START + 4 * HOUR + 12_345);
    expect(copy.save()).toEqual(offered.save());
    const now = START + 5 * HOUR;
    for (const rank of [0, 2]) {
      expect(FROM_HISTORY.ahead(copy, rank, HOUR, now)).toEqual(
        FROM_HISTORY.ahead(offered, rank, HOUR, now),
      );
    }
  });

  it('is read without being changed', () => {
    const offered = asked(600, 3);
    const before = JSON.stringify(offered.save());
    FROM_HISTORY.ahead(offered, 0, HOUR, START + 9 * HOUR);
    expect(JSON.stringify(offered.save())).toBe(before);
  });
});
