import type { Pace } from '../policy/types.ts';
import type { DurationMs, MonoMs } from '../units.ts';

const MAX_PACERS = 4096;

/** Keeps a rhythm per rule: each request that goes takes the next slot. */
export class Pacers {
  private readonly next = new Map<string, MonoMs>();

  /** How long until the next slot. */
  wait(pace: Pace, now: MonoMs): DurationMs {
    return Math.max(0, (this.next.get(keyOf(pace)) ?? now) - now);
  }

  take(pace: Pace, now: MonoMs): void {
    const key = keyOf(pace);
    if (this.next.size >= MAX_PACERS && !this.next.has(key)) this.forget(now);
    this.next.set(key, now + this.wait(pace, now) + 1000 / Math.max(1e-6, pace.perSecond));
  }

  /** Those whose slot has passed keep nobody waiting. */
  private forget(now: MonoMs): void {
    for (const [key, slot] of this.next) if (slot <= now) this.next.delete(key);
    if (this.next.size >= MAX_PACERS) this.next.clear();
  }
}

function keyOf({ rule, pool }: Pace): string {
  return pool === undefined ? rule : `${rule}|${pool}`;
}
