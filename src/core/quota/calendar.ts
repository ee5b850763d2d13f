import { HOUR, type DurationMs, type EpochMs, type JsonValue, type Units } from '../units.ts';
import { NEVER, Pool, type Hold, type PoolFigures } from './pool.ts';

/** A fixed window of our own: aligned to multiples of its length since the epoch (UTC). */
export class CalendarWindowPool extends Pool {
  private index = 0;
  private used: Units = 0;

  private get window(): DurationMs {
    return this.windowMs ?? HOUR;
  }

  private roll(now: EpochMs): void {
    const index = Math.floor(now / this.window);
    if (index <= this.index) return;
    this.index = index;
    this.used = 0;
  }

  protected whenRoom(units: Units, now: EpochMs, keep: Units): EpochMs {
    const limit = this.limitFor('');
    if (units > limit - keep) return NEVER;
    this.roll(now);
    if (limit - keep - this.used - this.held >= units) return now;
    return (this.index + 1) * this.window;
  }

  protected whenServed(ahead: Units, units: Units, now: EpochMs): EpochMs {
    const limit = Math.max(1, this.limit ?? 1);
    const beyond = ahead + units - Math.max(0, limit - this.used - this.held);
    if (beyond <= 0) return now;
    return (this.index + Math.ceil(beyond / limit)) * this.window;
  }

  resetTime(now: EpochMs): EpochMs | null {
    this.roll(now);
    return (this.index + 1) * this.window;
  }

  protected onHold(_hold: Hold): void {}
  protected onRelease(_hold: Hold): void {}

  protected onSettle(_hold: Hold, units: Units, at: EpochMs): void {
    this.roll(at);
    this.used += units;
  }

  protected onAbsorb(other: CalendarWindowPool): void {
    if (other.index < this.index) return;
    this.used = other.index === this.index ? this.used + other.used : other.used;
    this.index = other.index;
  }

  protected onReading(): boolean {
    return false;
  }

  figures(now: EpochMs): PoolFigures {
    this.roll(now);
    const remaining = this.limit === null ? null : Math.max(0, this.limit - this.used);
    return this.show(this.used, remaining, (this.index + 1) * this.window);
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
