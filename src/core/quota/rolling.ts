import { MINUTE, type DurationMs, type EpochMs, type JsonValue, type Units } from '../units.ts';
import { NEVER, ON_EVENT, Pool, type Hold, type PoolFigures, type Reading } from './pool.ts';
import { Slots } from './slots.ts';

/** The oldest slot counts whole, so nothing is ever admitted too early and ≤ 1/SLOTS is lost. */
const SLOTS = 256;

/**
 * A rolling window: no more than `limit` units in any `windowMs`. Charges count from when they were
 * answered (held before), so a slow request can not leave our window before it leaves the
 * provider's.
 */
export class RollingWindowPool extends Pool {
  private readonly slots = new Slots();
  private newest = 0;
  private sum: Units = 0;
  private askedAt: EpochMs = 0;
  private watchedAt: EpochMs = 0;

  private get window(): DurationMs {
    return this.windowMs ?? MINUTE;
  }

  private get slotMs(): DurationMs {
    return this.window / SLOTS;
  }

  private expire(now: EpochMs): void {
    if (this.slots.size === 0) return;
    this.sum = this.slots.dropBefore(Math.floor((now - this.window) / this.slotMs), this.sum);
  }

  protected whenRoom(units: Units, now: EpochMs, keep: Units): EpochMs {
    const limit = this.limitFor('');
    if (units > limit - keep) return NEVER;
    this.expire(now);
    const missing = units + keep + this.margin(units + keep, now) - (limit - this.sum - this.held);
    if (missing > 0 && this.refundable && missing <= this.held) return ON_EVENT;
    return missing <= 0 ? now : this.whenFreed(missing, now);
  }

  /** Units that others may have taken; an empty window always lets somebody pass. */
  private margin(units: Units, now: EpochMs): Units {
    if (this.outside === null || this.sum + this.held === 0) return 0;
    const limit = this.limitFor('');
    return Math.min(limit - units, this.outside.margin(now - this.askedAt, limit));
  }

  private whenFreed(missing: Units, now: EpochMs): EpochMs {
    const slot = this.slots.holding(missing);
    if (slot === null) return ON_EVENT;
    return Math.max(now + 1, Math.ceil((slot + 1) * this.slotMs + this.window));
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
    if (this.slots.size === 0) return null;
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
    this.slots.add(slot, units);
    this.sum += units;
  }

  protected onAbsorb(other: RollingWindowPool): void {
    const all = [...this.slots.rows(), ...other.slots.rows()].sort(([a], [b]) => a - b);
    this.slots.clear();
    this.sum = 0;
    this.newest = 0;
    for (const [slot, units] of all) this.addTo(slot, units);
  }

  protected onClockSetBack(by: DurationMs): void {
    const slots = Math.floor(by / this.slotMs);
    const rows = this.slots.rows();
    this.slots.clear();
    for (const [slot, units] of rows) this.slots.add(slot - slots, units);
    this.newest -= slots;
    this.askedAt -= by;
    this.watchedAt -= by;
  }

  /** Providers that tell of a rolling window tell more than we count: take the larger use. */
  protected onReading(reading: Reading): boolean {
    if (reading.remaining === null || this.limit === null) return false;
    this.expire(reading.at);
    const used = Math.max(0, this.limit - reading.remaining);
    const others = Math.max(0, used - this.sum - this.held);
    if (others > 0) this.add(reading.at, others);
    if (this.watched) this.watch(others, reading);
    return false;
  }

  /** What the first reading shows may be anybody's. */
  private watch(others: Units, reading: Reading): void {
    const { watchedAt } = this;
    this.askedAt = Math.max(this.askedAt, reading.sentAt);
    this.watchedAt = Math.max(watchedAt, reading.at);
    if (watchedAt === 0) this.noteOutside(0, reading.at, reading.at);
    else this.noteOutside(others, Math.min(watchedAt, reading.at), reading.at);
  }

  figures(now: EpochMs): PoolFigures {
    this.expire(now);
    const remaining = this.limit === null ? null : Math.max(0, this.limit - this.sum);
    return this.show(this.sum, remaining, this.resetTime(now));
  }

  /**
   * Units that will have come back after so long: those of a slot one by one until its end, for when in
   * it each was charged is not kept. What is used from now on comes back a window later, at most as
   * fast as the limit lets it be used. Reads only.
   */
  backIn(ms: DurationMs, now: EpochMs): Units {
    const { window } = this;
    this.expire(now);
    const place = (now + ms - window) / this.slotMs;
    const bound = Math.floor(place);
    const whole = this.slots.before(bound);
    // Of the oldest slot nothing is back yet.
    const from = Math.max(bound, (now - window) / this.slotMs);
    const part = from < place ? (place - from) / (bound + 1 - from) : 0;
    const back = part > 0 ? whole + part * (this.slots.before(bound + 1) - whole) : whole;
    const beyond = ms - window;
    return beyond <= 0 ? back : back + this.held + ((this.limit ?? 0) * beyond) / window;
  }

  protected saveState(): JsonValue {
    return [this.slots.rows(), this.askedAt, this.watchedAt];
  }

  protected loadState(state: JsonValue): void {
    this.slots.clear();
    this.sum = 0;
    const [rows, askedAt, watchedAt] = state as unknown as [[number, number][], number, number];
    this.askedAt = askedAt;
    this.watchedAt = watchedAt;
    for (const [slot, units] of rows) this.addTo(slot, units);
  }
}
