/** What a provider charges for estimates is learned from what its answers say is left. */
import { describe, expect, it } from 'vitest';
import { evolve } from '../../src/core/governor/evolve.ts';
import { loadState, saveState } from '../../src/core/governor/saved-state.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import type { Entry } from '../../src/core/ledger/entry.ts';
import { expand } from '../../src/core/ledger/expand.ts';
import { Charging } from '../../src/core/quota/charging.ts';
import { makePool } from '../../src/core/quota/make.ts';
import { Random } from '../../src/sim/random.ts';
import { chance } from './llm-world.ts';
import { spec, World } from './world.ts';

const LIMIT = 100_000;
const PER_UNIT = 60_000 / LIMIT;
const T0 = 1_700_000_000_000;

/** A bucket at a provider that charges by its own rule. */
class Bucket {
  private level = LIMIT;
  private at = T0;

  charge(units: number, at: number): number {
    this.level = Math.min(LIMIT, this.level + (at - this.at) / PER_UNIT);
    this.at = at;
    this.level -= units;
    return Math.ceil(LIMIT - this.level);
  }
}

interface Ask {
  readonly at: number;
  readonly asked: number;
  readonly charged: number;
  /** `lost`: no answer; `refused`: not charged. */
  readonly how?: 'answered' | 'lost' | 'refused' | 'unsent';
  readonly answeredAt?: number;
  /** Charged after those that were sent later, this much. */
  readonly late?: number;
}

/** Plays requests, each charged when it was sent and answered when it says. */
function play(
  asks: readonly Ask[],
  others: readonly { at: number; units: number }[] = [],
  othersPerS = 0,
) {
  const charging = new Charging();
  const bucket = new Bucket();
  const missing = new Map<Ask, number>();
  const events: [at: number, order: number, run: () => void][] = [];
  asks.forEach((ask, i) => {
    const { at, asked, charged, how = 'answered' } = ask;
    events.push([at, 0, () => charging.sent(i, asked, at)]);
    const units = how === 'refused' || how === 'unsent' ? 0 : charged;
    const there = at + (ask.late ?? 0);
    events.push([there, 1, () => missing.set(ask, bucket.charge(units, there))]);
    events.push([
      ask.answeredAt ?? at + 900,
      2,
      () => {
        if (how === 'lost') charging.lost(i, true);
        else if (how === 'unsent') charging.lost(i, false);
        else charging.answered(i, missing.get(ask) ?? 0, how === 'refused', PER_UNIT, othersPerS);
      },
    ]);
  });
  for (const { at, units } of others) events.push([at, 1, () => bucket.charge(units, at)]);
  events.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  for (const [, , run] of events) run();
  return charging;
}

/** What is set aside for a unit. */
function factor(charging: Charging): number {
  return charging.likely(100_000) / 100_000;
}

function steady(count: number, ratio: (i: number) => number, more: Partial<Ask> = {}): Ask[] {
  const random = chance(7);
  return Array.from({ length: count }, (_, i) => {
    const asked = 500 + Math.round(2000 * random());
    return { at: T0 + i * 1500, asked, charged: Math.round(asked * ratio(i)), ...more };
  });
}

describe('what an estimate is charged', () => {
  it('is known exactly after two requests with nothing between them', () => {
    const asks = [
      { at: T0, asked: 1000, charged: 1600 },
      { at: T0 + 120_000, asked: 2000, charged: 3200 },
    ];
    expect(factor(play(asks))).toBeCloseTo(1.6, 2);
  });

  it('is what refilled meanwhile, too', () => {
    const asks = [
      { at: T0, asked: 20_000, charged: 50_000 },
      { at: T0 + 600, asked: 4000, charged: 10_000 },
    ];
    expect(factor(play(asks))).toBeCloseTo(2.5, 2);
  });

  it('is learned of those that overlap, whatever the order of their answers', () => {
    const random = new Random(3);
    const asks = steady(200, () => 1.6).map((ask) => ({
      ...ask,
      answeredAt: ask.at + random.between(50, 12_000),
    }));
    const charging = play(asks);
    expect(charging.settled).toBe(true);
    expect(factor(charging)).toBeCloseTo(1.6, 2);
  });

  it.each([100, 900])(
    'is learned of those charged in another order, answered after %i ms',
    (ms) => {
      const asks = Array.from({ length: 120 }, (_, i): Ask => {
        const at = T0 + i * 1500 - (i % 2) * 1495;
        const late = i % 2 === 0 ? { late: 9, answeredAt: at + ms } : { answeredAt: at + 800 };
        return { at, asked: 1000, charged: 1600, ...late };
      });
      expect(Math.abs(factor(play(asks)) - 1.6)).toBeLessThan(0.05);
    },
  );

  it('is learned of many small ones together', () => {
    const random = chance(5);
    const asks = Array.from({ length: 2000 }, (_, i) => ({
      ...{ at: T0 + i * 40, asked: 20, charged: 64 },
      late: Math.round(15 * random()),
    }));
    expect(Math.abs(factor(play(asks)) - 3.2)).toBeLessThan(0.5);
  });

  it('leaves out whoever got no answer, and those beside it', () => {
    const asks = steady(120, () => 1.6).map((ask, i) =>
      i % 5 === 3 ? { ...ask, charged: 9000, how: 'lost' as const } : ask,
    );
    expect(factor(play(asks))).toBeCloseTo(1.6, 2);
  });

  it('is not what two were charged of which one got no answer', () => {
    const asks = steady(40, () => 1.6).map((ask, i) =>
      i % 2 === 1 ? { ...ask, how: 'lost' as const } : ask,
    );
    expect(factor(play(asks))).toBe(1);
  });

  it('is learned on at once after somebody got no answer', () => {
    const asks = steady(12, (i) => (i < 3 ? 1 : 2)).map((ask, i) =>
      i === 2 ? { ...ask, how: 'lost' as const } : ask,
    );
    expect(factor(play(asks))).toBeCloseTo(2, 2);
  });

  it.each(['refused', 'unsent'] as const)('does not count those that are %s', (how) => {
    const asks = steady(60, () => 1.6).map((ask, i) => (i % 2 === 1 ? { ...ask, how } : ask));
    expect(factor(play(asks))).toBeCloseTo(1.6, 2);
    expect(play(asks).settled).toBe(false);
  });

  it('is not what others are known to take all the time', () => {
    const asks = steady(200, () => 1.6);
    const others = Array.from({ length: 3000 }, (_, i) => ({ at: T0 + i * 100, units: 50 }));
    expect(factor(play(asks, others))).toBeGreaterThan(1.75);
    expect(Math.abs(factor(play(asks, others, 500)) - 1.6)).toBeLessThan(0.1);
  });

  it('does not wait for one answer for ever', () => {
    const [first, ...rest] = steady(150, () => 1.6);
    if (first === undefined) throw new Error('nobody asks');
    const charging = play([{ ...first, answeredAt: T0 + 3_600_000 }, ...rest]);
    expect(charging.settled).toBe(true);
    expect(factor(charging)).toBeCloseTo(1.6, 2);
  });

  it('covers its spread', () => {
    const random = chance(11);
    const ratio = steady(400, () => 0.3 + 0.8 * random());
    const covered = factor(play(ratio));
    expect(covered).toBeGreaterThan(0.95);
    expect(covered).toBeLessThan(1.15);
  });

  it('may be less than asked for, but a few do not show it', () => {
    expect(factor(play(steady(12, () => 0.5)))).toBe(1);
    expect(factor(play(steady(60, () => 0.5)))).toBeCloseTo(0.5, 2);
  });

  it('stays within reason', () => {
    expect(factor(play(steady(60, () => 0.001)))).toBe(0.25);
    expect(factor(play(steady(60, () => 9, { asked: 100 })))).toBeLessThanOrEqual(4);
  });

  it('follows a provider that changes its rule', () => {
    const asks = steady(300, (i) => (i < 100 ? 1 : 1.8));
    expect(factor(play(asks.slice(0, 100)))).toBeCloseTo(1, 2);
    expect(factor(play(asks))).toBeCloseTo(1.8, 1);
  });

  it('is not what others take at once', () => {
    const asks = steady(300, () => 1.6);
    const others = Array.from({ length: 75 }, (_, i) => ({ at: T0 + 300 + i * 6000, units: 8000 }));
    expect(factor(play(asks, others))).toBeLessThan(1.75);
  });

  it('is remembered over a restart', () => {
    const asks = steady(90, (i) => 1 + (i % 7) / 10);
    const charging = play(asks);
    charging.sent(1000, 700, T0 + 200_000);
    charging.refusedAsTooLarge(1, LIMIT, T0);
    const loaded = Charging.load(JSON.parse(JSON.stringify(charging.save())));
    for (const one of [charging, loaded]) {
      one.sent(1001, 900, T0 + 200_500);
      one.answered(1000, 1500, false, PER_UNIT, 3);
      one.answered(1001, 2500, false, PER_UNIT, 3);
    }
    expect(loaded.save()).toEqual(charging.save());
  });

  it('fills no memory', () => {
    const charging = new Charging();
    for (let i = 0; i < 5000; i++) {
      charging.sent(i, 100, T0 + i * 30);
      if (i % 2 === 0) charging.answered(i, 5000, true, PER_UNIT, 0);
    }
    for (let i = 0; i < 5000; i++) charging.sent(i, 100, T0 + i * 30);
    expect(JSON.stringify(charging.save()).length).toBeLessThan(20_000);
  });
});

const tokens = spec('tokens', { kind: 'bucket', unit: 'tokens', windowMs: 60_000 });

/** Requests one after the other, each charged `ratio` for what is asked. */
function served(world: World, count: number, ratio: number): void {
  const bucket = new Bucket();
  for (let i = 0; i < count; i++) {
    const asked = 800 + 100 * (i % 5);
    const { key } = world.arrive({ path: `/tokens:${asked}:guess` });
    const missing = bucket.charge(asked * ratio, world.now.wall);
    world.pass(300);
    world.head(key, [{ kind: 'quota', spec: tokens, limit: LIMIT, remaining: LIMIT - missing }]);
    world.end(key);
    world.pass(700);
  }
}

describe('the governor', () => {
  it('sets aside what is charged, and writes both down', () => {
    const world = new World([tokens]);
    served(world, 40, 1.6);
    world.arrive({ path: '/tokens:1000:guess' });
    expect(world.governor.state.pools.get('test/cred-a/tokens')?.held).toBe(1600);
    const last = world.entries.at(-1) as Entry;
    const written = JSON.stringify(expand(last));
    expect(written).toContain('"units":1600');
    expect(written).toContain('"estimated":1000');
  });

  it('sets aside as it is told what is sure', () => {
    const world = new World([tokens]);
    served(world, 40, 1.6);
    world.arrive({ path: '/tokens:1000' });
    expect(world.governor.state.pools.get('test/cred-a/tokens')?.held).toBe(1000);
  });

  it('learns on when one never arrived', () => {
    const world = new World([tokens]);
    served(world, 1, 1.6);
    world.end(world.arrive({ path: '/tokens:1000:guess' }).key, 'unreachable');
    world.pass(1000);
    served(world, 3, 1.6);
    world.arrive({ path: '/tokens:1000:guess' });
    expect(world.governor.state.pools.get('test/cred-a/tokens')?.held).toBe(1600);
  });

  it.each([
    ['what is charged beyond it is somebody else’s', 60, 1],
    ['while little is known it may be ours', 3, 0],
  ])('%s', (_what, known, noticed) => {
    const pool = makePool('test/me/tokens', tokens, 'me');
    pool.charging = play(steady(known, () => 1.6));
    const bucket = new Bucket();
    for (let at = T0 + 600_000; at < T0 + 700_000; at += 10_000) {
      const hold = pool.hold(1600, at);
      if (at === T0 + 680_000) bucket.charge(4000, at);
      const remaining = LIMIT - bucket.charge(1600, at);
      const told = { limit: LIMIT, remaining, used: null, resetAt: null, resetIn: null };
      const seen = { windowMs: null, at: at + 300, now: at + 300, sentAt: at, date: null };
      pool.observe({ ...told, ...seen });
      pool.settle(hold, 1600, at + 300, true);
    }
    expect(pool.outside?.units ?? 0).toBeGreaterThanOrEqual(2000 * noticed);
    expect(pool.outside?.units ?? 0).toBeLessThanOrEqual(4000 * noticed);
  });

  it('knows the same after a restart, from the ledger or a snapshot', () => {
    const world = new World([tokens]);
    served(world, 40, 1.6);
    world.arrive({ path: '/tokens:1000:guess' });
    const { entries, governor, now } = world;
    const resumed = new EngineState();
    const half = Math.floor(entries.length / 2);
    const first = new EngineState();
    for (const entry of entries.slice(0, half)) evolve(first, entry);
    const snapshot = saveState(first, entries[half - 1]?.at ?? 0);
    loadState(resumed, JSON.parse(JSON.stringify(snapshot)));
    for (const entry of entries.slice(half)) evolve(resumed, entry);
    expect(saveState(resumed, now.wall)).toEqual(saveState(governor.state, now.wall));
  });
});
