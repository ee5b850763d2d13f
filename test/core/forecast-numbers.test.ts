import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Calibration } from '../../src/core/forecast/calibration.ts';
import { Blend } from '../../src/core/forecast/blend.ts';
import { Odds } from '../../src/core/forecast/odds.ts';
import { lastsWith, passage, within } from '../../src/core/forecast/passage.ts';
import { Readings } from '../../src/core/forecast/readings.ts';
import { Regression } from '../../src/core/forecast/regression.ts';
import { Sample } from '../../src/core/forecast/sample.ts';
import {
  betaQuantile,
  incompleteBeta,
  lnGamma,
  normal,
  normalQuantile,
} from '../../src/core/forecast/special.ts';
import { tQuantile } from '../../src/core/forecast/tail.ts';
import { Random } from '../../src/sim/random.ts';

describe('special functions', () => {
  it('knows factorials and √π', () => {
    expect(lnGamma(11)).toBeCloseTo(Math.log(3_628_800), 10);
    expect(lnGamma(0.5)).toBeCloseTo(0.5 * Math.log(Math.PI), 10);
  });

  it('knows the normal distribution at tabulated places', () => {
    expect(normal(1.959_963_984_540_054)).toBeCloseTo(0.975, 12);
    expect(normal(-3)).toBeCloseTo(0.001_349_898_031_630_1, 14);
    expect(normalQuantile(0.99)).toBeCloseTo(2.326_347_874_040_841, 9);
    expect(normalQuantile(1e-6)).toBeCloseTo(-4.753_424_308_822_9, 7);
  });

  it('knows the incomplete beta function where it is a polynomial', () => {
    // I_x(2, 3) = 6x² − 8x³ + 3x⁴
    expect(incompleteBeta(0.3, 2, 3)).toBeCloseTo(0.3483, 12);
    expect(incompleteBeta(0.3, 1, 5)).toBeCloseTo(1 - 0.7 ** 5, 12);
    expect(incompleteBeta(0.5, 5_000, 5_000)).toBeCloseTo(0.5, 6);
  });

  it('inverts the incomplete beta function', () => {
    const shape = fc.double({ min: 0.3, max: 2_000, noNaN: true });
    const share = fc.double({ min: 0.005, max: 0.995, noNaN: true });
    fc.assert(
      fc.property(share, shape, shape, (p, a, b) => {
        const x = betaQuantile(p, a, b);
        // So near an end a double cannot tell neighbours apart.
        if (x > 1e-12 && x < 1 - 1e-9) expect(incompleteBeta(x, a, b)).toBeCloseTo(p, 5);
      }),
      { numRuns: 300 },
    );
  });

  it('knows quantiles of Student’s t with 4 degrees of freedom', () => {
    expect(tQuantile(0.975)).toBeCloseTo(2.776_445, 5);
    expect(tQuantile(0.01)).toBeCloseTo(-3.746_947, 5);
    expect(tQuantile(0.5)).toBe(0);
  });
});

describe('first passage', () => {
  it('is the time to the k-th arrival when the rate is known well', () => {
    // Ten arrivals at 2/s with a rate known from 10⁵ s: Erlang, whose mean is 5 s.
    const known = passage(10, 2, 1, 1e5);
    expect(lastsWith(known, 0.5)).toBeCloseTo(4.834, 2);
    // P(fewer than 10 of a Poisson of mean 6) = 0.9161
    expect(1 - within(known, 3)).toBeCloseTo(0.9161, 3);
  });

  it('agrees with itself: chance and quantile are inverse', () => {
    const some = passage(100, 3, 7, 60);
    for (const p of [0.5, 0.9, 0.99])
      expect(within(some, lastsWith(some, p))).toBeCloseTo(1 - p, 6);
  });

  it('is less sure of a rate that is younger', () => {
    expect(lastsWith(passage(100, 2, 1, 20), 0.99)).toBeLessThan(
      lastsWith(passage(100, 2, 1, 2_000), 0.99),
    );
  });
});

describe('sample', () => {
  it('tells quantiles and ranks of the newest values only', () => {
    const values = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(values, (all) => {
        const sample = new Sample(8);
        for (const value of all) sample.add(value + 0);
        const newest = all
          .slice(-8)
          .map((value) => Math.fround(value + 0))
          .sort((a, b) => a - b);
        expect(sample.quantile(0)).toBeCloseTo(newest[0] ?? NaN, 12);
        expect(sample.quantile(1)).toBeCloseTo(newest.at(-1) ?? NaN, 12);
        const middle = newest[Math.floor(newest.length / 2)] ?? 0;
        const below = newest.filter((value) => value <= middle).length;
        expect(sample.below(middle)).toBeCloseTo((below + 0.5) / (newest.length + 1), 12);
      }),
    );
  });

  it('goes on from what was saved as if nothing had been', () => {
    const one = new Sample(8);
    for (let i = 0; i < 21; i++) one.add(Math.sin(i));
    const two = new Sample(8);
    two.load(JSON.parse(JSON.stringify(one.save())));
    for (let i = 0; i < 5; i++) {
      one.add(i / 7);
      two.add(i / 7);
      expect(two.save()).toEqual(one.save());
    }
  });
});

describe('regression', () => {
  it('finds the weights that made the outcomes', () => {
    const regression = new Regression(Float64Array.from([0, 0, 0, 0, 0]), 0.1, 0.1, 0, true);
    const random = new Random('regression');
    const features = new Float64Array(4);
    for (let i = 0; i < 2_000; i++) {
      for (let j = 0; j < 4; j++) features[j] = random.normal();
      const [a = 0, b = 0, c = 0, d = 0] = features;
      regression.learn(features, 0.7 * a + 0.2 * b + 0.4 * c - 0.3 * d + 0.1, 1);
    }
    const expected = [0.7, 0.2, 0.4, -0.3, 0.1];
    expected.forEach((weight, i) => expect(regression.weights[i]).toBeCloseTo(weight, 3));
  });

  it('leans to its prior while it knows little, and holds no rate against itself', () => {
    const regression = new Regression(Float64Array.from([0.6, 0.3, 0, 0, 0]), 100, 100, 0, false);
    regression.learn(Float64Array.from([1, 1, 1, 1]), -5, 1);
    expect(regression.weights[0]).toBeGreaterThan(0.45);
    for (let i = 0; i < 1_000; i++) regression.learn(Float64Array.from([0, 0, 0, 1]), -1, 1);
    expect(regression.weights[3]).toBe(0);
  });
});

describe('readings', () => {
  it('have the mean of the last twenty, silent ones counted', () => {
    const units = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 200 });
    const silence = fc.integer({ min: 0, max: 90 });
    fc.assert(
      fc.property(units, silence, fc.integer({ min: 0, max: 9 }), (all, quiet, untold) => {
        const everyS = 3;
        const readings = new Readings(20 * everyS);
        all.forEach((one, second) => readings.tick(1_000 + second, one));
        const seconds = [...all, ...Array.from({ length: quiet }, () => 0)];
        const ended = Math.floor(seconds.length / everyS);
        const rates = Array.from({ length: ended }, (_, i) => {
          const own = seconds.slice(i * everyS, (i + 1) * everyS);
          return own.reduce((sum, one) => sum + one, 0) / everyS;
        }).slice(-20);
        const sum = seconds.reduce((all, one) => all + one, 0);
        if (ended === 0) {
          // Before the first one has ended, what was seen of it.
          const told = readings.mean(1_000 + seconds.length, untold);
          expect(told).toBeCloseTo((sum + untold) / seconds.length, 5);
          return;
        }
        const mean = rates.reduce((all, rate) => all + rate, 0) / rates.length;
        expect(readings.mean(1_000 + seconds.length, 0)).toBeCloseTo(mean, 5);
        // What was not told yet belongs to the reading that was going on.
        const going = Math.floor((all.length - 1) / everyS);
        const counts = going < ended && going >= ended - 20;
        const more = counts ? untold / everyS / rates.length : 0;
        expect(readings.mean(1_000 + seconds.length, untold)).toBeCloseTo(mean + more, 5);
      }),
    );
  });
});

describe('a second opinion', () => {
  it('counts as far as it was nearer to what happened', () => {
    const random = new Random('opinions');
    const better = new Blend();
    const worse = new Blend();
    const same = new Blend();
    for (let i = 0; i < 400; i++) {
      const happened = random.normal();
      const near = happened + 0.1 * random.normal();
      const far = happened + 0.3 * random.normal();
      better.learn(far, near, happened);
      worse.learn(near, far, happened);
      same.learn(near, near, happened);
    }
    expect(better.weight).toBeGreaterThan(0.95);
    expect(worse.weight).toBeLessThan(0.01);
    expect(same.weight).toBeCloseTo(1 / (1 + Math.E), 6);
  });

  it('is not made by one long silence', () => {
    const random = new Random('silence');
    const blend = new Blend();
    const week = (): void => {
      for (let i = 0; i < 300; i++) {
        const happened = random.normal();
        blend.learn(happened + 0.1, happened + 0.13, happened);
      }
    };
    week();
    for (let i = 0; i < 32; i++) blend.learn(-20, 8, 8);
    week();
    expect(blend.weight).toBeLessThan(0.3);
  });
});

describe('odds', () => {
  /** Outcomes of which a share of `chance(i)` ran out, and what the model said of each. */
  function tell(odds: Odds, chance: (i: number) => number, said: (i: number) => number): void {
    const random = new Random('odds');
    for (let i = 0; i < 2_000; i++) {
      odds.judge(said(i), odds.usual, random.next() < chance(i) ? 1 : 0);
    }
  }

  it('are the habit’s where the model has no skill', () => {
    const odds = new Odds(null);
    const random = new Random('noise');
    tell(
      odds,
      () => 0.3,
      () => random.next(),
    );
    expect(odds.usual).toBeGreaterThan(0.22);
    expect(odds.usual).toBeLessThan(0.38);
    expect(Math.abs(odds.tempered(0.9) - odds.usual)).toBeLessThan(0.06);
    expect(odds.skill).toBeGreaterThan(-0.02);
  });

  it('are the model’s where it is right', () => {
    const odds = new Odds(null);
    const truth = (i: number): number => (i % 2 === 0 ? 0.9 : 0.1);
    tell(odds, truth, truth);
    expect(odds.tempered(0.9)).toBeGreaterThan(0.85);
    expect(odds.skill).toBeGreaterThan(0.5);
  });

  it('follow a habit that changes', () => {
    const odds = new Odds(null);
    tell(
      odds,
      (i) => (Math.floor(i / 500) % 2 === 0 ? 0.1 : 0.9),
      () => odds.usual,
    );
    // On average one in two ran out; lately nine in ten did.
    expect(odds.usual).toBeGreaterThan(0.75);
  });
});

describe('calibrated levels', () => {
  it('do not cross, whichever claim is missed', () => {
    for (const place of [0, 1, 2]) {
      for (const missed of [true, false]) {
        const calibration = new Calibration(1);
        for (let i = 0; i < 200; i++) calibration.learn(Math.sin(i * 7.3));
        for (let i = 0; i < 3_000; i++) calibration.adapt(place, missed);
        const [half, tenth, hundredth] = [0.5, 0.9, 0.99].map((p) => calibration.scoreAt(p));
        expect(tenth).toBeLessThanOrEqual(half as number);
        expect(hundredth).toBeLessThanOrEqual(tenth as number);
      }
    }
  });
});
