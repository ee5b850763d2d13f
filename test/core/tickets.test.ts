import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/config/policy/load.ts';
import { problemText } from '../../src/config/problem.ts';
import type { Effect } from '../../src/core/engine.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { CompiledPolicy } from '../../src/core/policy/types.ts';
import { spec, World, type Asking } from './world.ts';

const LIMIT = 36_000;
const core = spec('core', { windowMs: 3_600_000 });
function policyOf(text: string): CompiledPolicy {
  const parsed = parsePolicy('test', text);
  if (!parsed.ok) throw new Error(parsed.problems.map(problemText).join('\n'));
  return parsed.policy;
}

const HASTY = { maxWaitMs: 500 };

function retryOf(effects: readonly Effect[]): number {
  const [effect] = effects;
  if (effect?.type !== 'respond') throw new Error('it was not refused');
  return effect.refusal.retryInMs ?? NaN;
}

/** A pool of ten a second that is spent until the reset, so many seconds away. */
function spent(resetInS: number, policy?: CompiledPolicy): World {
  const slow = spec('slow', {
    limit: LIMIT,
    kind: 'bucket',
    windowMs: 3_600_000,
    source: 'policy',
  });
  const world = new World([core, slow], policy === undefined ? {} : { policy });
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

  it('do not queue behind the slots of an agent that was refused often', () => {
    for (const flood of [30, 300]) {
      const world = new World([spec('small', { windowMs: 3_600_000 })]);
      const small = spec('small', { windowMs: 3_600_000 });
      const first = world.arrive({ path: '/small' });
      const resetAt = world.now.wall + 20_000;
      world.head(first.key, [{ kind: 'quota', spec: small, limit: 40, used: 40, resetAt }]);
      world.end(first.key);
      const back = Array.from({ length: flood }, () =>
        refused(world, { agent: 'flood', path: '/small' }),
      );
      // More than a window holds: the rest is told of the windows after it.
      if (flood > 40) expect(Math.max(...back)).toBeGreaterThan(3_600_000);
      for (const agent of ['quiet', 'shy']) {
        expect(refused(world, { agent, path: '/small' })).toBeLessThan(25_000);
      }
    }
  });

  it('with room for them sooner are not sent behind those who wait longer', () => {
    const small = spec('small', { windowMs: 3_600_000 });
    const world = new World([small]);
    const first = world.arrive({ path: '/small' });
    const resetAt = world.now.wall + 20_000;
    world.head(first.key, [{ kind: 'quota', spec: small, limit: 40, used: 40, resetAt }]);
    world.end(first.key);
    for (let i = 0; i < 41; i++) world.arrive({ agent: 'flood', path: '/small' });
    // Its turn would come after the reset, with the first of the crowd.
    expect(refused(world, { agent: 'hasty', path: '/small' })).toBeLessThan(25_000);
  });

  it('by a budget in money come back when it has room, however much each set aside', () => {
    const purse = spec('purse', {
      unit: 'usd',
      kind: 'rolling',
      windowMs: 86_400_000,
      limit: 1000,
      source: 'policy',
    });
    const world = new World([purse]);
    const first = world.arrive({ path: '/purse:990' });
    world.head(first.key, []);
    world.end(first.key);
    const back = Array.from({ length: 20 }, (_, i) =>
      refused(world, { agent: `agent-${String(i)}`, path: '/purse:990' }),
    );
    expect(Math.min(...back)).toBeGreaterThan(86_000_000);
    expect(Math.max(...back)).toBeLessThan(88_000_000);
    expect(new Set(back).size).toBe(20);
  });

  it('by a rule until a reset, or for its pace, have slots of their own as well', () => {
    const policy = policyOf(`
version: 1
rules:
  - { id: low, match: { path: "/core*" }, when: pool.remaining_ratio < 0.5, action: reject }
  - { id: slow, match: { path: "/slow*" }, action: delay, with: { pace: 6/1m } }
`);
    const world = spent(20, policy);
    const back = Array.from({ length: 30 }, () => refused(world, { path: '/core:1' }));
    expect(Math.min(...back)).toBeGreaterThanOrEqual(21_000);
    expect(Math.max(...back) - Math.min(...back)).toBeGreaterThan(2000);
    world.arrive({ path: '/slow' });
    const paced = Array.from({ length: 10 }, () => refused(world, { path: '/slow' }));
    expect(Math.max(...paced)).toBeGreaterThan(80_000);
  });

  it('are told never to come back where nothing can help', () => {
    const world = spent(20);
    const [effect] = world.arrive({ ...HASTY, path: `/core:${String(LIMIT + 1)}` }).effects;
    expect(effect).toMatchObject({ refusal: { code: 'RL_TOO_LARGE', retryInMs: null } });
  });
});
