/** Forecasts of rolling windows: what was used comes back when it is a window old, and not before. */
import { describe, expect, it } from 'vitest';
import { Forecaster, type Forecast } from '../../src/core/forecast/forecaster.ts';
import { RollingWindowPool } from '../../src/core/quota/rolling.ts';
import { DAY, HOUR, MINUTE, type DurationMs } from '../../src/core/units.ts';
import { spec, World } from './world.ts';

const START = 1_700_000_000_000;

class Window {
  readonly world: World;

  constructor(limit: number, windowMs: DurationMs) {
    this.world = new World([spec('core', { kind: 'rolling', limit, windowMs, source: 'policy' })]);
  }

  /** One request each `everyMs`. */
  ask(count: number, everyMs: DurationMs): void {
    for (let i = 0; i < count; i++) {
      this.world.pass(everyMs);
      this.world.end(this.world.arrive({ maxWaitMs: 0 }).key);
    }
  }

  private get pool() {
    const [pool] = this.world.governor.state.pools.values();
    if (pool === undefined) throw new Error('no pool');
    return pool;
  }

  get forecast(): Forecast {
    const { governor, now } = this.world;
    const forecast = governor.outlook.forecastOf(this.pool, now.wall);
    if (forecast === null) throw new Error('no forecast');
    return forecast;
  }

  alone(agent: string) {
    const { governor, now } = this.world;
    return governor.outlook.forecastOfAgent(this.pool, agent, now.wall);
  }
}

function expectRising({ p50, p90, p99 }: Forecast): void {
  expect(p99).toBeLessThanOrEqual(p90 ?? Infinity);
  expect(p90).toBeLessThanOrEqual(p50 ?? Infinity);
}

describe('a rolling window', () => {
  it('does not count on a burst that comes back only after it will have run out', () => {
    const window = new Window(1000, DAY);
    window.ask(700, (72 * MINUTE) / 700);
    window.ask(281, 2 * MINUTE);
    const { forecast } = window;
    // 19 are left, one goes each two minutes, and the first comes back four hours later.
    expect(forecast.p50).toBeGreaterThan(2_000);
    expect(forecast.p50).toBeLessThan(2_800);
    expect(forecast.p99).toBeGreaterThan(1_200);
    expect(forecast.pExhaust).toBeGreaterThan(0.9);
    expectRising(forecast);
    const alone = window.alone('agent-1');
    expect(alone?.p50).toBeGreaterThan(2_000);
    expect(alone?.p50).toBeLessThan(2_800);
  });

  it('lasts as long as what is left while nothing of an even use comes back', () => {
    const window = new Window(1000, DAY);
    window.ask(901, DAY / 1100);
    const { forecast } = window;
    const left = (99 * DAY) / 1100 / 1000;
    expect(forecast.p50).toBeGreaterThan(left * 0.9);
    expect(forecast.p50).toBeLessThan(left * 1.1);
    expect(forecast.pExhaust).toBeGreaterThan(0.9);
    expectRising(forecast);
  });

  it('is short before a burst comes back, however much there is after that', () => {
    const window = new Window(30, MINUTE);
    window.ask(25, 120);
    window.ask(3, 4_000);
    const { forecast } = window;
    expect(forecast.p50).toBeLessThan(12);
    expect(forecast.pExhaust).toBeGreaterThan(0.98);
    expectRising(forecast);
  });

  describe('of which much comes back at once', () => {
    const forecaster = new Forecaster();
    for (let i = 0; i < 1_800; i++) forecaster.offered(START + i * 1_000, 2);
    const backAt = (at: number, units: number): Forecast => {
      const by = (seconds: number) => (seconds < at ? 0 : units);
      // Evenly it would come back in the same time.
      const question = { remaining: 20, resetInMs: MINUTE, refill: units / 60, ageMs: 0 };
      return forecaster.forecast(START + 1_800 * 1_000, {
        ...question,
        returns: { windowS: 60, by },
      });
    };

    it('lasts on when that is in time', () => {
      const { p50, pExhaust } = backAt(5, 80);
      expect(p50).toBeGreaterThan(45);
      expect(p50).toBeLessThan(55);
      expect(pExhaust).toBeGreaterThan(0.9);
      expect(backAt(5, 200).pExhaust).toBeLessThan(0.1);
    });

    it('does not when that is too late', () => {
      const { p50, pExhaust } = backAt(12, 200);
      expect(p50).toBeGreaterThan(8);
      expect(p50).toBeLessThan(12);
      expect(pExhaust).toBeGreaterThanOrEqual(0.5);
    });
  });
});

describe('what comes back to a rolling window', () => {
  const made = (): RollingWindowPool => {
    const shape = spec('core', { kind: 'rolling', limit: 100, windowMs: HOUR, source: 'policy' });
    const pool = new RollingWindowPool('p', shape, 'x');
    const use = (units: number, at: number) => pool.settle(pool.hold(units, at), units, at, false);
    use(30, START);
    use(10, START + HOUR / 2);
    return pool;
  };

  it('is each unit about a window after it was used', () => {
    const pool = made();
    const now = START + HOUR / 2;
    const slot = HOUR / 256;
    const back = [0, HOUR / 2 - slot, HOUR / 2 + slot, HOUR - slot, HOUR + slot];
    const beyond = (100 * slot) / HOUR;
    expect(back.map((ms) => pool.backIn(ms, now))).toEqual([0, 0, 30, 30, 40 + beyond]);
  });

  it('never falls, and nothing is changed by looking', () => {
    const pool = made();
    const now = START + HOUR - 1;
    const before = JSON.stringify(pool.save(now));
    let least = pool.backIn(0, now);
    expect(least).toBe(0);
    for (let ms = 0; ms < 2 * HOUR; ms += 7_919) {
      const back = pool.backIn(ms, now);
      expect(back).toBeGreaterThanOrEqual(least);
      least = back;
    }
    expect(JSON.stringify(pool.save(now))).toBe(before);
    // What the pool shows later is what was foretold.
    const { remaining } = pool.figures(now);
    const foretold = pool.backIn(HOUR / 4, now);
    expect(pool.figures(now + HOUR / 4).remaining).toBe((remaining ?? NaN) + foretold);
  });
});
