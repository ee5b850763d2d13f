/**
 * Binary heap, smallest first by `before`. Items may know their place, so that any of them can be moved
 * or taken out in O(log n).
 */
export class Heap<T> {
  private readonly items: T[] = [];
  private readonly before: (a: T, b: T) => boolean;
  private readonly placed: (item: T, index: number) => void;

  /** @param placed is told an item's index whenever it changes, −1 when it has left */
  constructor(before: (a: T, b: T) => boolean, placed: (item: T, index: number) => void = nowhere) {
    this.before = before;
    this.placed = placed;
  }

  get size(): number {
    return this.items.length;
  }

  peek(): T | undefined {
    return this.items[0];
  }

  /** The item at an index: in no order, but for the first. */
  at(index: number): T | undefined {
    return this.items[index];
  }

  push(item: T): void {
    this.rise(item, this.items.push(item) - 1);
  }

  pop(): T | undefined {
    const top = this.items[0];
    if (this.items.length > 0) this.removeAt(0);
    return top;
  }

  removeAt(index: number): void {
    const { items } = this;
    const gone = items[index] as T;
    const last = items.pop() as T;
    this.placed(gone, -1);
    if (index < items.length) this.settle(last, index);
  }

  /** The item there changed: to where it belongs now. */
  moveAt(index: number): void {
    this.settle(this.items[index] as T, index);
  }

  /** Drops all others. */
  keep(wanted: (item: T) => boolean): void {
    const { items } = this;
    const all = items.splice(0);
    for (const item of all) {
      if (wanted(item)) items.push(item);
      else this.placed(item, -1);
    }
    for (let i = items.length - 1; i >= 0; i--) this.sink(items[i] as T, i);
  }

  /** The first `most` of them, in order, without taking any out. */
  first(most: number): T[] {
    const { items, before } = this;
    const found: T[] = [];
    // Places whose parents were found, the next of them last.
    const open = items.length > 0 ? [0] : [];
    while (found.length < most) {
      const index = open.pop();
      if (index === undefined) break;
      found.push(items[index] as T);
      for (let child = 2 * index + 1; child <= 2 * index + 2 && child < items.length; child++) {
        const item = items[child] as T;
        let at = open.length;
        open.push(child);
        while (at > 0 && !before(item, items[open[at - 1] as number] as T)) {
          open[at] = open[at - 1] as number;
          at -= 1;
        }
        open[at] = child;
      }
    }
    return found;
  }

  private settle(item: T, index: number): void {
    const above = index > 0 ? (this.items[(index - 1) >> 1] as T) : item;
    if (index > 0 && this.before(item, above)) this.rise(item, index);
    else this.sink(item, index);
  }

  private rise(item: T, from: number): void {
    const { items } = this;
    let i = from;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = items[parent] as T;
      if (!this.before(item, above)) break;
      items[i] = above;
      this.placed(above, i);
      i = parent;
    }
    items[i] = item;
    this.placed(item, i);
  }

  private sink(item: T, from: number): void {
    const { items } = this;
    let i = from;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= items.length) break;
      const right = child + 1;
      if (right < items.length && this.before(items[right] as T, items[child] as T)) child = right;
      const below = items[child] as T;
      if (!this.before(below, item)) break;
      items[i] = below;
      this.placed(below, i);
      i = child;
    }
    items[i] = item;
    this.placed(item, i);
  }
}

function nowhere(): void {}
