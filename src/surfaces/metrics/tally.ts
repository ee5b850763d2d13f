/** Counters and histograms of the hot path: plain numbers, read when somebody scrapes. */

export const OTHER = 'other';

/**
 * One value per name, for a bounded number of names: whoever can choose names (an origin, a client)
 * must not be able to grow the process. What comes beyond the bound is counted under `other`.
 */
export class Family<Value> {
  readonly #values = new Map<string, Value>();
  readonly #make: () => Value;
  readonly #bound: number;

  constructor(bound: number, make: () => Value) {
    this.#bound = bound;
    this.#make = make;
  }

  of(name: string): Value {
    return this.#values.get(name) ?? this.#add(name);
  }

  #add(name: string): Value {
    const key = this.#values.size < this.#bound ? name : OTHER;
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const value = this.#make();
    this.#values.set(key, value);
    return value;
  }

  entries(): IterableIterator<[string, Value]> {
    return this.#values.entries();
  }
}

/** A cumulative histogram over fixed upper bounds, in the unit of the bounds. */
export class Buckets {
  readonly bounds: readonly number[];
  /** One more than bounds: the last takes what is above them all. Not cumulative. */
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at += 1;
    counts[at] = (counts[at] as number) + 1;
    this.sum += value;
    this.count += 1;
  }
}
