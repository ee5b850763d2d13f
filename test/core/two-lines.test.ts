import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/core/engine.ts';
import { spec, World } from './world.ts';

const quick = spec('quick', { kind: 'rolling', limit: 2, windowMs: 1000, source: 'policy' });
const slots = spec('slots', { kind: 'concurrent', limit: 1, source: 'policy' });
const LONG = { maxWaitMs: 600_000 };

function keysOf(effects: readonly Effect[]): number[] {
  return effects.flatMap((effect) => (effect.type === 'forward' ? [effect.key] : []));
}

/** Two took all of `quick`; whoever comes next waits for it. */
function crowded() {
  const world = new World([quick, slots]);
  const taken = [world.arrive({ path: '/quick' }).key, world.arrive({ path: '/quick' }).key];
  const ask = (path: string): number => world.arrive({ path, ...LONG }).key;
  const waiting = (): number[] =>
    [...world.governor.room.lines.values()].map(({ size }) => size).sort((a, b) => a - b);
  return { world, taken, ask, waiting };
}

describe('those who wait for one pool and need another as well', () => {
  it('stay where they are while the other is full, but for the first of them', () => {
    const { world, taken, ask, waiting } = crowded();
    for (const key of taken) world.end(key);
    const all = Array.from({ length: 50 }, () => ask('/quick,slots'));
    expect(keysOf(world.run(1100))).toEqual([all[0]]);
    expect(waiting()).toEqual([1, 48]);
  });

  it('are served in order when it gives something, one after the other', () => {
    const { world, taken, ask } = crowded();
    for (const key of taken) world.end(key);
    const all = Array.from({ length: 20 }, () => ask('/quick,slots'));
    const went = keysOf(world.run(1100));
    for (let i = 0; i < 100 && went.length < all.length; i++) {
      world.pass(300);
      went.push(...keysOf(world.end(went.at(-1) ?? 0)), ...keysOf(world.run(300)));
    }
    expect(went).toEqual(all);
  });

  it('do not keep those from going who need the first alone', () => {
    const { world, taken, ask } = crowded();
    for (const key of taken) world.end(key);
    const both = Array.from({ length: 40 }, () => ask('/quick,slots'));
    const alone = ask('/quick');
    expect(keysOf(world.run(1100))).toEqual([both[0], alone]);
  });

  it('are looked at when the last of those who went on is gone', () => {
    const { world, taken, ask, waiting } = crowded();
    const holder = world.arrive({ path: '/slots' }).key;
    for (const key of taken) world.end(key);
    const [first, second] = [ask('/quick,slots'), ask('/quick,slots')];
    expect(keysOf(world.run(1100))).toEqual([]);
    expect(waiting()).toEqual([1, 1]);
    world.end(first, 'gone');
    expect(keysOf(world.end(holder))).toEqual([second]);
    expect(waiting()).toEqual([]);
  });
});
