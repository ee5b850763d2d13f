import type { JsonValue } from '../units.ts';
import { exact } from './exact.ts';

/** Slots are counted in a byte. */
const MOST = 256;

/** The newest values of a series, kept in order of size: quantiles and ranks of what happened lately. */
export class Sample {
  /** The values as they came, oldest overwritten first. */
  private readonly ring: Float32Array;
  /** Slots of the ring, smallest value first. */
  private readonly sorted: Uint8Array;
  private next = 0;
  size = 0;

  constructor(capacity: number) {
    if (capacity > MOST) throw new Error(`a sample holds at most ${String(MOST)} values`);
    this.ring = new Float32Array(capacity);
    this.sorted = new Uint8Array(capacity);
  }

  get bytes(): number {
    return this.ring.byteLength + this.sorted.byteLength;
  }

  add(value: number): void {
    const rounded = Math.fround(value);
    const { sorted, ring } = this;
    if (this.size === ring.length) this.drop(this.next);
    const place = this.rank(rounded);
    sorted.copyWithin(place + 1, place, this.size);
    sorted[place] = this.next;
    this.size += 1;
    ring[this.next] = rounded;
    this.next = (this.next + 1) % ring.length;
  }

  private drop(slot: number): void {
    // `rank` counts those not above: the slot stands before it, among its equals.
    let place = this.rank(this.ring[slot] as number) - 1;
    while (this.sorted[place] !== slot) place -= 1;
    this.sorted.copyWithin(place, place + 1, this.size);
    this.size -= 1;
  }

  /** The value that has so many below it. */
  private at(place: number): number {
    return this.ring[this.sorted[place] as number] as number;
  }

  /** How many values are not above it. */
  private rank(value: number): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.at(mid) <= value) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /** Share of values not above it, with half a value's benefit of the doubt at each end. */
  below(value: number): number {
    return (this.rank(Math.fround(value)) + 0.5) / (this.size + 1);
  }

  /** Interpolated quantile. `p` is clamped to the sample; call it only when there is a value. */
  quantile(p: number): number {
    const place = Math.max(0, Math.min(this.size - 1, p * (this.size + 1) - 1));
    const low = Math.floor(place);
    const here = this.at(low);
    if (low + 1 >= this.size) return here;
    return here + (place - low) * (this.at(low + 1) - here);
  }

  save(): JsonValue {
    const values: number[] = [];
    const start = this.size === this.ring.length ? this.next : 0;
    for (let i = 0; i < this.size; i++) {
      values.push(exact(this.ring[(start + i) % this.ring.length] as number));
    }
    return values;
  }

  /** Into an empty one. */
  load(saved: JsonValue): void {
    for (const value of saved as readonly number[]) this.add(value);
  }
}
