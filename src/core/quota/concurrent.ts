import type { EpochMs, JsonValue, Units } from '../units.ts';
import { NEVER, ON_EVENT, Pool, type PoolFigures, type Reading } from './pool.ts';

/** So many at once. A hold lasts until its request has ended; nothing is charged. */
export class ConcurrencyPool extends Pool {
  protected whenRoom(units: Units, now: EpochMs, keep: Units): EpochMs {
    const limit = this.limitFor('');
    if (units > limit - keep) return NEVER;
    return limit - keep - this.held >= units ? now : ON_EVENT;
  }

  protected whenServed(_ahead: Units, _units: Units, now: EpochMs): EpochMs {
    return now;
  }

  resetTime(): EpochMs | null {
    return null;
  }

  protected onHold(): void {}
  protected onRelease(): void {}
  protected onSettle(): void {}
  protected onAbsorb(): void {}
  protected onClockSetBack(): void {}

  protected onReading(_reading: Reading): boolean {
    return false;
  }

  figures(): PoolFigures {
    const remaining = this.limit === null ? null : Math.max(0, this.limit - this.held);
    return this.show(this.held, remaining, null);
  }

  protected saveState(): JsonValue {
    return null;
  }

  protected loadState(): void {}
}
