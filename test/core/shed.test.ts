/** Those who wait for more than a window will give are told so when it becomes known. */
import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/core/engine.ts';
import { Stretch } from '../../src/core/governor/fair-stretch.ts';
import { MINUTE, SECOND } from '../../src/core/units.ts';
import { spec, World } from './world.ts';

const hourly = spec('hourly', {
  kind: 'fixed',
  limit: 500,
  windowMs: 60 * MINUTE,
  source: 'policy',
});
const BEGIN = 1_700_000_000_000 - (1_700_000_000_000 % (60 * MINUTE));
const PATIENCE = 40 * MINUTE;

/** How those who began to wait ended: codes of refusals, and how long before their deadlines. */
interface Ends {
  served: number;
  readonly refused: { readonly code: string; readonly earlyMs: number }[];
}

/** A class above asks at one pace, a batch below comes, and then the class above asks at another. */
function batchBetween(beforeMs: number, afterMs: number): Ends {
  const on = new World([hourly]);
  on.now = { wall: BEGIN + 1000, mono: 1000 };
  const deadlines = new Map<number, number>();
  const ends: Ends = { served: 0, refused: [] };
  const note = (effects: readonly Effect[]): void => {
    for (const effect of effects) {
      if (effect.type !== 'forward' && effect.type !== 'respond') continue;
      const deadline = deadlines.get(effect.key);
      if (deadline === undefined) continue;
      deadlines.delete(effect.key);
      if (effect.type === 'forward') ends.served += 1;
      else ends.refused.push({ code: effect.refusal.code, earlyMs: deadline - on.now.mono });
    }
  };
  const above = (everyMs: number, ms: number): void => {
    for (let passed = 0; passed < ms; passed += everyMs) {
      const { key, effects } = on.arrive({ path: '/hourly', priority: 'high', maxWaitMs: 0 });
      note([...effects, ...on.end(key), ...on.run(everyMs)]);
    }
  };
  above(beforeMs, 10 * MINUTE);
  for (let i = 0; i < 400; i++) {
    const asking = { agent: `crawler-${String(i % 4)}`, maxWaitMs: PATIENCE };
    const at = on.now.mono;
    const { key, effects } = on.arrive({ path: '/hourly', priority: 'background', ...asking });
    if (effects.length === 0) deadlines.set(key, at + PATIENCE);
    else note(effects);
    on.pass(50);
  }
  above(afterMs, 45 * MINUTE);
  expect(deadlines.size).toBe(0);
  return ends;
}

describe('who waits in vain', () => {
  it('is refused before his time is up, by the quota', () => {
    const { served, refused } = batchBetween(12 * SECOND, 7 * SECOND);
    expect(served).toBeGreaterThan(0);
    expect(refused.length).toBeGreaterThan(50);
    const late = refused.filter(({ code }) => code === 'RL_MAX_WAIT');
    expect(late.length).toBeLessThanOrEqual(refused.length / 50);
    const early = refused.filter(({ earlyMs }) => earlyMs > MINUTE);
    expect(early.length).toBeGreaterThan(refused.length / 2);
  });

  it('is hardly anybody where those above ask for less than was expected', () => {
    const { served, refused } = batchBetween(8 * SECOND, 30 * SECOND);
    expect(served).toBeGreaterThan(100);
    expect(refused.length).toBeLessThan(served / 10);
  });
});

it('a few short waits that became long say little of a long one, and many like it all', () => {
  const few = new Stretch();
  few.add(2 * MINUTE, MINUTE);
  expect(few.factor(1, MINUTE)).toBeCloseTo(1.5);
  expect(few.factor(1, 40 * MINUTE)).toBeLessThan(1.05);
  const many = new Stretch();
  for (let i = 0; i < 100; i++) many.add(80 * MINUTE, 40 * MINUTE);
  expect(many.factor(1, 40 * MINUTE)).toBeGreaterThan(1.9);
});
