/**
 * Who is told about which key. An array of slots, not a `Map`: under churn a `Map` is rehashed every
 * few requests, the table it leaves behind still refers to all that lived then, and once such a
 * table was promoted the whole of it survives until the next full collection (measured: a fifth of
 * the proxy's CPU time went into scavenging).
 */
import type { Attendant } from './ports.ts';

const SLOT_BITS = 20;
const SLOTS = 1 << SLOT_BITS;
/** Keys stay small integers: 31 bits. */
const GENERATIONS = 1 << (31 - SLOT_BITS - 1);

export class Attendants {
  private readonly keys: number[] = [];
  private readonly seated: (Attendant | null)[] = [];
  private readonly free: number[] = [];

  /** The key is not that of anybody else alive, nor the one last given to its slot. */
  add(attendant: Attendant): number {
    const slot = this.free.pop() ?? this.keys.length;
    if (slot >= SLOTS) throw new RangeError('too many requests at once');
    const last = this.keys[slot] ?? 0;
    const generation = ((last >>> SLOT_BITS) % (GENERATIONS - 1)) + 1;
    const key = generation * SLOTS + slot;
    this.keys[slot] = key;
    this.seated[slot] = attendant;
    return key;
  }

  get(key: number): Attendant | null {
    const slot = key & (SLOTS - 1);
    return this.keys[slot] === key ? (this.seated[slot] ?? null) : null;
  }

  remove(key: number): void {
    const slot = key & (SLOTS - 1);
    if (this.keys[slot] !== key || this.seated[slot] === null) return;
    this.seated[slot] = null;
    this.free.push(slot);
  }
}
