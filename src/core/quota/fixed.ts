import {
  HOUR,
  SECOND,
  type DurationMs,
  type EpochMs,
  type JsonValue,
  type Units,
} from '../units.ts';
import { NEVER, ON_EVENT, Pool, type Hold, type PoolFigures, type Reading } from './pool.ts';
import { usedBy } from './reading.ts';
import { UnseenCharges, type SavedCharges } from './unseen.ts';
import {
  endTold,
  isOfEnded,
  isSameWindow,
  moveBack,
  othersShownBy,
  readAgain,
  SAME_WINDOW_MS,
  windowFrom,
  windowOf,
  windowRow,
  type Window,
  type WindowEnd,
} from './windows.ts';

/** Resets are whole seconds, floored, and the window lasts until that second is past: wait one more. */
const RESET_GUARD_MS: DurationMs = SECOND;
/** Of several live windows, one nobody hit for this long no longer gates. */
const COLD_WINDOW_MS: DurationMs = 60 * SECOND;
const MAX_WINDOWS = 4;
/** So long after the last reading one request may ask anew, if enough was left then … */
const STALE_MS: DurationMs = 60 * SECOND;
/** … which is this part of the limit. */
const WORTH_ASKING = 1 / 16;

/**
 * A provider's fixed window, opened by its first counted request. One key may be counted in several
 * windows at once (shards): the tightest that is still being hit gates.
 * remaining = limit − max(used seen) − held − charged unseen.
 */
export class FixedWindowPool extends Pool {
  private windows: Window[] = [];
  private readonly unseen = new UnseenCharges();
  /** Our own that nobody set aside here, or saw, and that the next window's readings may show. */
  strays: Units = 0;
  /** When the last window ended, on the provider's clock; `null` = none has. */
  private endedAt: EpochMs | null = null;
  /** When the newest reading came that others were watched by. */
  private watchedAt: EpochMs = 0;
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

  /** One after another, as if somebody had looked at each end: it must not matter who looks when. */
  private expire(now: EpochMs): void {
    for (let over = this.firstOver(now); over !== null; over = this.firstOver(now))
      this.finish(over);
    this.forgetStale(now);
  }

  /** Of the windows that have ended the one that ended first. */
  private firstOver(now: EpochMs): Window | null {
    let first: Window | null = null;
    for (const window of this.windows) {
      const end = this.releaseAt(window);
      if (end <= now && (first === null || end < this.releaseAt(first))) first = window;
    }
    return first;
  }

  private finish(window: Window): void {
    const end = this.releaseAt(window);
    this.forgetStale(end);
    this.windows.splice(this.windows.indexOf(window), 1);
    this.endedAt = Math.max(this.endedAt ?? 0, window.reset);
    // Clocks may differ by what nobody knows.
    const from = this.skew === null ? 0 : end - RESET_GUARD_MS - SAME_WINDOW_MS;
    if (this.watched) this.strays += this.unseen.between(from, end);
    this.unseen.forget(end - 1);
  }

  /** Whatever window such a charge fell into, it has ended by then. */
  private forgetStale(now: EpochMs): void {
    const oldest = this.unseen.oldestAt;
    if (oldest !== null && oldest + this.unseenMs <= now) this.unseen.forget(now - this.unseenMs);
  }

  /** How long a charge that no reading included may count at most. */
  private get unseenMs(): DurationMs {
    return (this.windowMs ?? HOUR) + RESET_GUARD_MS;
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
    return limit - (this.gatingUse(now) ?? 0) - this.held - this.unseen.units;
  }

  protected whenRoom(units: Units, now: EpochMs, keep: Units, credential: string): EpochMs {
    const limit = this.limitFor(credential);
    if (units > limit - keep) return NEVER;
    const spare = this.room(now, limit) - keep - units;
    if (this.outside === null || spare < 0) {
      if (spare >= 0) return now;
      return this.lastRelease(now, units + keep, limit) ?? this.unseenRelease();
    }
    const margin = this.outside.margin(now - this.lastAsked(now), limit);
    if (spare >= margin) return now;
    const ask = this.askAnew(now, limit);
    if (ask <= now) return now;
    return Math.min(ask, this.lastRelease(now, units + keep + margin, limit) ?? ON_EVENT);
  }

  /** From when on others' use is not known: what the newest reading does not include. */
  private lastAsked(now: EpochMs): EpochMs {
    let asked: EpochMs | null = null;
    for (const window of this.windows) {
      if (asked === null || window.askedAt > asked) asked = window.askedAt;
    }
    if (asked !== null || this.endedAt === null) return asked ?? now;
    return this.endedAt - (this.skew ?? 0);
  }

  /**
   * When one request may go for a fresh reading although others may have taken all that was left.
   * Without a window nothing else can tell. In a window a silence outlives what is known of the
   * others' rate; where much was left, one refusal at worst is better than waiting for the reset.
   */
  private askAnew(now: EpochMs, limit: Units): EpochMs {
    if (this.held > 0) return ON_EVENT;
    if (this.windows.length === 0) return now;
    if (limit - (this.gatingUse(now) ?? 0) < limit * WORTH_ASKING) return ON_EVENT;
    return this.lastAsked(now) + STALE_MS;
  }

  /** Without an open window only what was charged unseen can give way by itself. */
  private unseenRelease(): EpochMs {
    const oldest = this.unseen.oldestAt;
    return oldest === null ? ON_EVENT : oldest + this.unseenMs;
  }

  /** When every window that is too full for `units` has ended. */
  private lastRelease(now: EpochMs, units: Units, limit: Units): EpochMs | null {
    let last: EpochMs | null = null;
    for (const window of this.windows) {
      if (limit - window.used - this.held - this.unseen.units >= units) continue;
      const end = this.releaseAt(window);
      if (end > now && (last === null || end > last)) last = end;
    }
    return last;
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

  protected onHold(hold: Hold): void {
    this.sentMore(hold.units);
  }

  protected onRelease(hold: Hold): void {
    this.sentMore(0 - hold.units);
  }

  protected override onCharge(more: Units): void {
    this.sentMore(more);
  }

  private sentMore(units: Units): void {
    for (const window of this.windows) window.own += units;
  }

  protected onSettle(hold: Hold, units: Units, at: EpochMs, seen: boolean): void {
    this.sentMore(units - (hold.charged ?? hold.units));
    if (seen || units <= 0) return;
    this.unseen.add(at, units);
  }

  protected onReading(reading: Reading): boolean {
    // What was over before this reading is over, whether or not anybody looked in between.
    this.expire(reading.now);
    this.sampleClock(reading);
    const used = usedBy(reading, this.limit);
    if (used === null) return false;
    const serverNow = reading.at + (this.skew ?? 0);
    const end = endTold(reading, this.skew ?? 0) ?? this.endUntold(reading, serverNow);
    if (end === null) {
      this.unseen.forget(reading.sentAt - 1);
      return false;
    }
    const { endedAt, windowMs } = this;
    if (end.most + RESET_GUARD_MS <= serverNow) return false;
    if (endedAt !== null && isOfEnded(end, endedAt, windowMs ?? 0)) return false;
    const opened = windowOf(end, used, reading);
    const alone = this.windows.length === 0;
    const window = this.merge(opened);
    if (this.watched) this.watch(window, used, reading, alone);
    this.unseen.forget(reading.sentAt - 1);
    return window === opened;
  }

  /** What a reading shows of others. `alone`: no window was open before it. */
  private watch(window: Window, used: Units, reading: Reading, alone: boolean): void {
    let from = Math.min(this.watchedAt, reading.at);
    if (window.base === null) {
      const began = alone ? this.beganAfter(window, reading) : null;
      window.base = began === null ? used : 0;
      window.own = this.held + this.unseen.units + this.strays;
      window.others = 0;
      from = began ?? reading.at;
      this.strays = 0;
      this.outside?.restart();
    }
    this.noteOutside(othersShownBy(window, used), from, Math.max(from, reading.at));
    this.watchedAt = Math.max(this.watchedAt, reading.at);
  }

  /**
   * Since when a window that follows the last one may have been used, on our clock. `null` when it
   * may have begun while the last one lasted: what is used in it may then be ours.
   */
  private beganAfter(window: Window, reading: Reading): EpochMs | null {
    const { endedAt, windowMs } = this;
    if (endedAt === null || windowMs === null) return null;
    const began = window.least - windowMs;
    if (began < endedAt - SAME_WINDOW_MS) return null;
    return Math.min(reading.at, Math.max(began, endedAt) - (this.skew ?? 0));
  }

  /** No reset said: what is used is used until the window of the newest reading ends. */
  private endUntold(reading: Reading, serverNow: EpochMs): WindowEnd | null {
    const open = this.windows.at(-1);
    if (open !== undefined) return { least: open.least, most: open.reset };
    if ((reading.used ?? 1) <= 0 || reading.remaining === null) return null;
    const end = serverNow + (this.windowMs ?? 60 * SECOND);
    return { least: end, most: end };
  }

  /** Returns the window that it is now part of: itself when it is new. */
  private merge(opened: Window): Window {
    for (const window of this.windows) {
      if (!isSameWindow(window, { least: opened.least, most: opened.reset })) continue;
      readAgain(window, opened);
      return window;
    }
    this.windows.push(opened);
    if (this.windows.length > MAX_WINDOWS) {
      this.windows.sort((a, b) => a.seenAt - b.seenAt);
      this.windows.shift();
    }
    return opened;
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

  /** What is used so far may be anybody's. */
  private watchAnew(): void {
    for (const window of this.windows) window.base = null;
  }

  protected override onLimit(limit: Units, _at: EpochMs, told: boolean): void {
    // What is used was worked out with the other one, unless it was told.
    if (limit !== this.limit && !told) this.watchAnew();
    this.limit = limit;
  }

  protected onAbsorb(other: FixedWindowPool): void {
    for (const window of other.windows) this.merge(window);
    this.watchAnew();
    this.strays += other.strays;
    if (other.endedAt !== null) this.endedAt = Math.max(this.endedAt ?? 0, other.endedAt);
    this.watchedAt = Math.max(this.watchedAt, other.watchedAt);
    this.unseen.join(other.unseen);
    for (const [credential, limit] of other.limits) this.limits.set(credential, limit);
  }

  /** Resets are told by the provider's clock; where that is not known, they were worked out by ours. */
  protected onClockSetBack(by: DurationMs): void {
    const byOurs = this.skew === null;
    for (const window of this.windows) moveBack(window, by, byOurs);
    if (this.endedAt !== null && byOurs) this.endedAt -= by;
    if (this.skew !== null) this.skew += by;
    this.unseen.moveBack(by);
    this.watchedAt -= by;
  }

  figures(now: EpochMs): PoolFigures {
    const use = this.gatingUse(now);
    const used = use === null && this.observedAt === null ? null : (use ?? 0) + this.unseen.units;
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
      windows: this.windows.map((window) => windowRow(window, this.held)),
      strays: this.strays,
      endedAt: this.endedAt,
      watchedAt: this.watchedAt,
      unseen: this.unseen.save(),
      skew: this.skew,
      limits: [...this.limits],
    };
  }

  protected loadState(state: JsonValue): void {
    const saved = state as unknown as {
      windows: ReturnType<typeof windowRow>[];
      strays: number;
      endedAt: number | null;
      watchedAt: number;
      unseen: SavedCharges;
      skew: number | null;
      limits: [string, number][];
    };
    this.windows = saved.windows.map(windowFrom);
    this.strays = saved.strays;
    this.endedAt = saved.endedAt;
    this.watchedAt = saved.watchedAt;
    this.unseen.load(saved.unseen);
    this.skew = saved.skew;
    for (const [credential, limit] of saved.limits) this.limits.set(credential, limit);
  }
}
