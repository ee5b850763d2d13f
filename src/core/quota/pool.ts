import type { PoolSpec } from '../claim.ts';
import type { DurationMs, EpochMs, JsonObject, JsonValue, Units } from '../units.ts';
import { Ramp } from './ramp.ts';
import { Spending } from './spending.ts';

/** `earliest` answers this when only an event (an answer, a release) can make room. */
export const ON_EVENT: EpochMs = Number.MAX_SAFE_INTEGER;
/** `earliest` answers this when it can never fit. */
export const NEVER: EpochMs = Infinity;

/** Units set aside for one request in one pool. */
export interface Hold {
  /** Changes only when its pool is joined to another. */
  pool: Pool;
  readonly units: Units;
  /** When it was set aside, which is when the request was sent. */
  readonly at: EpochMs;
  open: boolean;
  /** What the provider told that it costs, before it was settled. */
  charged: Units | null;
}

/** A provider's reading of a quota, its clock already recorded in `date`. */
export interface Reading {
  readonly limit: Units | null;
  readonly remaining: Units | null;
  readonly used: Units | null;
  readonly resetAt: EpochMs | null;
  readonly resetIn: DurationMs | null;
  readonly windowMs: DurationMs | null;
  /** When it reached us. */
  readonly at: EpochMs;
  /** When it is written down: later than `at` for what was seen elsewhere. */
  readonly now: EpochMs;
  /** When the request that brought it was sent: everything answered before is in it. */
  readonly sentAt: EpochMs;
  /** The provider's clock in the same answer. */
  readonly date: EpochMs | null;
}

/** What changed by a reading, worth an event of its own. */
export interface ReadingNews {
  readonly newLimit: boolean;
  readonly newWindow: boolean;
  /** Whether it told how much is used, so that whatever it includes needs no count of our own. */
  readonly told: boolean;
}

/** A pool as readers see it; `null` = not known. */
export interface PoolFigures {
  readonly limit: Units | null;
  readonly used: Units | null;
  readonly remaining: Units | null;
  readonly reserved: Units;
  readonly resetAt: EpochMs | null;
  readonly windowMs: DurationMs | null;
  readonly observedAt: EpochMs | null;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

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

  constructor(id: string, spec: PoolSpec, charged: string) {
    this.id = id;
    this.spec = spec;
    this.charged = charged;
    this.limit = spec.limit ?? null;
    this.windowMs = spec.windowMs ?? null;
    this.ramp = new Ramp();
  }

  /** True until the provider has said a limit (pools with a documented or own limit never are). */
  get unknown(): boolean {
    return this.limit === null;
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
    if (limit !== null && (newest || this.limit === null)) this.onLimit(limit, reading.at);
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

  private readonly shown: Mutable<PoolFigures> = {
    limit: null,
    used: null,
    remaining: null,
    reserved: 0,
    resetAt: null,
    windowMs: null,
    observedAt: null,
  };

  protected show(
    used: Units | null,
    remaining: Units | null,
    resetAt: EpochMs | null,
  ): PoolFigures {
    const shown = this.shown;
    shown.limit = this.limit;
    shown.used = used;
    shown.remaining = remaining;
    shown.reserved = this.held;
    shown.resetAt = resetAt;
    shown.windowMs = this.windowMs;
    shown.observedAt = this.observedAt;
    return shown;
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

  protected onLimit(limit: Units, _at: EpochMs): void {
    this.limit = limit;
  }

  /** Limit for one credential; the same for all unless an account has several. */
  limitFor(_credential: string): Units {
    return this.limit ?? 0;
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
  protected abstract whenServed(ahead: Units, units: Units, now: EpochMs, cred: string): EpochMs;
  protected abstract onHold(hold: Hold): void;
  protected abstract onRelease(hold: Hold): void;
  protected abstract onSettle(hold: Hold, units: Units, at: EpochMs, seen: boolean): void;
  /** Returns whether a window began that was not known. */
  protected abstract onReading(reading: Reading): boolean;
  protected abstract onAbsorb(other: Pool): void;
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
    this.loadState(saved['state'] as JsonValue);
  }
}

function latest(a: EpochMs | null, b: EpochMs | null): EpochMs | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}

/** Some providers say what is left but never the limit: the most ever left stands for it. */
function impliedLimit(reading: Reading, known: Units | null): Units | null {
  if (reading.remaining === null) return null;
  const seen = reading.remaining + (reading.used ?? 0);
  return known === null || seen > known ? seen : null;
}
