import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NumberTable } from '../../src/core/governor/number-table.ts';

describe('a number table', () => {
  it('does what a Map does', () => {
    const key = fc.oneof(fc.nat(40), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
    const step = fc.record({ act: fc.constantFrom('set', 'set', 'delete'), key });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 1500 }), (steps) => {
        const table = new NumberTable<number>();
        const map = new Map<number, number>();
        for (const [i, { act, key: k }] of steps.entries()) {
          if (act === 'set') {
            table.set(k, i);
            map.set(k, i);
          } else expect(table.delete(k)).toBe(map.delete(k));
          expect(table.get(k)).toBe(map.get(k));
        }
        expect(table.size).toBe(map.size);
        expect(table.values()).toEqual([...map].sort((a, b) => a[0] - b[0]).map(([, v]) => v));
      }),
    );
  });
});
