import { describe, expect, it } from 'vitest';
import { Pacers } from '../../src/core/governor/pacers.ts';
import { Debt } from '../../src/core/policy/pacing.ts';

describe('a pacer', () => {
  it('gives one slot after another', () => {
    const pacers = new Pacers();
    const pace = { rule: 'r', perSecond: 2 };
    const waits = [0, 0, 0].map(() => {
      const wait = pacers.wait(pace, 1000);
      pacers.take(pace, 1000);
      return wait;
    });
    expect(waits).toEqual([0, 500, 1000]);
    expect(pacers.wait(pace, 2500)).toBe(0);
    // Nobody saves slots up.
    expect(pacers.wait(pace, 60_000)).toBe(0);
    pacers.take(pace, 60_000);
    expect(pacers.wait(pace, 60_000)).toBe(500);
    expect(pacers.wait({ ...pace, rule: 'other' }, 60_000)).toBe(0);
  });

  it('spreads units, not requests, and moves slots when the rhythm changes', () => {
    const pacers = new Pacers();
    // 10 units a second: one request of 50 is worth 5 seconds.
    const large = { rule: 'r', pool: 'p', perSecond: 0.2, units: 50 };
    const small = { rule: 'r', pool: 'p', perSecond: 2, units: 5 };
    pacers.take(large, 0);
    expect(pacers.wait(small, 0)).toBe(5000);
    // Others gave units back: twice as fast.
    expect(pacers.wait({ ...small, perSecond: 4 }, 0)).toBe(2500);
    expect(pacers.wait({ ...small, burst: 20 }, 0)).toBe(3000);
    expect(pacers.wait({ ...small, resetInMs: 1200 }, 0)).toBe(1200);
  });

  it('waits for ever where nothing flows', () => {
    const debt = new Debt(0);
    debt.took(1, 0, 0);
    expect(debt.wait(1e9, 0, 0)).toBe(Infinity);
    expect(debt.wait(0, 0, 1)).toBe(0);
  });
});
