import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/core/engine.ts';
import type { Observation } from '../../src/core/observation.ts';
import { spec, World, type Asking } from './world.ts';

const LIMIT = 36_000;
const core = spec('core', { windowMs: 3_600_000 });
const HASTY = { maxWaitMs: 500 };

function retryOf(effects: readonly Effect[]): number {
  const [effect] = effects;
  if (effect?.type !== 'respond') throw new Error('it was not refused');
  return effect.refusal.retryInMs ?? NaN;
}

/** A pool of ten a second that is spent until the reset, so many seconds away. */
function spent(resetInS: number): World {
  const world = new World([core]);
  const first = world.arrive();
  const resetAt = Math.floor(world.now.wall / 1000) * 1000 + resetInS * 1000;
  const quota: Observation = { kind: 'quota', spec: core, limit: LIMIT, used: LIMIT, resetAt };
  world.head(first.key, [quota]);
  world.end(first.key);
  return world;
}

function refused(world: World, asking: Asking): number {
  return retryOf(world.arrive({ ...HASTY, ...asking }).effects);
}

describe('those who are refused', () => {
  it('come back one after the other, not all at the reset', () => {
    const world = spent(20);
    const back = Array.from({ length: 400 }, (_, i) =>
      refused(world, { agent: `agent-${String(i)}`, path: '/core:1' }),
    );
    // The reset, and the second that guards it.
    expect(Math.min(...back)).toBeGreaterThanOrEqual(21_000);
    for (let from = 21_000; from < 60_000; from += 1000) {
      const inSecond = back.filter((ms) => ms >= from && ms < from + 1000).length;
      // Ten a second are served; a jitter of a second lets neighbours trade places.
      expect(inSecond).toBeLessThanOrEqual(from === 21_000 ? 11 : 16);
    }
    expect(Math.max(...back)).toBeLessThan(21_000 + 42_000);
  });

  it('are given the very same slot if they ask again too early', () => {
    const world = spent(20);
    const slots: number[] = [];
    for (let i = 0; i < 30; i++) {
      slots.push(world.now.wall + refused(world, { agent: 'deaf', path: '/core:1' }));
      world.pass(500);
    }
    // The jitter alone differs.
    expect(Math.max(...slots) - Math.min(...slots)).toBeLessThanOrEqual(1000);
    const next = world.now.wall + refused(world, { agent: 'other', path: '/core:1' });
    expect(next - Math.min(...slots)).toBeLessThanOrEqual(1200);
  });

  it('have slots of their own though they ask the same at once', () => {
    const world = spent(20);
    const back = Array.from({ length: 50 }, () => refused(world, { path: '/core:1' }));
    expect(Math.max(...back) - Math.min(...back)).toBeGreaterThan(4000);
  });

  it('by a provider that asked to wait come after that, and spread', () => {
    const open = spec('open', { limit: 600, kind: 'rolling', windowMs: 60_000, source: 'policy' });
    const world = new World([open]);
    const first = world.arrive({ path: '/open' });
    const slow = {
      kind: 'throttled',
      class: 'overloaded',
      scope: 'provider',
      code: 'busy',
    } as const;
    world.head(first.key, [{ ...slow, retryInMs: 9000 }], 503);
    world.end(first.key);
    const back = Array.from({ length: 100 }, (_, i) =>
      refused(world, { agent: `agent-${String(i)}`, path: '/open' }),
    );
    expect(Math.min(...back)).toBeGreaterThanOrEqual(9000);
    expect(back.filter((ms) => ms < 10_000).length).toBeLessThanOrEqual(11);
    expect(Math.max(...back)).toBeGreaterThan(15_000);
  });

  it('are told never to come back where nothing can help', () => {
    const world = spent(20);
    const [effect] = world.arrive({ ...HASTY, path: `/core:${String(LIMIT + 1)}` }).effects;
    expect(effect).toMatchObject({ refusal: { code: 'RL_TOO_LARGE', retryInMs: null } });
  });
});
