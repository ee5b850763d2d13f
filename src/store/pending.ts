import type { Entry } from '../core/ledger/entry.ts';

/** Entries that wait to be committed: first in, first out, bounded by dropping the oldest. */
export class Pending {
  readonly #capacity: number;
  #entries: Entry[] = [];
  #head = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get first(): Entry | undefined {
    return this.#entries[this.#head];
  }

  /** Returns how many were dropped to make room: 0 or 1. */
  push(entry: Entry): number {
    this.#entries.push(entry);
    if (this.length <= this.#capacity) return 0;
    this.shift(1);
    return 1;
  }

  /** The oldest `count`, still queued. */
  peek(count: number): Entry[] {
    return this.#entries.slice(this.#head, this.#head + count);
  }

  shift(count: number): void {
    this.#head += count;
    if (this.#head >= this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    } else if (this.#head > 4096 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }
}
