import type { PoolSpec } from '../claim.ts';
import type { DurationMs, EpochMs, JsonObject, JsonValue, Units } from '../units.ts';
import { Charging } from './charging.ts';
import { Excess } from './excess.ts';
import { Offered } from './offered.ts';
import { Outside } from './outside.ts';
import { Ramp } from './ramp.ts';
import { impliedLimit, Shown } from './reading.ts';
import type { Hold, PoolFigures, Reading, ReadingNews } from './reading.ts';
import { Spending } from './spending.ts';

export type { Hold, PoolFigures, Reading, ReadingNews } from './reading.ts';

/** `earliest` answers this when only an event (an answer, a release) can make room. */
export const ON_EVENT: EpochMs = Number.MAX_SAFE_INTEGER;
/** A request sent this long before a reset is taken to be answered by then. */
const ANSWERED_MS: DurationMs = 30_000;
/** `earliest` answers this when it can never fit. */
export const NEVER: EpochMs = Infinity;

/**
 * A quota policy × a partition key. Owns what is known (observations), what is held (reservations)
 * and what was charged without being seen yet. Subclasses differ in how time gives units back.
 */
export abstract class Pool {
  id: string;
  spec: PoolSpec;
  /** Who is charged: an account, an identity, or the global sentinel for shared pools. */
  charged: string;
  limit: Units | null;
  windowMs: DurationMs | null;
  observedAt: EpochMs | null = null;
  /** The provider refused: nothing passes before this, whatever the figures say. */
  blockedUntil: EpochMs = 0;
  blockedFor = '';
  /** Provider's clock minus ours; kept where resets are told as points in time. */
  skew: DurationMs | null = null;
  /** Units in open holds. */
  held: Units = 0;
  /** Whether an entry of the ledger tells of it as it is: a fold knows no other pools. */
  recorded = false;
  /** When it was last drawn on or spoken of; the longest idle are forgotten first. */
  usedAt: EpochMs = 0;
  readonly ramp: Ramp;
  readonly spending = new Spending();
  /** What was asked of it, by class of priority; made when first asked, where units are kept by class. */
  offered: Offered | null = null;
  /** What was set aside in vain; made where units are estimated. */
  excess: Excess | null = null;
  /** What is charged for estimates; made when the first is sent. */
  charging: Charging | null = null;
  /** Others who use it; made when the first was noticed. */
  outside: Outside | null = null;
  /** When its readings began to be watched for others. */
  private watchedFrom: EpochMs | null = null;

  constructor(id: string, spec: PoolSpec, charged: string) {
    this.id = id;
    this.spec = spec;
    this.charged = charged;
    this.limit = spec.limit ?? null;
    this.windowMs = spec.windowMs ?? null;
    this.ramp = new Ramp();
  }

  /**
   * Whether use that we did not send shows in its readings: requests, and units that are estimated by
   * the provider's own rule. What is only known to be drawn on is charged nobody knows what for.
   */
  protected get watched(): boolean {
    return (this.spec.unit === 'requests' && this.spec.source !== 'policy') || this.estimated;
  }

  /** A reading showed how much others took since the one before: certainly so much, mostly 0. */
  protected noteOutside(units: Units, from: EpochMs, to: EpochMs): void {
    this.watchedFrom ??= from;
    if (this.outside === null) {
      if (units <= 0) return;
      this.outside = new Outside(from, from - this.watchedFrom, this.windowMs);
    }
    if (!this.outside.note(units, from, to)) this.outside = null;
  }

  /** What a request of ours will be charged cannot be told: what its readings show says nothing of others. */
  unexplained(_at: EpochMs): void {}

  /** The provider told what it costs, before it is settled. */
  charge(hold: Hold, units: Units): void {
    if (!hold.open) return;
    this.onCharge(units - (hold.charged ?? hold.units));
    hold.charged = units;
  }

  /** What was set aside turned out to cost so much more, or less. */
  protected onCharge(_more: Units): void {}

  /** Whether estimates of ours are charged by a rule of the provider's, which its readings show. */
  get estimated(): boolean {
    return false;
  }

  /** True until the provider has said a limit (pools with a documented or own limit never are). */
  get unknown(): boolean {
    return this.limit === null;
  }

  /**
   * True where what is set aside is an estimate that its answer corrects, mostly downwards: whoever
   * lacks room only for that waits for answers, not for a window's end.
   */
  get refundable(): boolean {
    return this.spec.source === 'policy' && this.spec.unit !== 'requests';
  }

  /** True while `earliest` is a guess that the next answer may well better. */
  guessing(now: EpochMs): boolean {
    return this.limit === null && this.blockedUntil <= now;
  }

  /**
   * When `units` could be set aside if nothing else happened: ≤ now means now.
   * @param keep units of the limit kept for others
   * @param credential whose own limit counts, where one account has several
   */
  earliest(units: Units, now: EpochMs, keep: Units, credential: string): EpochMs {
    if (this.blockedUntil > now) return this.blockedUntil;
    if (this.limit === null) return this.ramp.earliest(now);
    return this.whenRoom(units, now, keep, credential);
  }

  /** Like `earliest`, for somebody who must wait until `ahead` units before him were served. */
  earliestBehind(ahead: Units, units: Units, now: EpochMs, keep: Units, credential: string) {
    const at = this.earliest(units, now, keep, credential);
    if (ahead <= 0 || at >= ON_EVENT || this.limit === null) return at;
    return Math.max(at, this.whenServed(ahead, units, now, credential));
  }

  /** Like `earliest`, if `extra` units were given to somebody else now. */
  earliestAfter(extra: Units, units: Units, now: EpochMs, keep: Units, credential: string) {
    if (this.blockedUntil > now || this.limit === null) return ON_EVENT;
    return this.whenRoomAfter(extra, units, now, keep, credential);
  }

  /** Somebody of class `rank` asks for units, admitted or not; below 0: was counted before. */
  asked(rank: number, units: Units, at: EpochMs): void {
    if (rank < 0 || units <= 0) return;
    if (this.offered?.fits(this.windowMs) !== true) {
      // Buckets and slots come back all the time: whoever goes first in the line is served soon.
      if (this.spec.kind !== 'fixed' && this.spec.kind !== 'rolling') return;
      this.offered = new Offered(this.windowMs, at);
    }
    this.offered.add(rank, units, at);
  }

  hold(units: Units, at: EpochMs): Hold {
    this.held += units;
    if (this.limit === null) this.ramp.sent(at);
    if (at > this.usedAt) this.usedAt = at;
    const hold = { pool: this, units, at, open: true, charged: null };
    this.onHold(hold);
    return hold;
  }

  /** It was never sent: nothing was charged. */
  release(hold: Hold): void {
    if (!hold.open) return;
    this.close(hold);
    this.ramp.answered();
    this.onRelease(hold);
  }

  /**
   * The provider charged it.
   * @param units what it really cost
   * @param seen whether a reading of this pool that includes it has been taken
   * @param answered whether an answer came at all; one without a reading widens the ramp
   */
  settle(hold: Hold, units: Units, at: EpochMs, seen: boolean, answered = true): void {
    if (!hold.open) return;
    this.close(hold);
    if (seen || !answered) this.ramp.answered();
    else this.ramp.silent();
    this.onSettle(hold, units, at, seen);
  }

  observe(reading: Reading): ReadingNews {
    const before = this.limit;
    // An old reading must not undo a newer limit.
    const newest = this.observedAt === null || reading.at >= this.observedAt;
    if (newest) this.observedAt = reading.at;
    if (reading.at > this.usedAt) this.usedAt = reading.at;
    if (newest && reading.windowMs !== null && reading.windowMs > 0)
      this.windowMs = reading.windowMs;
    const limit = reading.limit ?? impliedLimit(reading, this.limit);
    if (limit !== null && (newest || this.limit === null))
      this.onLimit(limit, reading.at, (reading.used ?? -1) >= 0);
    const newWindow = this.onReading(reading);
    const used = reading.used ?? reading.remaining ?? -1;
    const told = used >= 0 && this.limit !== null;
    return { newLimit: this.limit !== before, newWindow, told };
  }

  /** True while it knows nothing that a new pool would not. */
  isFresh(now: EpochMs): boolean {
    if (this.held > 0 || this.blockedUntil > now) return false;
    const { used } = this.figures(now);
    return used === null || used <= 0;
  }

  /**
   * Takes over what another pool knew and holds: both turned out to be the same one.
   * @param holds the other's holds, in the order in which they were made
   */
  absorb(other: Pool, holds: readonly Hold[]): void {
    this.block(other.blockedUntil, other.blockedFor);
    this.limit ??= other.limit;
    this.windowMs ??= other.windowMs;
    this.skew ??= other.skew;
    this.observedAt = latest(this.observedAt, other.observedAt);
    this.usedAt = Math.max(this.usedAt, other.usedAt);
    this.offered ??= other.offered;
    if (other.charging !== null) (this.charging ??= new Charging()).join(other.charging);
    this.absorbHolds(holds);
    this.onAbsorb(other);
  }

  absorbHolds(holds: readonly Hold[]): void {
    for (const hold of holds) {
      hold.pool = this;
      if (!hold.open) continue;
      this.held += hold.units;
      if (hold.at > this.usedAt) this.usedAt = hold.at;
      if (this.limit === null) this.ramp.sent(hold.at);
      this.onHold(hold);
    }
  }

  /** The provider refused and waits until then. A later end outranks an earlier one. */
  block(until: EpochMs, why: string): void {
    if (until <= this.blockedUntil) return;
    this.blockedUntil = until;
    this.blockedFor = why;
  }

  /** Everything was noted by a clock that was ahead by so much. */
  clockSetBack(by: DurationMs, now: EpochMs): void {
    if (this.observedAt !== null) this.observedAt -= by;
    if (this.watchedFrom !== null) this.watchedFrom -= by;
    this.usedAt -= by;
    this.blockedUntil = Math.max(0, this.blockedUntil - by);
    this.spending.clockSetBack(now);
    this.offered = null;
    this.excess = null;
    this.outside?.clockSetBack(by);
    this.charging?.clockSetBack(by);
    this.onClockSetBack(by, now);
  }

  private readonly shown = new Shown();

  protected show(
    used: Units | null,
    remaining: Units | null,
    resetAt: EpochMs | null,
  ): PoolFigures {
    return this.shown.fill(this, used, remaining, resetAt);
  }

  /** A policy changed our own limit. */
  respecify(spec: PoolSpec): void {
    this.spec = spec;
    this.recorded = false;
    this.limit = spec.limit ?? null;
  }

  protected close(hold: Hold): void {
    hold.open = false;
    this.held -= hold.units;
  }

  /** @param _told whether the reading told what is used, not only what remains of the limit */
  protected onLimit(limit: Units, _at: EpochMs, _told: boolean): void {
    this.limit = limit;
  }

  /** Limit for one credential; the same for all unless an account has several. */
  limitFor(_credential: string): Units {
    return this.limit ?? 0;
  }

  /** What holds people up, where the figures do not tell it; `null` = they do. */
  standing(_now: EpochMs): string | null {
    return null;
  }

  /** Whether a limit told to this credential is another than it was. */
  isNewLimit(credential: string, limit: Units): boolean {
    return this.limit === null || this.limitFor(credential) !== limit;
  }

  /** Remembers a credential's own limit. */
  noteLimit(_credential: string, _limit: Units): void {}

  /** When the present window ends (reset with its guard), or `null`. */
  abstract resetTime(now: EpochMs): EpochMs | null;
  /** The same object each time, overwritten by the next call: read it at once. */
  abstract figures(now: EpochMs): PoolFigures;
  protected abstract whenRoom(units: Units, now: EpochMs, keep: Units, cred: string): EpochMs;
  /** Where units come back one by one, room for both is needed. */
  protected whenRoomAfter(
    extra: Units,
    units: Units,
    now: EpochMs,
    keep: Units,
    cred: string,
  ): EpochMs {
    return this.whenRoom(units + extra, now, keep, cred);
  }

  /** Where a reset gives all of them back, what goes well before it is answered and gone by then. */
  protected whenRoomPastReset(
    extra: Units,
    units: Units,
    now: EpochMs,
    keep: Units,
    cred: string,
  ): EpochMs {
    const most = this.limitFor(cred) - keep;
    const at = this.whenRoom(Math.min(most, units + extra), now, keep, cred);
    const fits = this.held + extra + units <= most;
    if (at <= now) return units + extra <= most ? at : ON_EVENT;
    return fits || at - now > ANSWERED_MS ? at : ON_EVENT;
  }

  protected abstract whenServed(ahead: Units, units: Units, now: EpochMs, cred: string): EpochMs;
  protected abstract onHold(hold: Hold): void;
  protected abstract onRelease(hold: Hold): void;
  protected abstract onSettle(hold: Hold, units: Units, at: EpochMs, seen: boolean): void;
  /** Returns whether a window began that was not known. */
  protected abstract onReading(reading: Reading): boolean;
  protected abstract onAbsorb(other: Pool): void;
  protected abstract onClockSetBack(by: DurationMs, now: EpochMs): void;
  protected abstract saveState(): JsonValue;
  protected abstract loadState(state: JsonValue): void;

  /** Everything but open holds, as JSON; what has expired by `now` is left out. */
  save(now: EpochMs): JsonObject {
    this.resetTime(now);
    return {
      id: this.id,
      charged: this.charged,
      spec: { ...this.spec, shared: this.spec.shared === true },
      limit: this.limit,
      windowMs: this.windowMs,
      observedAt: this.observedAt,
      usedAt: this.usedAt,
      blockedUntil: this.blockedUntil,
      blockedFor: this.blockedFor,
      ramp: this.ramp.save(),
      spending: this.spending.save(),
      ...(this.offered === null ? {} : { offered: this.offered.save() }),
      ...(this.excess === null ? {} : { excess: this.excess.save() }),
      ...(this.charging === null ? {} : { charging: this.charging.save() }),
      ...(this.outside === null ? {} : { outside: this.outside.save() }),
      watchedFrom: this.watchedFrom,
      state: this.saveState(),
    };
  }

  load(saved: JsonObject): void {
    this.limit = saved['limit'] as number | null;
    this.windowMs = saved['windowMs'] as number | null;
    this.observedAt = saved['observedAt'] as number | null;
    this.usedAt = saved['usedAt'] as number;
    this.recorded = true;
    this.blockedUntil = saved['blockedUntil'] as number;
    this.blockedFor = saved['blockedFor'] as string;
    this.ramp.load(saved['ramp'] as number);
    this.spending.load(saved['spending'] as JsonValue);
    const offered = saved['offered'];
    if (offered !== undefined) this.offered = Offered.load(offered);
    const excess = saved['excess'];
    if (excess !== undefined) (this.excess = new Excess()).load(excess);
    const charging = saved['charging'];
    if (charging !== undefined) this.charging = Charging.load(charging);
    const outside = saved['outside'];
    if (outside !== undefined) this.outside = Outside.load(outside);
    this.watchedFrom = (saved['watchedFrom'] ?? null) as number | null;
    this.loadState(saved['state'] as JsonValue);
  }
}

function latest(a: EpochMs | null, b: EpochMs | null): EpochMs | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}
