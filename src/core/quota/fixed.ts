import {
  HOUR,
  SECOND,
  type DurationMs,
  type EpochMs,
  type JsonValue,
  type Units,
} from '../units.ts';
import { NEVER, ON_EVENT, Pool, type Hold, type PoolFigures, type Reading } from './pool.ts';

/** Two resets at most this far apart are one window: they jitter by a second. */
const SAME_WINDOW_MS: DurationMs = 2 * SECOND;
/** Resets are whole seconds, floored: wait one more. */
const RESET_GUARD_MS: DurationMs = SECOND;
/** Of several live windows, one nobody hit for this long no longer gates. */
const COLD_WINDOW_MS: DurationMs = 60 * SECOND;
const MAX_WINDOWS = 4;

interface Window {
  /** End, on the provider's clock. */
  reset: EpochMs;
  /** Largest `used` seen; answers arrive out of order and it never falls inside a window. */
  used: Units;
  seenAt: EpochMs;
}

/** Charged without a reading that includes it. */
interface Unseen {
  readonly at: EpochMs;
  readonly units: Units;
}

/**
 * A provider's fixed window, opened by its first counted request. One key may be counted in several
 * windows at once (shards): the tightest that is still being hit gates.
 * remaining = limit − max(used seen) − held − charged unseen.
 */
export class FixedWindowPool extends Pool {
  private windows: Window[] = [];
  private unseen: Unseen[] = [];
  private unseenUnits: Units = 0;
  /** Credentials whose limit differs from the pool's. */
  private readonly limits = new Map<string, Units>();

  private releaseAt(window: Window): EpochMs {
    return window.reset + RESET_GUARD_MS - (this.skew ?? 0);
  }

  override limitFor(credential: string): Units {
    if (this.limits.size === 0) return this.limit ?? 0;
    return this.limits.get(credential) ?? this.limit ?? 0;
  }

  override noteLimit(credential: string, limit: Units): void {
    if (this.limits.size === 0 && limit === this.limit) return;
    if (limit !== this.limit || this.limits.has(credential)) this.limits.set(credential, limit);
  }

  private expire(now: EpochMs): void {
    const windows = this.windows;
    for (let i = windows.length - 1; i >= 0; i--) {
      const window = windows[i] as Window;
      const end = this.releaseAt(window);
      if (end > now) continue;
      windows.splice(i, 1);
      this.forgetUnseen(end - 1);
    }
    // Whatever window such a charge fell into, it has ended by then.
    const oldest = this.unseen[0];
    if (oldest !== undefined && oldest.at + this.unseenMs <= now) {
      this.forgetUnseen(now - this.unseenMs);
    }
  }

  /** How long a charge that no reading included may count at most. */
  private get unseenMs(): DurationMs {
    return (this.windowMs ?? HOUR) + RESET_GUARD_MS;
  }

  /** Charges up to then (the millisecond before, for order inside one is not known) are in a reading, or belong to a window that ended. */
  private forgetUnseen(through: EpochMs): void {
    if (this.unseen.length === 0) return;
    this.unseen = this.unseen.filter((charge) => charge.at > through);
    this.unseenUnits = this.unseen.reduce((sum, charge) => sum + charge.units, 0);
  }

  /** Largest use among the windows that gate; `null` when none is open. */
  private gatingUse(now: EpochMs): Units | null {
    this.expire(now);
    let use: Units | null = null;
    let newest: Window | null = null;
    for (const window of this.windows) {
      if (newest === null || window.seenAt >= newest.seenAt) newest = window;
    }
    for (const window of this.windows) {
      if (window !== newest && window.seenAt < now - COLD_WINDOW_MS) continue;
      if (use === null || window.used > use) use = window.used;
    }
    return use;
  }

  /** Units that can still be given out. */
  private room(now: EpochMs, limit: Units): Units {
    return limit - (this.gatingUse(now) ?? 0) - this.held - this.unseenUnits;
  }

  protected whenRoom(units: Units, now: EpochMs, keep: Units, credential: string): EpochMs {
    const limit = this.limitFor(credential);
    if (units > limit - keep) return NEVER;
    if (this.room(now, limit) - keep >= units) return now;
    return this.lastRelease(now, units + keep, limit) ?? this.unseenRelease();
  }

  /** Without an open window only what was charged unseen can give way by itself. */
  private unseenRelease(): EpochMs {
    const oldest = this.unseen[0];
    return oldest === undefined ? ON_EVENT : oldest.at + this.unseenMs;
  }

  /** When every window that is too full for `units` has ended. */
  private lastRelease(now: EpochMs, units: Units, limit: Units): EpochMs | null {
    let last: EpochMs | null = null;
    for (const window of this.windows) {
      if (limit - window.used - this.held - this.unseenUnits >= units) continue;
      const end = this.releaseAt(window);
      if (end > now && (last === null || end > last)) last = end;
    }
    return last;
  }

  protected whenServed(ahead: Units, units: Units, now: EpochMs, credential: string): EpochMs {
    const limit = this.limitFor(credential);
    if (limit <= 0) return now;
    const beyond = ahead + units - Math.max(0, this.room(now, limit));
    if (beyond <= 0) return now;
    // Of several windows the one that has room already does not hold anybody up.
    const first = this.lastRelease(now, Math.min(limit, ahead + units), limit);
    if (first === null) return now;
    return first + (Math.ceil(beyond / limit) - 1) * (this.windowMs ?? 0);
  }

  resetTime(now: EpochMs): EpochMs | null {
    this.expire(now);
    let last: EpochMs | null = null;
    for (const window of this.windows) {
      const end = this.releaseAt(window);
      if (last === null || end > last) last = end;
    }
    return last;
  }

  protected onHold(_hold: Hold): void {}
  protected onRelease(_hold: Hold): void {}

  protected onSettle(_hold: Hold, units: Units, at: EpochMs, seen: boolean): void {
    if (seen || units <= 0) return;
    this.unseen.push({ at, units });
    this.unseenUnits += units;
  }

  protected onReading(reading: Reading): boolean {
    // What was over before this reading is over, whether or not anybody looked in between.
    this.expire(reading.now);
    this.sampleClock(reading);
    const used = usedBy(reading, this.limit);
    if (used === null) return false;
    const serverNow = reading.at + (this.skew ?? 0);
    const reset = this.resetOf(reading, serverNow);
    if (reset === null) {
      this.forgetUnseen(reading.sentAt - 1);
      return false;
    }
    if (reset + RESET_GUARD_MS <= serverNow) return false;
    const opened = this.merge(reset, used, reading.at);
    this.forgetUnseen(reading.sentAt - 1);
    return opened;
  }

  private resetOf(reading: Reading, serverNow: EpochMs): EpochMs | null {
    if (reading.resetAt !== null) return reading.resetAt;
    if (reading.resetIn !== null) return serverNow + reading.resetIn;
    // No reset said: what is used is used until the window of the newest reading ends.
    const open = this.windows.at(-1);
    if (open !== undefined) return open.reset;
    return (reading.used ?? 1) > 0 && reading.remaining !== null
      ? serverNow + (this.windowMs ?? 60 * SECOND)
      : null;
  }

  private merge(reset: EpochMs, used: Units, at: EpochMs): boolean {
    for (const window of this.windows) {
      if (Math.abs(window.reset - reset) > SAME_WINDOW_MS) continue;
      if (used > window.used) window.used = used;
      if (reset > window.reset) window.reset = reset;
      if (at > window.seenAt) window.seenAt = at;
      return false;
    }
    this.windows.push({ reset, used, seenAt: at });
    if (this.windows.length > MAX_WINDOWS) {
      this.windows.sort((a, b) => a.seenAt - b.seenAt);
      this.windows.shift();
    }
    return true;
  }

  /**
   * `Date` is floored and was written between sending and receiving, which bounds the difference of
   * the clocks from both sides. The largest lower bound counts; one above a later upper bound means
   * that a clock was set.
   */
  private sampleClock(reading: Reading): void {
    if (reading.date === null) return;
    const least = reading.date - reading.at;
    const most = reading.date + SECOND - reading.sentAt;
    if (this.skew === null || least > this.skew || most < this.skew) this.skew = least;
  }

  protected onAbsorb(other: FixedWindowPool): void {
    for (const { reset, used, seenAt } of other.windows) this.merge(reset, used, seenAt);
    this.unseen = [...this.unseen, ...other.unseen].sort((a, b) => a.at - b.at);
    this.unseenUnits += other.unseenUnits;
    for (const [credential, limit] of other.limits) this.limits.set(credential, limit);
  }

  figures(now: EpochMs): PoolFigures {
    const use = this.gatingUse(now);
    const used = use === null && this.observedAt === null ? null : (use ?? 0) + this.unseenUnits;
    const remaining =
      this.limit === null || used === null ? this.limit : Math.max(0, this.limit - used);
    return this.show(used, remaining, this.resetShown(now));
  }

  /** The reset as the provider said it (no guard), on our clock. */
  private resetShown(now: EpochMs): EpochMs | null {
    const end = this.resetTime(now);
    return end === null ? null : end - RESET_GUARD_MS;
  }

  protected saveState(): JsonValue {
    return {
      windows: this.windows.map((w) => [w.reset, w.used, w.seenAt]),
      unseen: this.unseen.map((u) => [u.at, u.units]),
      skew: this.skew,
      limits: [...this.limits],
    };
  }

  protected loadState(state: JsonValue): void {
    const saved = state as unknown as {
      windows: [number, number, number][];
      unseen: [number, number][];
      skew: number | null;
      limits: [string, number][];
    };
    this.windows = saved.windows.map(([reset, used, seenAt]) => ({ reset, used, seenAt }));
    this.unseen = saved.unseen.map(([at, units]) => ({ at, units }));
    this.unseenUnits = this.unseen.reduce((sum, charge) => sum + charge.units, 0);
    this.skew = saved.skew;
    for (const [credential, limit] of saved.limits) this.limits.set(credential, limit);
  }
}

/** `used` may exceed the limit, may be missing, and `remaining` may be −1 for "no idea". */
function usedBy(reading: Reading, limit: Units | null): Units | null {
  if (reading.used !== null && reading.used >= 0) return reading.used;
  if (reading.remaining === null || reading.remaining < 0) return null;
  const of = reading.limit ?? limit;
  return of === null ? null : Math.max(0, of - reading.remaining);
}
