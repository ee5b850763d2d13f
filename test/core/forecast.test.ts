import { describe, expect, it } from 'vitest';
import { Forecaster } from '../../src/core/forecast/forecaster.ts';
import type { Question } from '../../src/core/forecast/question.ts';
import { Random } from '../../src/sim/random.ts';
import { makeTrace } from '../../src/sim/synthetic.ts';

const START = 1_700_000_000_000;
const MINUTE = 60_000;

/** Poisson arrivals of one unit at `perSecond` until `untilMs`; returns when the last one came. */
function feed(
  forecaster: Forecaster,
  fromMs: number,
  untilMs: number,
  perSecond: number,
  seed = 'feed',
): number {
  const random = new Random(seed);
  let at = fromMs;
  for (;;) {
    at += random.exponential(1000 / perSecond);
    if (at >= untilMs) return untilMs;
    forecaster.offered(at, 1);
  }
}

function asked(remaining: number, more: Partial<Question> = {}): Question {
  return { remaining, resetInMs: 10 * MINUTE, refill: 0, ageMs: 0, ...more };
}

/** Half an hour of five a second. */
function practised(): { forecaster: Forecaster; now: number } {
  const forecaster = new Forecaster();
  const now = feed(forecaster, START, START + 30 * MINUTE, 5);
  return { forecaster, now };
}

describe('a forecast', () => {
  it('says about what the rate says when nothing is unusual', () => {
    const { forecaster, now } = practised();
    const told = forecaster.forecast(now, asked(300));
    expect(told.p50).toBeGreaterThan(54);
    expect(told.p50).toBeLessThan(66);
    expect(told.p90).toBeLessThan(told.p50 ?? 0);
    expect(told.p99).toBeLessThan(told.p90 ?? 0);
    expect(told.rate).toBeGreaterThan(4);
    expect(told.rate).toBeLessThan(6);
    expect(told.variance / told.rate).toBeGreaterThan(0.6);
    expect(told.variance / told.rate).toBeLessThan(1.6);
  });

  it('falls as use rises, and its chance grows', () => {
    const { forecaster, now } = practised();
    const before = forecaster.forecast(now, asked(1_500));
    const later = feed(forecaster, now, now + MINUTE, 25);
    const after = forecaster.forecast(later, asked(1_500));
    expect(after.p50).toBeLessThan((before.p50 ?? 0) * 0.75);
    expect(after.p90).toBeLessThan(before.p90 ?? 0);
    expect(after.pExhaust).toBeGreaterThanOrEqual(before.pExhaust);
  });

  it('believes an hour ahead, on its first day, what the last half hour shows', () => {
    const forecaster = new Forecaster();
    const doubled = feed(forecaster, START, START + 300 * MINUTE, 2, 'slow');
    const now = feed(forecaster, doubled, doubled + 45 * MINUTE, 4, 'fast');
    const told = forecaster.forecast(now, asked(7_200));
    // At four a second that is half an hour; what a whole hour shows would say 2,400 s.
    expect(told.p50).toBeLessThan(2_150);
    // What was learned ten minutes ahead is widened for it, but no more than pays.
    expect(told.p99).toBeGreaterThan(550);
  });

  it('falls with what remains, down to nothing', () => {
    const { forecaster, now } = practised();
    let last = Infinity;
    let chance = 0;
    for (const remaining of [30_000, 3_000, 300, 30, 3]) {
      const told = forecaster.forecast(now, asked(remaining));
      expect(told.p90).toBeLessThan(last);
      expect(told.pExhaust).toBeGreaterThanOrEqual(chance);
      last = told.p90 ?? Infinity;
      chance = told.pExhaust;
    }
    const empty = forecaster.forecast(now, asked(0));
    expect(empty).toMatchObject({ p50: 0, p90: 0, p99: 0, pExhaust: 1 });
  });

  it('is restored by a reset', () => {
    const { forecaster, now } = practised();
    const before = forecaster.forecast(now, asked(50, { resetInMs: 60_000 }));
    expect(before.pExhaust).toBeGreaterThan(0.95);
    expect(before.margin).toBeLessThan(0);
    const later = feed(forecaster, now, now + 61_000, 5, 'after');
    const after = forecaster.forecast(later, asked(30_000));
    expect(after.p90).toBeGreaterThan(3_600);
    expect(after.pExhaust).toBeLessThan(0.05);
    expect(after.margin).toBeGreaterThan(0);
  });

  it('notices use by others, which it is told like one’s own', () => {
    const { forecaster, now } = practised();
    const before = forecaster.forecast(now, asked(3_000));
    // Nobody here asks for more; every 5 s a reading shows 100 units gone that nobody here used.
    for (let at = now + 5_000; at <= now + 2 * MINUTE; at += 5_000) forecaster.offered(at, 100);
    const after = forecaster.forecast(now + 2 * MINUTE, asked(3_000));
    expect(after.p50).toBeLessThan((before.p50 ?? 0) * 0.7);
  });

  it('widens with the age of its reading', () => {
    const { forecaster, now } = practised();
    let last = Infinity;
    for (const ageMs of [0, 60_000, 300_000, 900_000]) {
      const { p99 } = forecaster.forecast(now, asked(3_000, { ageMs }));
      expect(p99).toBeLessThan(last);
      last = p99 ?? Infinity;
    }
    const fresh = new Forecaster();
    feed(fresh, START, START + 20_000, 5);
    const young = fresh.forecast(START + 20_000, asked(300));
    const stale = fresh.forecast(START + 20_000, asked(300, { ageMs: 60_000 }));
    expect(stale.p99).toBeLessThan(young.p99 ?? 0);
  });

  it('takes an unknown reset for the worst case', () => {
    const { forecaster, now } = practised();
    const told = forecaster.forecast(now, asked(300_000, { resetInMs: null }));
    expect(told.pExhaust).toBeGreaterThan(0.95);
    expect(told.margin).toBeNull();
  });

  it('knows no end when more comes back than goes', () => {
    const { forecaster, now } = practised();
    const told = forecaster.forecast(now, asked(3_000, { refill: 50 }));
    expect(told.p50).toBeNull();
    expect(told.pExhaust).toBeLessThan(0.05);
    const slower = forecaster.forecast(now, asked(3_000, { refill: 2 }));
    const none = forecaster.forecast(now, asked(3_000));
    expect(slower.p50).toBeGreaterThan((none.p50 ?? 0) * 1.3);
  });

  it('begins humbly: with ten seconds behind it, P99 is far below P50', () => {
    const forecaster = new Forecaster();
    const nothing = forecaster.forecast(START, asked(100));
    expect(nothing).toMatchObject({ p50: null, pExhaust: 0 });
    feed(forecaster, START, START + 10_000, 5);
    const told = forecaster.forecast(START + 10_000, asked(1_000));
    expect(told.p99).toBeLessThan((told.p50 ?? 0) * 0.75);
    expect(forecaster.isCalibratedAt(60)).toBe(false);
  });
});

describe('a beginning', () => {
  /** How often claims of times came true for clients that had been watched for a minute. */
  function comesTrue(horizonS: number): { p90: number; p99: number } {
    const spec = { kind: 'hawkes', perSecond: 0.5, branching: 0.8, decayMs: 10_000 } as const;
    const length = (600 + 60 + 8 * horizonS) * 1000;
    const held = { p90: 0, p99: 0 };
    const clients = 60;
    for (let client = 0; client < clients; client++) {
      const all = makeTrace(spec, length, new Random(`client ${String(client)}`));
      const times = all.map(({ atMs }) => atMs - 600_000).filter((atMs) => atMs >= 0);
      const forecaster = new Forecaster();
      const seen = times.filter((atMs) => atMs < MINUTE).length;
      for (const atMs of times.slice(0, seen)) forecaster.offered(START + atMs, 1);
      const remaining = Math.ceil((seen * horizonS) / 60);
      const resetInMs = horizonS * 1000;
      const told = forecaster.forecast(START + MINUTE, asked(remaining, { resetInMs }));
      const lasted = ((times[seen + remaining - 1] ?? Infinity) - MINUTE) / 1000;
      if (lasted >= (told.p90 ?? Infinity)) held.p90 += 1 / clients;
      if (lasted >= (told.p99 ?? Infinity)) held.p99 += 1 / clients;
    }
    return held;
  }

  it('claims no more of ten minutes than a minute shows', () => {
    // The closed form alone, which takes the rate of that minute for granted, comes to 70 and 85 %.
    const { p90, p99 } = comesTrue(600);
    expect(p90).toBeGreaterThan(0.85);
    expect(p99).toBeGreaterThan(0.96);
  });

  it('claims no more of the next minute, either', () => {
    const { p90, p99 } = comesTrue(60);
    expect(p90).toBeGreaterThan(0.82);
    expect(p99).toBeGreaterThan(0.95);
  });

  it('takes a burst for what it is: the end of the window may be reached after all', () => {
    const forecaster = new Forecaster();
    for (const ms of [0, 400, 800, 1_200]) forecaster.offered(START + ms, 1);
    const told = forecaster.forecast(START + 2_000, asked(56, { resetInMs: MINUTE }));
    expect(told.pExhaust).toBeLessThan(0.75);
    expect(told.p99).toBeLessThan(9);
  });
});

describe('a steady stream', () => {
  it.each([20, 60, 100, 150, 300, 900])('goes on as it began, after %i s', (seconds) => {
    const forecaster = new Forecaster();
    const now = START + seconds * 1000;
    for (let at = START; at < now; at += 550) forecaster.offered(at, 1);
    const told = forecaster.forecast(now, asked(4_850, { resetInMs: 60 * MINUTE }));
    expect(told.p50).toBeGreaterThan(4_850 * 0.55 * 0.9);
    expect(told.p50).toBeLessThan(4_850 * 0.55 * 1.1);
    expect(told.pExhaust).toBeGreaterThan(0.5);
  });
});

describe('odds', () => {
  it('agree with the times that are told where demand is even', () => {
    const forecaster = new Forecaster();
    for (let s = 0; s < 86_400; s++) forecaster.offered(START + s * 1000, 1);
    const now = START + 86_400_000;
    const lasts = forecaster.forecast(now, asked(750));
    expect([lasts.p99 && lasts.p99 > 740, lasts.pExhaust < 0.01]).toEqual([true, true]);
    const ends = forecaster.forecast(now, asked(450));
    expect([ends.p50 && ends.p50 < 460, ends.pExhaust > 0.99]).toEqual([true, true]);
  });

  it('agree with them for a job that comes every five minutes', () => {
    const forecaster = new Forecaster();
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < 100; i++) {
        forecaster.offered(START + round * 5 * MINUTE + i * 100, 1);
      }
    }
    const now = START + 199 * 5 * MINUTE + 12_000;
    // Ten times are due within the hour.
    const told = forecaster.forecast(now, asked(950, { resetInMs: 60 * MINUTE }));
    expect(told.pExhaust).toBeGreaterThan(0.9);
  });
});

describe('a surer claim', () => {
  it('is never of a longer time', () => {
    for (const seed of ['one', 'two', 'three']) {
      const forecaster = new Forecaster();
      const random = new Random(seed);
      let now = START;
      for (let i = 0; i < 400; i++) {
        // Demand that is another one every few minutes, and now and then none at all.
        const perSecond = random.next() < 0.2 ? 0.01 : random.exponential(4);
        now = feed(
          forecaster,
          now,
          now + random.exponential(3 * MINUTE),
          perSecond,
          `${seed} ${i}`,
        );
        for (const remaining of [20, 200, 2_000, 20_000]) {
          const { p50, p90, p99 } = forecaster.forecast(now, asked(remaining));
          const told = [p99 ?? Infinity, p90 ?? Infinity, p50 ?? Infinity];
          expect(told).toEqual(told.toSorted((one, other) => one - other));
        }
      }
    }
  });
});

describe('a silence', () => {
  it('is expected to go on about as long as it went on already', () => {
    const { forecaster, now } = practised();
    const told = forecaster.forecast(now + 600 * MINUTE, asked(300));
    expect(told.p50).toBeGreaterThan(9 * 3_600);
    expect(told.p90).toBeGreaterThan(3_600);
    const soon = forecaster.forecast(now + 600 * MINUTE, asked(1, { resetInMs: MINUTE }));
    expect(soon.pExhaust).toBeLessThan(0.003);
    // Before anything was learned of a minute, a habit of half a unit a second is all there is.
    const young = new Forecaster();
    feed(young, START, START + 3 * MINUTE, 0.5);
    const until = asked(5, { resetInMs: MINUTE });
    expect(young.forecast(START + 603 * MINUTE, until).pExhaust).toBeLessThan(0.003);
  });

  it('of a few seconds is none', () => {
    const { forecaster, now } = practised();
    const told = forecaster.forecast(now + 1_500, asked(300));
    expect(told.p50).toBeLessThan(70);
  });

  it('does not make forget what it is like when something comes', () => {
    const { forecaster, now } = practised();
    const before = forecaster.forecast(now, asked(300));
    const later = feed(forecaster, now + 480 * MINUTE, now + 500 * MINUTE, 5, 'again');
    const after = forecaster.forecast(later, asked(300));
    expect(after.p50).toBeGreaterThan((before.p50 ?? 0) * 0.8);
    expect(after.p50).toBeLessThan((before.p50 ?? 0) * 1.25);
    expect(after.p90).toBeGreaterThan((before.p90 ?? 0) * 0.5);
  });
});

describe('a horizon', () => {
  it('in which hardly anything comes is not tried', () => {
    const forecaster = new Forecaster();
    for (let i = 0; i < 400; i++) forecaster.offered(START + i * 2 * MINUTE, 1);
    expect(forecaster.isCalibratedAt(10)).toBe(false);
    expect(forecaster.isCalibratedAt(600)).toBe(true);
  });
});

describe('what is kept', () => {
  it('is the same when it is fed the same', () => {
    const one = practised();
    const two = practised();
    expect(JSON.stringify(one.forecaster.save())).toBe(JSON.stringify(two.forecaster.save()));
  });

  it('is unmoved by being asked', () => {
    const { forecaster, now } = practised();
    const before = JSON.stringify(forecaster.save());
    for (const later of [now, now + 700, now + 5_000, now + 90 * MINUTE]) {
      forecaster.forecast(later, asked(500, { refill: 1, ageMs: 5 }));
      forecaster.forecast(later, asked(500), { at: now, units: 40 });
    }
    expect(JSON.stringify(forecaster.save())).toBe(before);
  });

  it('goes on after a restart as if there had been none', () => {
    const { forecaster, now } = practised();
    const restored = new Forecaster();
    restored.load(JSON.parse(JSON.stringify(forecaster.save())));
    for (const one of [forecaster, restored]) feed(one, now, now + 30 * MINUTE, 9, 'on');
    const later = now + 30 * MINUTE;
    expect(restored.forecast(later, asked(500))).toEqual(forecaster.forecast(later, asked(500)));
    expect(restored.save()).toEqual(forecaster.save());
  });

  it('ignores what another version saved', () => {
    const forecaster = new Forecaster();
    for (const foreign of [null, 'x', [], [1, 2, 3], { ladder: [] }]) forecaster.load(foreign);
    expect(forecaster.save()).toEqual(new Forecaster().save());
  });

  it('fits into 16 KB', () => {
    expect(practised().forecaster.bytes).toBeLessThan(16_384);
  });

  it('survives years of silence and a clock that steps back', () => {
    const { forecaster, now } = practised();
    forecaster.advance(now + 3 * 365 * 24 * 60 * MINUTE);
    forecaster.offered(now, 1);
    const told = forecaster.forecast(now + 3 * 365 * 24 * 60 * MINUTE, asked(100));
    expect(told.pExhaust).toBeGreaterThanOrEqual(0);
    expect(told.p99 ?? Infinity).toBeGreaterThan(0);
    feed(forecaster, now + 3 * 365 * 24 * 60 * MINUTE, now + (3 * 365 * 24 * 60 + 30) * MINUTE, 5);
    const again = forecaster.forecast(now + (3 * 365 * 24 * 60 + 30) * MINUTE, asked(300));
    expect(again.p50).toBeGreaterThan(30);
    expect(again.p50).toBeLessThan(120);
    expect(JSON.stringify(forecaster.save())).not.toContain('null');
  });
});
