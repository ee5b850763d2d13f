import { MINUTE, type DurationMs, type EpochMs, type JsonValue, type Units } from '../units.ts';
import { NEVER, ON_EVENT, Pool, type Hold, type PoolFigures, type Reading } from './pool.ts';

/** The oldest slot counts whole, so nothing is ever admitted too early and ≤ 1/SLOTS is lost. */
const SLOTS = 256;

/**
 * A rolling window: no more than `limit` units in any `windowMs`. Charges count from when they were
 * answered (held before), so a slow request can not leave our window before it leaves the
 * provider's.
 */
export class RollingWindowPool extends Pool {
  /** Units by slot; slots are added in rising order, for charges come as time passes. */
  private readonly counts = new Map<number, Units>();
  private newest = 0;
  private oldest = 0;
  private sum: Units = 0;

  private get window(): DurationMs {
    return this.windowMs ?? MINUTE;
  }

  private get slotMs(): DurationMs {
    return this.window / SLOTS;
  }

  private expire(now: EpochMs): void {
    if (this.counts.size === 0) return;
    const bound = Math.floor((now - this.window) / this.slotMs);
    if (this.oldest >= bound) return;
    for (const [slot, units] of this.counts) {
      this.oldest = slot;
      if (slot >= bound) break;
      this.counts.delete(slot);
      this.sum -= units;
    }
  }

  protected whenRoom(units: Units, now: EpochMs, keep: Units): EpochMs {
    const limit = this.limitFor('');
    if (units > limit - keep) return NEVER;
    this.expire(now);
    const missing = units + keep - (limit - this.sum - this.held);
    return missing <= 0 ? now : this.whenFreed(missing, now);
  }

  private whenFreed(missing: Units, now: EpochMs): EpochMs {
    let freed = 0;
    for (const [slot, units] of this.counts) {
      freed += units;
      if (freed >= missing) {
        return Math.max(now + 1, Math.ceil((slot + 1) * this.slotMs + this.window));
      }
    }
    return ON_EVENT;
  }

  protected whenServed(ahead: Units, units: Units, now: EpochMs): EpochMs {
    const limit = Math.max(1, this.limit ?? 1);
    const beyond = ahead + units - Math.max(0, limit - this.sum - this.held);
    if (beyond <= 0) return now;
    // Each further round of the whole limit takes a window, whatever the first one's rhythm is.
    const windows = Math.ceil(beyond / limit) - 1;
    const first = this.whenFreed(Math.min(beyond - windows * limit, this.sum), now);
    return (first >= ON_EVENT ? now : first) + windows * this.window;
  }

  resetTime(now: EpochMs): EpochMs | null {
    this.expire(now);
    if (this.counts.size === 0) return null;
    return Math.ceil((this.newest + 1) * this.slotMs + this.window);
  }

  protected onHold(_hold: Hold): void {}
  protected onRelease(_hold: Hold): void {}

  protected onSettle(_hold: Hold, units: Units, at: EpochMs): void {
    if (units <= 0) return;
    this.expire(at);
    this.add(at, units);
  }

  private add(at: EpochMs, units: Units): void {
    this.addTo(Math.max(this.newest, Math.floor(at / this.slotMs)), units);
  }

  private addTo(slot: number, units: Units): void {
    this.newest = slot;
    if (this.counts.size === 0) this.oldest = slot;
    this.counts.set(slot, (this.counts.get(slot) ?? 0) + units);
    this.sum += units;
  }

  protected onAbsorb(other: RollingWindowPool): void {
    const all = [...this.counts, ...other.counts].sort(([a], [b]) => a - b);
    this.counts.clear();
    this.sum = 0;
    this.newest = 0;
    for (const [slot, units] of all) this.addTo(slot, units);
  }

  /** Providers that tell of a rolling window tell more than we count: take the larger use. */
  protected onReading(reading: Reading): boolean {
    if (reading.remaining === null || this.limit === null) return false;
    this.expire(reading.at);
    const used = Math.max(0, this.limit - reading.remaining);
    if (used > this.sum + this.held) this.add(reading.at, used - this.sum - this.held);
    return false;
  }

  figures(now: EpochMs): PoolFigures {
    this.expire(now);
    const remaining = this.limit === null ? null : Math.max(0, this.limit - this.sum);
    return this.show(this.sum, remaining, this.resetTime(now));
  }

  protected saveState(): JsonValue {
    return [...this.counts];
  }

  protected loadState(state: JsonValue): void {
    this.counts.clear();
    this.sum = 0;
    for (const [slot, units] of state as unknown as [number, number][]) {
      if (this.counts.size === 0) this.oldest = slot;
      this.newest = slot;
      this.counts.set(slot, units);
      this.sum += units;
    }
  }
}
