/** Protection by calibrated forecasts of what each class asks, beside the simple estimate. */
import { describe, expect, it, vi } from 'vitest';
import { Forecaster } from '../../src/core/forecast/forecaster.ts';
import { FROM_HISTORY } from '../../src/core/governor/demand.ts';
import { ClassForecasts, ForecastDemand } from '../../src/core/governor/outlook-demand.ts';
import { Offered } from '../../src/core/quota/offered.ts';
import { HOUR, MINUTE, SECOND } from '../../src/core/units.ts';
import { demand, LIMIT, oracle, play, type Load } from './protection-sim.ts';
import { spec, World } from './world.ts';

const START = 1_700_006_400_000;
const VALUES = { high: 10, low: 1 };
const HOURS = 96;

/** Shares of what was possible in hindsight: by the simple estimate, and by forecasts. */
function shares(load: Load): { simple: number; forecast: number; greedy: number } {
  const asks = demand(load, HOURS, 'forecasts');
  const best = oracle(asks, HOURS, LIMIT, VALUES);
  const classes = new ClassForecasts();
  const outlook = new ForecastDemand(() => classes);
  const forecast = play(asks, VALUES, 'protect', {
    outlook,
    asked: ({ rank, at }) => classes.ask(rank, 1, at),
  });
  return {
    simple: play(asks, VALUES, 'protect').value / best,
    forecast: forecast.value / best,
    greedy: play(asks, VALUES, 'greedy').value / best,
  };
}

describe('what forecasts of demand buy', () => {
  it('is something where demand is uneven', () => {
    const load: Load = { name: 'uneven', high: 250, low: 400, highs: 'daily', lows: 'batch' };
    const { simple, forecast, greedy } = shares(load);
    expect(forecast).toBeGreaterThan(simple);
    expect(forecast).toBeGreaterThan(0.9);
    expect(greedy).toBeLessThan(0.7);
  });

  it('costs nothing where it is even', () => {
    const load: Load = { name: 'even', high: 200, low: 500, highs: 'steady', lows: 'steady' };
    const { forecast } = shares(load);
    expect(forecast).toBeGreaterThan(0.99);
  });
});

describe('demand by forecasts', () => {
  it('is the simple estimate until there is skill', () => {
    const offered = new Offered(HOUR, START);
    const classes = new ClassForecasts();
    const outlook = new ForecastDemand(() => classes);
    for (let i = 0; i < 20; i++) {
      const at = START + i * SECOND;
      offered.add(0, 1, at);
      classes.ask(0, 1, at);
    }
    const now = START + MINUTE;
    expect(outlook.ahead(offered, 0, HOUR, now)).toEqual(FROM_HISTORY.ahead(offered, 0, HOUR, now));
    expect(outlook.ahead(offered, 1, HOUR, now).mean).toBe(0);
  });

  it('is worked out once for each time looked ahead, though several are asked for in turn', () => {
    const offered = new Offered(HOUR, START);
    const classes = new ClassForecasts();
    const outlook = new ForecastDemand(() => classes);
    offered.add(0, 1, START);
    classes.ask(0, 1, START);
    const workedOut = vi.spyOn(Forecaster.prototype, 'isCalibratedAt');
    const ahead = [1, 5, 15, 30, 60];
    for (let ms = 0; ms < 500; ms += 10) {
      for (const minutes of ahead) outlook.ahead(offered, 0, minutes * MINUTE, START + ms);
    }
    expect(workedOut).toHaveBeenCalledTimes(ahead.length);
    outlook.ahead(offered, 0, MINUTE, START + MINUTE);
    expect(workedOut).toHaveBeenCalledTimes(ahead.length + 1);
    workedOut.mockRestore();
  });

  it('is kept by the governor for pools that several classes ask', () => {
    const core = spec('core', { limit: 1000, windowMs: HOUR, source: 'documented' });
    const world = new World([core]);
    const one = (priority: 'high' | 'normal'): void => {
      world.pass(SECOND);
      world.end(world.arrive({ priority }).key);
    };
    const classes = () => {
      const offered = world.governor.state.pools.get('test/cred-a/core')?.offered ?? null;
      return offered === null ? null : world.governor.outlook.classesOf(offered);
    };
    for (let i = 0; i < 5; i++) one('normal');
    expect(classes()).toBeNull();
    one('high');
    expect(classes()).toBeInstanceOf(ClassForecasts);
  });
});
