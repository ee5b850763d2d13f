const FIRST_SIZE = 256;

/**
 * Values by an integer key, for what comes and goes with every request. Like a `Map`, but it never
 * leaves old tables behind: those of a churning `Map` are promoted and keep dead entries alive, which
 * cost a fifth of the CPU time. Open addressing; deletion shifts back, so there are no tombstones.
 */
export class NumberTable<Value> {
  private keys: number[] = [];
  private slots: (Value | undefined)[] = [];
  private mask = 0;
  private count = 0;

  constructor() {
    this.resize(FIRST_SIZE);
  }

  get size(): number {
    return this.count;
  }

  get(key: number): Value | undefined {
    for (let i = home(key, this.mask); ; i = (i + 1) & this.mask) {
      const value = this.slots[i];
      if (value === undefined) return undefined;
      if (this.keys[i] === key) return value;
    }
  }

  has(key: number): boolean {
    return this.get(key) !== undefined;
  }

  set(key: number, value: Value): void {
    if (this.count * 2 >= this.mask) this.resize((this.mask + 1) * 2);
    let i = home(key, this.mask);
    while (this.slots[i] !== undefined && this.keys[i] !== key) i = (i + 1) & this.mask;
    if (this.slots[i] === undefined) this.count += 1;
    this.keys[i] = key;
    this.slots[i] = value;
  }

  delete(key: number): boolean {
    let i = home(key, this.mask);
    while (this.slots[i] !== undefined && this.keys[i] !== key) i = (i + 1) & this.mask;
    if (this.slots[i] === undefined) return false;
    this.count -= 1;
    this.close(i);
    return true;
  }

  /** In no order, without a copy. The table may not be changed meanwhile. */
  forEach(visit: (value: Value) => void): void {
    for (let i = 0; i <= this.mask; i++) {
      const value = this.slots[i];
      if (value !== undefined) visit(value);
    }
  }

  /** In ascending order of key. */
  values(): Value[] {
    const found: { readonly key: number; readonly value: Value }[] = [];
    for (let i = 0; i <= this.mask; i++) {
      const value = this.slots[i];
      if (value !== undefined) found.push({ key: this.keys[i] as number, value });
    }
    return found.sort((a, b) => a.key - b.key).map(({ value }) => value);
  }

  /** Fills the gap at `hole` with those who would have been there. */
  private close(hole: number): void {
    let gap = hole;
    for (let i = (gap + 1) & this.mask; ; i = (i + 1) & this.mask) {
      const value = this.slots[i];
      if (value === undefined) break;
      const wanted = home(this.keys[i] as number, this.mask);
      // It may move back only if its own place is not between the gap and where it is.
      if (((i - wanted) & this.mask) < ((i - gap) & this.mask)) continue;
      this.keys[gap] = this.keys[i] as number;
      this.slots[gap] = value;
      gap = i;
    }
    this.slots[gap] = undefined;
  }

  private resize(size: number): void {
    const { keys, slots } = this;
    this.keys = new Array<number>(size).fill(-1);
    this.slots = new Array<Value | undefined>(size).fill(undefined);
    this.mask = size - 1;
    this.count = 0;
    for (let i = 0; i < slots.length; i++) {
      const value = slots[i];
      if (value !== undefined) this.set(keys[i] as number, value);
    }
  }
}

function home(key: number, mask: number): number {
  return (Math.imul(key, 0x9e3779b1) >>> 8) & mask;
}
