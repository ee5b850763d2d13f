/** Binary heap, smallest first by `before`. */
export class Heap<T> {
  private readonly items: T[] = [];
  private readonly before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.before = before;
  }

  get size(): number {
    return this.items.length;
  }

  peek(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    const items = this.items;
    let i = items.push(item) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = items[parent] as T;
      if (!this.before(item, above)) break;
      items[i] = above;
      i = parent;
    }
    items[i] = item;
  }

  pop(): T | undefined {
    const items = this.items;
    const top = items[0];
    const last = items.pop();
    if (items.length > 0 && last !== undefined) this.sink(last);
    return top;
  }

  /** Drops all others. */
  keep(wanted: (item: T) => boolean): void {
    const kept = this.items.filter(wanted);
    this.items.length = 0;
    for (const item of kept) this.items.push(item);
    for (let i = (kept.length >> 1) - 1; i >= 0; i--) this.sink(this.items[i] as T, i);
  }

  private sink(item: T, from = 0): void {
    const items = this.items;
    let i = from;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= items.length) break;
      const right = child + 1;
      if (right < items.length && this.before(items[right] as T, items[child] as T)) child = right;
      const below = items[child] as T;
      if (!this.before(below, item)) break;
      items[i] = below;
      i = child;
    }
    items[i] = item;
  }
}

/**
 * Binary heap whose items know their place, so that any of them can be moved or taken out in
 * O(log n). `placed` is told an item's index whenever it changes, −1 when it has left.
 */
export class IndexedHeap<T> {
  private readonly items: T[] = [];
  private readonly before: (a: T, b: T) => boolean;
  private readonly placed: (item: T, index: number) => void;

  constructor(before: (a: T, b: T) => boolean, placed: (item: T, index: number) => void) {
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

  /** The first `most` of them, in order: O(most²), without taking any out. */
  first(most: number): T[] {
    const { items } = this;
    const found: T[] = [];
    const open = items.length > 0 ? [0] : [];
    while (open.length > 0 && found.length < most) {
      let best = 0;
      for (let i = 1; i < open.length; i++) {
        if (this.before(items[open[i] as number] as T, items[open[best] as number] as T)) best = i;
      }
      const index = open[best] as number;
      open.splice(best, 1);
      found.push(items[index] as T);
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < items.length) open.push(child);
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
