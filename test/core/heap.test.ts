import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Heap } from '../../src/core/governor/heap.ts';

interface Item {
  readonly size: number;
  place: number;
}

const made = (sizes: readonly number[]): { heap: Heap<Item>; items: Item[] } => {
  const heap = new Heap<Item>(
    (a, b) => a.size < b.size,
    (item, place) => (item.place = place),
  );
  // No two are alike: which of those goes first is nobody's business.
  const items = [...new Set(sizes)].map((size) => ({ size, place: -1 }));
  for (const item of items) heap.push(item);
  return { heap, items };
};
const rising = (items: readonly Item[]): number[] =>
  items.map(({ size }) => size).sort((a, b) => a - b);
const sizes = fc.array(fc.integer({ min: -500, max: 500 }), { maxLength: 120 });

describe('a heap', () => {
  it('gives out its items in order', () => {
    fc.assert(
      fc.property(sizes, (list) => {
        const { heap, items } = made(list);
        const out: number[] = [];
        for (let item = heap.pop(); item !== undefined; item = heap.pop()) out.push(item.size);
        expect(out).toEqual(rising(items));
        expect(items.every(({ place }) => place === -1)).toBe(true);
      }),
    );
  });

  it('shows the first of them in order and keeps them', () => {
    fc.assert(
      fc.property(sizes, fc.nat(140), (list, most) => {
        const { heap, items } = made(list);
        expect(heap.first(most).map(({ size }) => size)).toEqual(rising(items).slice(0, most));
        expect(heap.size).toBe(items.length);
      }),
    );
  });

  it('drops what is not wanted, and every item knows its place', () => {
    fc.assert(
      fc.property(sizes, (list) => {
        const { heap, items } = made(list);
        const even = (item: Item): boolean => item.size % 2 === 0;
        heap.keep(even);
        expect(heap.size).toBe(items.filter(even).length);
        for (const item of items) {
          if (even(item)) expect(heap.at(item.place)).toBe(item);
          else expect(item.place).toBe(-1);
        }
        const kept = rising(items.filter(even));
        expect(heap.first(items.length).map(({ size }) => size)).toEqual(kept);
      }),
    );
  });
});
