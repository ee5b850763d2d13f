/** What a class that is held back may be given by when, and what follows for those who wait. */
import { describe, expect, it } from 'vitest';
import { rest, within } from '../../src/core/governor/demand.ts';
import { Stretch } from '../../src/core/governor/fair-stretch.ts';
import { Protection } from '../../src/core/governor/protection.ts';
import type { LiveRequest, PoolDraw } from '../../src/core/governor/request.ts';
import { makePool } from '../../src/core/quota/make.ts';
import { HOUR, MINUTE, SECOND } from '../../src/core/units.ts';
import { HOURLY, POLICY } from './protection-sim.ts';
import { kinds, spec, World } from './world.ts';

const START = 1_700_006_400_000;

describe('demand that is seen in part', () => {
  const law = { mean: 100, variance: 400, lump: 2, unsure: 1 };

  it('is the same in all when what came first was what was expected', () => {
    const first = within(law, 0.25);
    const last = rest(law, 0.25, first.mean);
    expect(first.mean + last.mean).toBeCloseTo(100);
    expect(within(law, 1).variance).toBeCloseTo(400);
    // Chance adds up; the rate that is not known is the same in both.
    expect(first.variance).toBeLessThan(100);
  });

  it('becomes less, and surer, when nothing came', () => {
    const quiet = rest(law, 0.5, 0);
    expect(quiet.mean).toBeCloseTo(100 * 0.5 * (1 / 1.5));
    expect(quiet.variance / quiet.mean).toBeLessThan(4);
    expect(rest({ ...law, unsure: 0 }, 0.5, 0).mean).toBeCloseTo(50);
  });
});

describe('the supply of a class', () => {
  function scene(askedMs: number) {
    const pool = makePool('hourly', { ...HOURLY, limit: 1000 }, 'a');
    const protection = new Protection({ policy: POLICY });
    let now = START;
    for (; now < START + askedMs; now += 5 * SECOND) pool.asked(0, 1, now);
    const draws = [{ pool, units: 1, sure: true, keepShare: 0 }];
    const who = { rank: 2, draws, arrivedWall: now, maxWaitMs: MINUTE, party: { identity: 'a' } };
    const request = who as unknown as LiveRequest;
    const draw = draws[0] as PoolDraw;
    const supply = (waits: boolean) => protection.supplyOf(request, draw, null, waits, now);
    return { supply, protection, request, draw, now, pool };
  }

  it('never falls, is its floor at least, and goes on in the windows to come', () => {
    const { supply, now } = scene(4 * HOUR + 10 * MINUTE);
    const by = supply(false);
    let before = 0;
    for (let ms = 0; ms < 5 * HOUR; ms += MINUTE) {
      const units = by.by(now + ms);
      expect(units).toBeGreaterThanOrEqual(before - 1e-6);
      before = units;
    }
    expect(by.by(now + 30 * MINUTE)).toBeGreaterThanOrEqual(0.02 * 1000 * 0.5 - 1e-6);
    // 720 of 1,000 are asked above it in each.
    expect(before).toBeGreaterThan(4 * 200);
    expect(before).toBeLessThan(5.5 * 450);
    expect(by.by(by.when(500))).toBeGreaterThanOrEqual(500);
    expect(by.by(by.when(500) - SECOND)).toBeLessThan(500);
  });

  it('is reckoned higher for those who wait, who are asked again, than for a newcomer', () => {
    const { supply, now } = scene(4 * HOUR + 10 * MINUTE);
    const at = now + 45 * MINUTE;
    expect(supply(true).by(at)).toBeGreaterThan(supply(false).by(at));
  });

  it('is less by what was given since', () => {
    const { supply, protection, request, draw, now } = scene(4 * HOUR + 10 * MINUTE);
    protection.holdsBackUntil({ ...request, draws: [{ ...draw, units: 900 }] }, draw, now);
    const before = supply(false).by(now + HOUR);
    protection.holdsBackUntil(request, { ...draw, units: 990 }, now);
    protection.sent(request, now);
    expect(supply(false).by(now + HOUR)).toBeCloseTo(before - 1);
  });

  it('of the next windows is not reckoned from the first moments of demand', () => {
    const { protection, request, draw, now } = scene(30 * SECOND);
    // Six in half a minute would be 720 an hour: this window's, perhaps; of the next nobody knows.
    const turn = protection.turnBehind(request, draw, 1900, now);
    expect(turn).toBeLessThan(now + 2 * HOUR);
  });
});

describe('who waits for a bucket', () => {
  const bucket = spec('bucket', {
    kind: 'bucket',
    limit: 100,
    windowMs: 100 * SECOND,
    source: 'policy',
  });

  it('is told before his time is up when those who came after him take all of it', () => {
    const world = new World([bucket]);
    const asking = { path: '/bucket', maxWaitMs: 20 * SECOND };
    for (let i = 0; i < 100; i++) world.arrive({ path: '/bucket' });
    const low = world.arrive({ ...asking, priority: 'background' });
    expect(low.effects).toEqual([]);
    for (let i = 0; i < 40; i++) world.arrive({ ...asking, priority: 'high', maxWaitMs: MINUTE });
    const told = world.run(10 * SECOND).filter(({ type }) => type === 'respond');
    expect(told.map((effect) => effect.type === 'respond' && effect.refusal.code)).toEqual([
      'RL_QUOTA',
    ]);
  });

  it('is served as before when nobody comes', () => {
    const world = new World([bucket]);
    for (let i = 0; i < 100; i++) world.arrive({ path: '/bucket' });
    world.arrive({ path: '/bucket', priority: 'background', maxWaitMs: 20 * SECOND });
    expect(kinds(world.run(20 * SECOND))).toEqual(['forward']);
  });
});

it('waits that differ much promise little, and those that are alike much', () => {
  const alike = new Stretch();
  const uneven = new Stretch();
  for (let i = 0; i < 100; i++) {
    alike.add(3 * MINUTE, MINUTE);
    uneven.add(i % 2 === 0 ? 0 : 6 * MINUTE, MINUTE);
  }
  expect(alike.factor(1, MINUTE)).toBeCloseTo(uneven.factor(1, MINUTE), 0);
  expect(alike.least(1, MINUTE)).toBeGreaterThan(2);
  expect(uneven.least(1, MINUTE)).toBe(1);
});
