import type { DurationMs, MonoMs } from '../units.ts';

const MAX_PACERS = 4096;

/** Keeps a rhythm per rule: each request takes the next slot. */
export class Pacers {
  private readonly next = new Map<string, MonoMs>();

  /** How long until the next slot. `take`: whether it is taken. */
  wait(key: string, perSecond: number, now: MonoMs, take: boolean): DurationMs {
    const slot = Math.max(now, this.next.get(key) ?? now);
    if (take) {
      if (this.next.size >= MAX_PACERS && !this.next.has(key)) this.next.clear();
      this.next.set(key, slot + 1000 / Math.max(1e-6, perSecond));
    }
    return slot - now;
  }
}
