import { HOUR, type DurationMs, type EpochMs, type JsonValue, type Units } from '../units.ts';
import { NEVER, ON_EVENT, Pool, type Hold, type PoolFigures } from './pool.ts';

/** A fixed window of our own: aligned to multiples of its length since the epoch (UTC). */
export class CalendarWindowPool extends Pool {
  private index = 0;
  private used: Units = 0;

  private get window(): DurationMs {
    return this.windowMs ?? HOUR;
  }

  /** The window of that moment; one that was charged in lasts, though a clock was set back a little. */
  private indexAt(now: EpochMs): number {
    return Math.max(this.index, Math.floor(now / this.window));
  }

  private usedIn(now: EpochMs): Units {
    return this.indexAt(now) > this.index ? 0 : this.used;
  }

  protected whenRoom(units: Units, now: EpochMs, keep: Units): EpochMs {
    const limit = this.limitFor('');
    if (units > limit - keep) return NEVER;
    const used = this.usedIn(now);
    if (limit - keep - used - this.held >= units) return now;
    if (this.refundable && limit - keep - used >= units) return ON_EVENT;
    return (this.indexAt(now) + 1) * this.window;
  }

  protected override whenRoomAfter(
    extra: Units,
    units: Units,
    now: EpochMs,
    keep: Units,
    credential: string,
  ): EpochMs {
    return this.whenRoomPastReset(extra, units, now, keep, credential);
  }

  protected whenServed(ahead: Units, units: Units, now: EpochMs): EpochMs {
    const limit = Math.max(1, this.limit ?? 1);
    const beyond = ahead + units - Math.max(0, limit - this.usedIn(now) - this.held);
    if (beyond <= 0) return now;
    return (this.indexAt(now) + Math.ceil(beyond / limit)) * this.window;
  }

  resetTime(now: EpochMs): EpochMs | null {
    return (this.indexAt(now) + 1) * this.window;
  }

  protected onHold(_hold: Hold): void {}
  protected onRelease(_hold: Hold): void {}

  protected onSettle(_hold: Hold, units: Units, at: EpochMs): void {
    this.used = this.usedIn(at) + units;
    this.index = this.indexAt(at);
  }

  protected onAbsorb(other: CalendarWindowPool): void {
    if (other.index < this.index) return;
    this.used = other.index === this.index ? this.used + other.used : other.used;
    this.index = other.index;
  }

  /** What was used in a window that has not begun yet counts in the present one. */
  protected onClockSetBack(_by: DurationMs, now: EpochMs): void {
    this.index = Math.min(this.index, Math.floor(now / this.window));
  }

  protected onReading(): boolean {
    return false;
  }

  figures(now: EpochMs): PoolFigures {
    const used = this.usedIn(now);
    const remaining = this.limit === null ? null : Math.max(0, this.limit - used);
    return this.show(used, remaining, (this.indexAt(now) + 1) * this.window);
  }

  protected saveState(): JsonValue {
    return [this.index, this.used];
  }

  protected loadState(state: JsonValue): void {
    const [index, used] = state as unknown as [number, number];
    this.index = index;
    this.used = used;
  }
}
