import { MINUTE, type DurationMs, type EpochMs } from '../units.ts';

/** What was not used for so long gives way to another. */
const IDLE_MS: DurationMs = 10 * MINUTE;

/**
 * A bounded number of things by their key. Only what is idle gives way, so that many that are used in
 * turn do not drive each other out.
 */
export class Followed<Key, Value extends { readonly usedAt: EpochMs }> {
  private readonly most: number;
  private readonly values = new Map<Key, Value>();
  /** No place before. */
  private fullUntil: EpochMs = 0;

  constructor(most: number) {
    this.most = most;
  }

  get(key: Key): Value | undefined {
    return this.values.get(key);
  }

  /** Whether there is a place for one more. */
  hasRoom(at: EpochMs): boolean {
    return this.values.size < this.most || this.makeRoom(at);
  }

  all(): Iterable<Value> {
    return this.values.values();
  }

  /** `fullUntil` was told by a clock that has been set back. */
  clockSetBack(): void {
    this.fullUntil = 0;
  }

  clear(): void {
    this.values.clear();
    this.fullUntil = 0;
  }

  set(key: Key, value: Value): void {
    this.values.set(key, value);
  }

  private makeRoom(at: EpochMs): boolean {
    if (at < this.fullUntil) return false;
    let idlest: readonly [Key, Value] | null = null;
    for (const one of this.values) {
      if (idlest === null || one[1].usedAt < idlest[1].usedAt) idlest = one;
    }
    if (idlest === null) return false;
    const [key, { usedAt }] = idlest;
    if (at - usedAt >= IDLE_MS) return this.values.delete(key);
    this.fullUntil = Math.min(usedAt + IDLE_MS, at + MINUTE);
    return false;
  }
}
