/** One step does a bounded amount of work, however many there are to let go. */
import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/core/engine.ts';
import { spec, World } from './world.ts';

const WAITERS = 300;
/** Far fewer than wait, far more than come in one moment otherwise. */
const MOST = 100;

const keysOf = (effects: readonly Effect[], type: Effect['type']): number[] =>
  effects.flatMap((effect) => (effect.type === type && 'key' in effect ? [effect.key] : []));

/** A window that is used up, and who waits for its end, in the order in which they came. */
function crowd(limit = 1000): { world: World; waiting: number[] } {
  const core = spec('core', { windowMs: 3_600_000 });
  const world = new World([core]);
  const first = world.arrive();
  const resetAt = Math.floor(world.now.wall / 1000) * 1000 + 60_000;
  const used = { kind: 'quota', spec: core, limit, used: limit, remaining: 0 } as const;
  world.head(first.key, [{ ...used, resetAt }]);
  world.end(first.key);
  const waiting: number[] = [];
  for (let i = 0; i < WAITERS; i++) {
    waiting.push(world.arrive({ maxWaitMs: 62_000 }).key);
    world.pass(1);
  }
  return { world, waiting };
}

/** Lets time pass up to the step in which the first go. */
function untilTheFirstGo(world: World): number[] {
  for (let i = 0; i < 1000; i++) {
    const next = world.governor.wakeAt() ?? Infinity;
    if (next > world.now.mono) world.pass(next - world.now.mono);
    const gone = keysOf(world.wake(), 'forward');
    if (gone.length > 0) return gone;
  }
  return [];
}

describe("at a window's end", () => {
  it('those who waited go in several steps, at the same time and in their order', () => {
    const { world, waiting } = crowd();
    const gone = untilTheFirstGo(world);
    const at = world.now.mono;
    let steps = 1;
    while (gone.length < WAITERS && steps < 100) {
      expect(world.governor.wakeAt()).toBeLessThanOrEqual(at);
      const more = keysOf(world.wake(), 'forward');
      expect(more.length).toBeGreaterThan(0);
      expect(more.length).toBeLessThan(MOST);
      gone.push(...more);
      steps += 1;
    }
    expect(gone).toEqual(waiting);
    expect(steps).toBeGreaterThan(WAITERS / MOST);
    expect(world.governor.room.lines.size).toBe(0);
  });

  it('whoever comes between two of those steps neither goes first nor is refused', () => {
    const { world, waiting } = crowd();
    const gone = untilTheFirstGo(world);
    expect(gone.length).toBeLessThan(MOST);
    const newcomer = world.arrive({ maxWaitMs: 5_000 });
    expect(keysOf(newcomer.effects, 'respond')).toEqual([]);
    expect(keysOf(newcomer.effects, 'forward')).toEqual([]);
    gone.push(...keysOf(world.run(0), 'forward'));
    expect(gone).toEqual([...waiting, newcomer.key]);
  });

  it('whoever comes between two of those steps takes nothing from those who waited', () => {
    const { world, waiting } = crowd(WAITERS);
    const gone = untilTheFirstGo(world);
    const newcomer = world.arrive({ maxWaitMs: 900_000 });
    expect(newcomer.effects).toEqual([]);
    gone.push(...keysOf(world.run(0), 'forward'));
    expect(gone).toEqual(waiting);
  });
});

describe('a reservation that nobody settles', () => {
  it('expires though others wait', () => {
    const slots = spec('slots', { kind: 'concurrent', limit: 1, source: 'policy' });
    const world = new World([slots]);
    world.arrive({ path: '/slots' });
    const waits = world.arrive({ path: '/slots', maxWaitMs: 7_200_000 });
    expect(keysOf(world.run(29 * 60_000), 'forward')).toEqual([]);
    expect(keysOf(world.run(3 * 60_000), 'forward')).toEqual([waits.key]);
  });
});
