import { Debt } from '../policy/pacing.ts';
import type { Pace } from '../policy/types.ts';
import type { DurationMs, MonoMs } from '../units.ts';

const MAX_PACERS = 4096;

/**
 * Keeps a rhythm per rule (and pool): each request that goes takes the next slot. What was promised is
 * remembered in units, so that a rhythm that changes (what is left, spread until the reset) moves the
 * slots of those who come next.
 */
export class Pacers {
  private readonly debts = new Map<string, Debt>();

  /** How long until the next slot; never longer than until the pool's reset. */
  wait(pace: Pace, now: MonoMs): DurationMs {
    const debt = this.debts.get(keyOf(pace));
    if (debt === undefined) return 0;
    return Math.min(pace.resetInMs ?? Infinity, debt.wait(now, rateOf(pace), pace.burst ?? 0));
  }

  take(pace: Pace, now: MonoMs): void {
    const key = keyOf(pace);
    let debt = this.debts.get(key);
    if (debt === undefined) {
      if (this.debts.size >= MAX_PACERS) this.forgetOldest();
      this.debts.set(key, (debt = new Debt(now)));
    }
    debt.took(unitsOf(pace), now, rateOf(pace));
  }

  private forgetOldest(): void {
    for (const oldest of this.debts.keys()) {
      this.debts.delete(oldest);
      return;
    }
  }
}

function unitsOf(pace: Pace): number {
  return Math.max(1, pace.units ?? 1);
}

/** Units a millisecond. */
function rateOf(pace: Pace): number {
  return (Math.max(1e-6, pace.perSecond) * unitsOf(pace)) / 1000;
}

function keyOf({ rule, pool }: Pace): string {
  return pool === undefined ? rule : `${rule}|${pool}`;
}
