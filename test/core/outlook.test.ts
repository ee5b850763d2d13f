/** Forecasts through the governor: what is asked goes in, figures, readings and events come out. */
import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/config/policy/load.ts';
import type { Forecast } from '../../src/core/forecast/forecaster.ts';
import { Outlook } from '../../src/core/governor/outlook.ts';
import type { Entry } from '../../src/core/ledger/entry.ts';
import type { CompiledPolicy } from '../../src/core/policy/types.ts';
import type { JsonObject } from '../../src/core/units.ts';
import { kinds, spec, World } from './world.ts';

const CORE = spec('core', { limit: 1000, windowMs: 3_600_000, source: 'documented' });
const NAME = 'test/cred-a/core';

/** A provider's window that others may use as well. */
class Upstream {
  used = 0;
  reset: number;
  readonly world: World;
  readonly limit: number;
  readonly windowMs: number;

  constructor(world: World, limit = 1000, windowMs = 3_600_000) {
    this.world = world;
    this.limit = limit;
    this.windowMs = windowMs;
    this.reset = world.now.wall + windowMs;
  }

  answer() {
    const { wall } = this.world.now;
    if (wall >= this.reset) {
      this.used = 0;
      this.reset = wall + this.windowMs;
    }
    this.used += 1;
    const remaining = Math.max(0, this.limit - this.used);
    const { limit, used, reset: resetAt } = this;
    return { kind: 'quota' as const, spec: CORE, limit, used, remaining, resetAt };
  }
}

/** One request each `everyMs`. */
function ask(world: World, upstream: Upstream, count: number, everyMs: number, agent = 'agent-1') {
  for (let i = 0; i < count; i++) {
    world.pass(everyMs);
    const { key, effects } = world.arrive({ agent, maxWaitMs: 0 });
    if (!kinds(effects).includes('forward')) continue;
    world.pass(1);
    world.head(key, [upstream.answer()]);
    world.end(key);
  }
}

function forecast(world: World, name = NAME): Forecast {
  const pool = world.governor.state.pools.get(name);
  const found = pool === undefined ? null : world.governor.outlook.forecastOf(pool, world.now.wall);
  if (found === null) throw new Error(`no forecast of ${name}`);
  return found;
}

function told(entries: readonly Entry[]): JsonObject[] {
  return entries
    .filter(({ kind, data }) => kind === 'event' && data[0] === 'forecast_computed')
    .map(({ data }) => data[1] as JsonObject);
}

describe('forecasts of a pool', () => {
  it('fall as use rises', () => {
    const world = new World([CORE]);
    const upstream = new Upstream(world);
    ask(world, upstream, 100, 5000);
    const slow = forecast(world);
    ask(world, upstream, 200, 1000);
    const fast = forecast(world);
    expect(slow.p50).toBeGreaterThan(2_000);
    expect(fast.p50).toBeLessThan((slow.p50 ?? 0) / 2);
    expect(fast.pExhaust).toBeGreaterThan(slow.pExhaust);
    expect(fast.rate).toBeGreaterThan(slow.rate);
    const { p50, p90, p99 } = fast;
    expect(p99).toBeLessThanOrEqual(p90 ?? 0);
    expect(p90).toBeLessThanOrEqual(p50 ?? 0);
  });

  it('are better again after a reset', () => {
    const world = new World([CORE]);
    const upstream = new Upstream(world, 1000, 1_000_000);
    ask(world, upstream, 900, 1000);
    const before = forecast(world);
    world.pass(120_000);
    ask(world, upstream, 10, 1000);
    const after = forecast(world);
    expect(after.p50).toBeGreaterThan(5 * (before.p50 ?? Infinity));
    expect(upstream.used).toBe(10);
  });

  it('notice use that was not sent through here', () => {
    const figures = [0, 4].map((others) => {
      const world = new World([CORE]);
      const upstream = new Upstream(world);
      for (let i = 0; i < 100; i++) {
        ask(world, upstream, 1, 2000);
        upstream.used += others;
      }
      return forecast(world);
    });
    const [alone, shared] = figures as [Forecast, Forecast];
    expect(shared.rate).toBeGreaterThan(3 * alone.rate);
    expect(shared.p50).toBeLessThan((alone.p50 ?? 0) / 3);
  });

  it('widen when others come in bursts', () => {
    const spread = [1, 0].map((steady) => {
      const world = new World([CORE]);
      const upstream = new Upstream(world, 5000);
      for (let i = 0; i < 400; i++) {
        ask(world, upstream, 1, 2000);
        upstream.used += steady === 1 ? 1 : i % 50 === 0 ? 50 : 0;
      }
      const { p50, p99 } = forecast(world);
      return (p99 ?? 0) / (p50 ?? 1);
    });
    expect(spread[1]).toBeLessThan((spread[0] ?? 0) * 0.9);
  });

  it('see what was asked though it was refused, and a retry of it once', () => {
    const world = new World([CORE]);
    const upstream = new Upstream(world, 20);
    ask(world, upstream, 20, 1000);
    const before = forecast(world).rate;
    // Everybody is refused from here on, and the same ones come back after what they were told.
    for (let i = 0; i < 60; i++) {
      world.pass(1000);
      world.arrive({ agent: `agent-${String(i)}`, maxWaitMs: 0 });
    }
    const asked = forecast(world);
    expect(asked.rate).toBeGreaterThan(0.7 * before);
    expect(asked.p50).toBe(0);
    const ahead = world.governor.outlook;
    const pool = world.governor.state.pools.get(NAME);
    if (pool === undefined) throw new Error('no pool');
    world.pass((pool.resetTime(world.now.wall) ?? 0) - world.now.wall + 1000);
    const quiet = ahead.forecastOf(pool, world.now.wall)?.rate ?? NaN;
    for (let i = 0; i < 60; i++) world.arrive({ agent: `agent-${String(i)}`, maxWaitMs: 0 });
    world.pass(1000);
    expect(ahead.forecastOf(pool, world.now.wall)?.rate).toBeLessThanOrEqual(quiet);
  });

  it('are nothing for slots, and for pools without a limit', () => {
    const slots = spec('slots', { kind: 'concurrent', limit: 5 });
    const unknown = spec('unknown');
    const world = new World([slots, unknown]);
    for (let i = 0; i < 20; i++) {
      world.pass(1000);
      world.end(world.arrive({ path: '/slots,unknown' }).key);
    }
    for (const pool of world.governor.state.pools.values()) {
      expect(world.governor.outlook.forecastOf(pool, world.now.wall)).toBeNull();
    }
    expect(told(world.entries)).toEqual([]);
  });

  it('never tell the end of a bucket that fills as fast as it is used', () => {
    const bucket = spec('bucket', {
      kind: 'bucket',
      limit: 60,
      windowMs: 60_000,
      source: 'policy',
    });
    const world = new World([bucket]);
    for (let i = 0; i < 600; i++) {
      world.pass(2000);
      world.end(world.arrive({ path: '/bucket' }).key);
    }
    expect(forecast(world, [...world.governor.state.pools.keys()][0])).toMatchObject({
      p50: null,
      p90: null,
    });
  });
});

describe('a rolling window', () => {
  const rolling = spec('rolling', {
    kind: 'rolling',
    limit: 100,
    windowMs: 60_000,
    source: 'policy',
  });
  const paced = (everyMs: number, count = 300): Forecast => {
    const world = new World([rolling]);
    for (let i = 0; i < count; i++) {
      world.pass(everyMs);
      world.end(world.arrive({ path: '/rolling', maxWaitMs: 0 }).key);
    }
    return forecast(world, [...world.governor.state.pools.keys()][0]);
  };

  it('never runs out of what comes back before', () => {
    expect(paced(1200)).toMatchObject({ p50: null, margin: null });
    // Not yet in balance: nothing has come back so far.
    expect(paced(900, 20)).toMatchObject({ p50: null, margin: null });
    expect(paced(300).p50).toBeLessThan(60);
  });
});

describe('forecasts of agents', () => {
  it('tell whose demand it is', () => {
    const world = new World([CORE]);
    const upstream = new Upstream(world);
    for (let i = 0; i < 60; i++) {
      ask(world, upstream, 3, 1000, 'heavy');
      ask(world, upstream, 1, 1000, 'light');
    }
    const pool = world.governor.state.pools.get(NAME);
    if (pool === undefined) throw new Error('no pool');
    const of = (agent: string) =>
      world.governor.outlook.forecastOfAgent(pool, agent, world.now.wall)?.p50 ?? NaN;
    expect(of('heavy')).toBeGreaterThan(forecast(world).p50 ?? Infinity);
    expect(of('light')).toBeGreaterThan(2 * of('heavy'));
    expect(of('stranger')).toBeNaN();
  });
});

describe('forecast_computed', () => {
  it('tells what is known, and is an event of the pool', () => {
    const world = new World([CORE]);
    ask(world, new Upstream(world), 60, 1000);
    const [first] = told(world.entries);
    expect(Object.keys(first ?? {}).toSorted()).toEqual(
      [
        ...['as_of', 'burn_rate', 'burn_variance', 'margin_s', 'model', 'model_version'],
        ...['p50_s', 'p90_s', 'p99_s', 'p_exhaust', 'remaining', 'reset_in_s'],
      ].toSorted(),
    );
    const entry = world.entries.find(({ data }) => data[0] === 'forecast_computed');
    expect(entry).toMatchObject({ pools: [NAME], request: 0, who: { identity: 'cred-a' } });
  });

  it('is rare under steady load, at most one a second, and comes at once when things change', () => {
    const world = new World([CORE]);
    const upstream = new Upstream(world, 100_000, 3_600_000);
    ask(world, upstream, 3000, 200);
    const steady = told(world.entries);
    expect(steady.length).toBeLessThan(40);
    const late = steady.filter(
      ({ as_of: at }) => Date.parse(at as string) > world.now.wall - 300_000,
    );
    expect(late.length).toBeLessThan(5);
    ask(world, upstream, 4000, 10);
    const moments = told(world.entries).map(({ as_of: at }) => Date.parse(at as string));
    expect(moments.length).toBeGreaterThan(steady.length);
    for (let i = 1; i < moments.length; i++) {
      expect((moments[i] ?? 0) - (moments[i - 1] ?? 0)).toBeGreaterThanOrEqual(1000);
    }
  });
});

describe('whoever only looks', () => {
  it('sees what came last, though nothing followed it', () => {
    const world = new World([CORE]);
    const upstream = new Upstream(world);
    ask(world, upstream, 30, 60_000);
    const pool = world.governor.state.pools.get(NAME);
    if (pool === undefined) throw new Error('no pool');
    const shown = () => world.governor.outlook.shownForecastOf(pool, world.now.wall)?.rate ?? NaN;
    const calm = shown();
    world.pass(60_000);
    ask(world, upstream, 100, 1);
    world.pass(2000);
    expect(shown()).toBeGreaterThan(2 * calm);
    expect(shown()).toBeCloseTo(forecast(world).rate, 9);
  });
});

describe('a clean stop', () => {
  it('tells what a burst at the end made of it', () => {
    const world = new World([CORE]);
    const upstream = new Upstream(world);
    ask(world, upstream, 30, 10_000);
    world.pass(10_000 - (world.now.wall % 1000));
    ask(world, upstream, 400, 1);
    const before = told(world.entries).length;
    const effects = world.governor.step({ type: 'closing', at: world.now });
    const last = effects.flatMap((effect) => (effect.type === 'append' ? [effect.entry] : []));
    expect(told(last)).toHaveLength(1);
    expect(told(world.entries)).toHaveLength(before);
  });
});

describe('a pool that will run out', () => {
  it('is told of now and then, not whenever chance moves it', () => {
    const world = new World([CORE]);
    const upstream = new Upstream(world, 4000);
    // About five a second, unevenly: it lasts for some 800 s.
    for (let i = 0; i < 3000; i++) ask(world, upstream, 1, 20 + ((i * 7919) % 360));
    const all = told(world.entries);
    expect(all.length).toBeGreaterThan(3);
    expect(all.length).toBeLessThan(60);
    expect(all.at(-1)?.['p_exhaust']).toBeGreaterThan(0.9);
  });
});

describe('rules on forecasts', () => {
  const parsed = parsePolicy(
    'p',
    'rules: [{ id: slow, when: forecast.p_exhaust > 0.5, action: delay, with: { for: 2s } }]',
  );
  if (!parsed.ok) throw new Error('broken policy');
  const { policy } = parsed as { policy: CompiledPolicy };

  it('see what was worked out, and nothing is worked out for others', () => {
    const world = new World([CORE], { policy });
    const upstream = new Upstream(world);
    ask(world, upstream, 60, 1000);
    world.pass(1000);
    const { effects } = world.arrive();
    expect(kinds(effects)).toEqual([]);
    const decided = world.entries.findLast(({ kind }) => kind === 'decided');
    expect(JSON.stringify(decided?.data)).toMatch(/forecast\.p_exhaust=(0\.\d+|1)/);
  });

  it('do not hold up who asks little', () => {
    const world = new World([CORE], { policy });
    ask(world, new Upstream(world), 30, 60_000);
    expect(kinds(world.arrive().effects)).toEqual(['forward']);
  });
});

describe('after a restart', () => {
  it('the same entries give the same forecasts, without telling them again', () => {
    const world = new World([CORE]);
    const upstream = new Upstream(world);
    ask(world, upstream, 300, 1500);
    const { state } = world.governor;
    const again = new Outlook(state);
    again.recalling(true);
    for (const entry of world.entries) again.take(entry);
    again.recalling(false);
    const pool = state.pools.get(NAME);
    if (pool === undefined) throw new Error('no pool');
    const now = world.now.wall;
    const before = world.governor.outlook.forecastOf(pool, now);
    const after = again.forecastOf(pool, now);
    expect(after?.p50).toBeCloseTo(before?.p50 ?? NaN, -1);
    expect(after?.rate).toBeCloseTo(before?.rate ?? NaN, 3);
    expect(again.historyOf(pool)).toEqual(world.governor.outlook.historyOf(pool));
    expect(again.dueAt).toBe(Infinity);
    const revived = new World([CORE], { state });
    Object.assign(revived.governor, { outlook: again });
    revived.now = world.now;
    ask(revived, upstream, 20, 1500);
    expect(told(revived.entries).length).toBeLessThan(3);
  });

  it('recalls others at the rate that is still known', () => {
    const world = new World([CORE]);
    const upstream = new Upstream(world);
    for (let i = 0; i < 150; i++) {
      ask(world, upstream, 1, 2000);
      upstream.used += 3;
    }
    const { state } = world.governor;
    const again = new Outlook(state);
    again.recalling(true);
    for (const entry of world.entries) again.take(entry);
    again.recalling(false);
    const pool = state.pools.get(NAME);
    if (pool === undefined) throw new Error('no pool');
    const before = world.governor.outlook.forecastOf(pool, world.now.wall)?.rate ?? NaN;
    const after = again.forecastOf(pool, world.now.wall)?.rate ?? NaN;
    expect(after / before).toBeGreaterThan(0.8);
    expect(after / before).toBeLessThan(1.25);
  });
});

describe('many pools', () => {
  it('are followed up to a bound, the idle ones giving way', () => {
    const world = new World([CORE]);
    const one = (credential: string): void => {
      const { key } = world.arrive({ credential });
      world.end(key);
    };
    for (let i = 0; i < 600; i++) one(String(i));
    world.pass(2000);
    const { state, outlook } = world.governor;
    const known = (): number =>
      [...state.pools.values()].filter((pool) => outlook.forecastOf(pool, world.now.wall) !== null)
        .length;
    expect(known()).toBe(512);
    const first = state.pools.get('test/cred-0/core');
    expect(first && outlook.forecastOf(first, world.now.wall)).not.toBeNull();
    world.pass(700_000);
    one('late');
    world.pass(2000);
    const late = state.pools.get('test/cred-late/core');
    expect(late && outlook.forecastOf(late, world.now.wall)).not.toBeNull();
    expect(known()).toBe(512);
  });
});
