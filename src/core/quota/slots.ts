import type { Units } from '../units.ts';

/** So many dropped slots stay in front before the rest is moved up. */
const MANY_DROPPED = 256;

/**
 * Units by slot of time, in rising order: added at the end, dropped from the front. Keeps running
 * totals, so that the slot with which so many units will have come back is found in O(log n).
 */
export class Slots {
  private numbers: number[] = [];
  private units: Units[] = [];
  /** Units of all slots up to this one, dropped ones included. */
  private totals: Units[] = [];
  private first = 0;
  private dropped: Units = 0;

  get size(): number {
    return this.numbers.length - this.first;
  }

  /** @param slot no smaller than the last one */
  add(slot: number, units: Units): void {
    const last = this.numbers.length - 1;
    const total = (last < this.first ? this.dropped : (this.totals[last] as Units)) + units;
    if (last >= this.first && this.numbers[last] === slot) {
      this.units[last] = (this.units[last] as Units) + units;
      this.totals[last] = total;
      return;
    }
    this.numbers.push(slot);
    this.units.push(units);
    this.totals.push(total);
  }

  /**
   * Drops those before `bound`.
   * @param sum of what was added; one by one, so that fractions add up the same in every fold
   * @returns what is left of it
   */
  dropBefore(bound: number, sum: Units): Units {
    let left = sum;
    while (this.first < this.numbers.length && (this.numbers[this.first] as number) < bound) {
      left -= this.units[this.first] as Units;
      this.dropped = this.totals[this.first] as Units;
      this.first += 1;
    }
    if (this.size === 0) this.clear();
    else if (this.first > MANY_DROPPED) this.moveUp();
    return left;
  }

  /** The slot up to which there are so many units, or `null` when there are not as many. */
  holding(units: Units): number | null {
    const { totals, dropped } = this;
    let low = this.first;
    let high = totals.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((totals[middle] as Units) - dropped >= units) high = middle;
      else low = middle + 1;
    }
    return this.numbers[low] ?? null;
  }

  /** Units of the slots before `bound`. */
  before(bound: number): Units {
    const { numbers, totals, dropped } = this;
    let low = this.first;
    let high = numbers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((numbers[middle] as number) < bound) low = middle + 1;
      else high = middle;
    }
    return low > this.first ? (totals[low - 1] as Units) - dropped : 0;
  }

  rows(): [slot: number, units: Units][] {
    const rows: [number, Units][] = [];
    for (let i = this.first; i < this.numbers.length; i++) {
      rows.push([this.numbers[i] as number, this.units[i] as Units]);
    }
    return rows;
  }

  clear(): void {
    this.numbers.length = 0;
    this.units.length = 0;
    this.totals.length = 0;
    this.first = 0;
    this.dropped = 0;
  }

  private moveUp(): void {
    const rows = this.rows();
    this.clear();
    for (const [slot, units] of rows) this.add(slot, units);
  }
}
