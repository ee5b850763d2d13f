/** Limits nobody documents: found by the first refusal that no quota explains, and outgrown. */
import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/core/engine.ts';
import { evolve } from '../../src/core/governor/evolve.ts';
import { saveState } from '../../src/core/governor/saved-state.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import { hiddenFrom, Meter, type HiddenLimit } from '../../src/core/quota/hidden.ts';
import type { Observation, ThrottleObservation } from '../../src/core/observation.ts';
import { spec, World } from './world.ts';

const T0 = 1_700_000_000_000;

function limitRefusedAt(perS: number): HiddenLimit {
  const limit = hiddenFrom('test/me/hidden/rest', 'test');
  limit.refused(perS, T0 - 100, T0, T0 + 5000);
  return limit;
}

describe('a meter', () => {
  it('measures what is sent in half seconds, smoothed', () => {
    const meter = new Meter();
    expect(meter.rate(0)).toBe(0);
    for (let at = 0; at < 5000; at += 100) meter.sent(at);
    expect(meter.rate(5000)).toBeCloseTo(10, 1);
    expect(meter.rate(5500)).toBeCloseTo(2, 1);
    expect(meter.rate(60_000)).toBeLessThan(0.1);
  });

  it('takes a burst for as fast as it is, and one alone for nothing', () => {
    const meter = new Meter();
    meter.sent(1000);
    expect(meter.rate(1010)).toBe(0);
    for (let i = 0; i < 9; i++) meter.sent(1010);
    expect(meter.rate(1020)).toBe(20);
  });
});

describe('a hidden limit', () => {
  it('begins at 0.7 of the rate refused when the provider lets in again, and grows as CUBIC does', () => {
    const limit = limitRefusedAt(20);
    const from = T0 + 5000;
    // Six times as long as the provider shut everybody out.
    const rest = 30_000;
    expect(limit.rate(from)).toBeCloseTo(14, 6);
    expect(limit.rate(from - 4000)).toBeCloseTo(14, 6);
    expect(limit.rate(from + rest / 2)).toBeCloseTo(20 - 6 / 8, 6);
    expect(limit.rate(from + rest)).toBeCloseTo(20, 6);
    expect(limit.rate(from + 2 * rest)).toBeCloseTo(26, 6);
    expect(limitRefusedAt(0.1).rate(from)).toBe(0.5);
  });

  it('grows as fast as the SDKs do where a refusal costs nothing', () => {
    const limit = hiddenFrom('test/me/hidden/rest', 'test');
    limit.refused(20, T0 - 100, T0, T0);
    expect(limit.rate(T0 + Math.cbrt((0.3 * 20) / 0.4) * 1000)).toBeCloseTo(20, 6);
  });

  it('gives out slots at that rate', () => {
    const limit = limitRefusedAt(10);
    let now = T0 + 5000;
    const sent: number[] = [];
    while (sent.length < 30) {
      const at = limit.earliest(0, now, 0, '');
      if (at <= now) {
        limit.take(now);
        sent.push(now);
      } else now = at;
    }
    const first = sent.filter((at) => at < T0 + 6000).length;
    // Seven a second, and what a fifth of one lets through at once: never more than was refused.
    expect(first).toBeGreaterThanOrEqual(7);
    expect(first).toBeLessThanOrEqual(9);
  });

  it('takes answers of one moment for one refusal, and rests longer after each', () => {
    const limit = limitRefusedAt(10);
    const before = limit.rate(T0 + 9000);
    limit.refused(10, T0 - 50, T0 + 10, T0 + 5000);
    expect(limit.rate(T0 + 9000)).toBe(before);
    limit.refused(10, T0 + 8000, T0 + 8500, T0 + 8500);
    const [first, second] = [limitRefusedAt(10), limit];
    expect(second.rate(T0 + 8500 + 3000)).toBeLessThan(first.rate(T0 + 5000 + 3000));
  });

  it('refused at about the same rate rests twice as long; refused soon it falls further', () => {
    const limit = limitRefusedAt(10);
    const at = T0 + 5000 + 40_000;
    const rate = limit.rate(at);
    limit.refused(10, at - 50, at, at + 5000);
    expect(limit.rate(at + 5000)).toBeCloseTo(0.7 * rate, 6);
    expect(limit.rate(at + 5000 + 60_000)).toBeCloseTo(rate, 6);
    const soon = at + 5000 + 1000;
    const low = limit.rate(soon);
    limit.refused(10, soon - 50, soon, soon + 5000);
    expect(limit.rate(soon + 5000)).toBeCloseTo(0.49 * low, 6);
    expect(limit.rate(soon + 5000 + 60_000)).toBeCloseTo(0.7 * low, 6);
  });

  it('is forgotten when it has grown to four times what was refused', () => {
    const limit = limitRefusedAt(10);
    const grown = 30_000 * (1 + Math.cbrt(3 / 0.3));
    expect(limit.isOver(T0 + 5000 + grown - 50)).toBe(false);
    expect(limit.isOver(T0 + 5000 + grown + 50)).toBe(true);
  });

  it('is forgotten within hours, however long a refusal lasts', () => {
    const limit = hiddenFrom('test/me/hidden/rest', 'test');
    const hour = 3_600_000;
    limit.refused(10, T0 - 100, T0, T0 + 24 * hour);
    expect(limit.isOver(T0 + 26 * hour)).toBe(false);
    expect(limit.isOver(T0 + 28 * hour)).toBe(true);
  });
});

describe('in the governor', () => {
  const free = spec('free', { limit: 10_000, source: 'documented', windowMs: 60_000 });
  const slow = (more: Partial<ThrottleObservation> = {}): Observation => ({
    ...{ kind: 'throttled', class: 'secondary', scope: 'identity', code: 'too_fast' },
    ...{ retryInMs: 2000 },
    ...more,
  });

  /** Twenty at once, of which one is refused. */
  function burst(told: Observation[]): World {
    const world = new World([free]);
    const keys = Array.from({ length: 20 }, () => world.arrive({ path: '/free' }).key);
    world.pass(100);
    world.head(keys[0] as number, told, 429);
    for (const key of keys) world.end(key);
    return world;
  }

  it('sleeps until a refusal that no quota explains', () => {
    expect(burst([]).governor.state.hidden.size).toBe(0);
    expect(burst([slow({ class: 'primary' })]).governor.state.hidden.size).toBe(0);
    expect(
      burst([slow({ class: 'overloaded', scope: 'provider' })]).governor.state.hidden.size,
    ).toBe(0);
    expect(burst([slow({ scope: 'pool', spec: free })]).governor.state.hidden.size).toBe(0);
    expect([...burst([slow()]).governor.state.hidden.keys()]).toEqual(['test/cred-a/hidden/rest']);
    expect(burst([slow({ class: 'slow_down', scope: 'request' })]).governor.state.hidden.size).toBe(
      1,
    );
  });

  it('paces that identity and class after the wait it was told, nobody else', () => {
    const world = burst([slow()]);
    const waiting = Array.from({ length: 80 }, () => world.arrive({ path: '/free' }).key);
    expect(world.arrive({ path: '/free', credential: 'b' }).effects).toHaveLength(1);
    expect(world.run(1990)).toEqual([]);
    // The gate lets one try, and then more of them step by step; the limit outlasts it.
    const sent: { key: number; at: number }[] = [];
    const answer = (effects: readonly Effect[]): void => {
      for (const effect of [...effects]) {
        if (effect.type !== 'forward') continue;
        sent.push({ key: effect.key, at: world.now.wall });
        const told: Observation[] = [{ kind: 'charge', spec: free, units: 1 }];
        answer([...world.head(effect.key, told, 200), ...world.end(effect.key)]);
      }
    };
    const from = world.now.wall + 10;
    for (let ms = 0; ms < 1000; ms += 10) answer(world.run(10));
    expect(sent[0]).toEqual({ key: waiting[0], at: from });
    // Forty a second were refused: 28, a fifth of them at once, and then one by one.
    expect(sent.length).toBeGreaterThan(28);
    expect(sent.length).toBeLessThan(40);
    expect(sent.at(-1)?.at).toBeGreaterThan(from + 900);
  });

  it('says so to those who wait, and folds to the same', () => {
    const world = burst([slow({ scope: 'request' })]);
    for (let i = 0; i < 60; i++) world.arrive({ path: '/free' });
    const reasons = world.entries
      .filter(({ kind }) => kind === 'decided')
      .map(({ data }) => data[2]);
    expect(reasons.at(-1)).toMatch(/refused at about 40 a second.*28 a second are let through/);
    const folded = new EngineState();
    for (const entry of world.entries) evolve(folded, JSON.parse(JSON.stringify(entry)));
    const { wall } = world.now;
    expect(saveState(folded, wall)).toEqual(saveState(world.governor.state, wall));
  });
});
