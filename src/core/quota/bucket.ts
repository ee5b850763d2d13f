import { MINUTE, type DurationMs, type EpochMs, type JsonValue, type Units } from '../units.ts';
import { NEVER, Pool, type Hold, type PoolFigures, type Reading } from './pool.ts';

/** Travel times differ: never count on a refill the provider may see this much later. */
const JITTER_MS: DurationMs = 20;
/** A request is charged so long after it was sent at most. */
const CHARGED_WITHIN_MS: DurationMs = 5000;
/**
 * Of two requests that were sent so far from each other the earlier one is charged first: what they
 * need to get there, a slow upload included, differs by less.
 */
const IN_ORDER_MS: DurationMs = 2000;
/** Estimates may be so many times too low, until it was learned how many. */
const ESTIMATE_FACTOR = 4;
/**
 * Known charges that differ: what is set aside covers them on the whole, and not of each request. One rule
 * for prompts, another for answers, and a constant besides make small requests dearer by the unit.
 */
const UNEVEN_FACTOR = 2;

/**
 * A continuously refilling bucket (GCRA). `limit` units fit, `windowMs` refills it from empty to
 * full. State is one theoretical arrival time (TAT): when the bucket will be full again.
 *
 * What the provider said is `known`; requests sent and not yet answered are put on top of it, each
 * from the moment it was sent, because a reading may or may not include them. Those that were sent well
 * before one that was answered are in that one's reading, however long their own answers take.
 */
export class BucketPool extends Pool {
  private known: EpochMs = 0;
  /** When the reading that made `known` reached us. */
  private knownAt: EpochMs = 0;
  /** When the latest of those requests was sent that brought a reading. */
  private latestSent: EpochMs = 0;
  /** Charged before the limit was told, which tells how long that takes to refill. */
  private chargedBlindly: Units = 0;
  private tat: EpochMs = 0;
  private readonly unanswered = new Set<Hold>();
  /** What the TAT would be at most without others; `null` = the next reading tells. */
  private mine: EpochMs | null = null;
  /** Milliseconds a unit that `mine` was reckoned with. */
  private minePerUnit: DurationMs = 0;
  private settledAt: EpochMs = 0;
  private askedAt: EpochMs = 0;
  private watchedAt: EpochMs = 0;
  /** Until then the bucket may lack what a request of ours was charged that has no estimate. */
  private blindUntil: EpochMs = 0;

  /**
   * What the provider may count for each unit that we set aside: only what no estimate explains is
   * taken for somebody else's.
   */
  private get ownFactor(): number {
    if (this.spec.unit === 'requests') return 1;
    if (this.charging?.settled !== true) return ESTIMATE_FACTOR;
    // What is set aside then covers what is charged.
    return this.charging.uneven ? UNEVEN_FACTOR : 1;
  }

  private get window(): DurationMs {
    return this.windowMs ?? MINUTE;
  }

  /** Milliseconds one unit takes to refill. */
  private get perUnit(): DurationMs {
    return this.window / Math.max(1, this.limit ?? 1);
  }

  override get estimated(): boolean {
    return this.spec.source === 'observed' && this.spec.unit !== 'requests';
  }

  protected whenRoom(units: Units, now: EpochMs, keep: Units): EpochMs {
    if (units > this.limitFor('') - keep) return NEVER;
    const guard = this.spec.source === 'observed' && this.tat > now ? JITTER_MS : 0;
    const all = units + keep + this.margin(units + keep, now);
    return Math.ceil(this.tat + all * this.perUnit - this.window) + guard;
  }

  /** Units that others may have taken; never so many that a full bucket lets nobody pass. */
  private margin(units: Units, now: EpochMs): Units {
    if (this.outside === null) return 0;
    const limit = this.limitFor('');
    return Math.min(limit - units, this.outside.margin(now - this.askedAt, limit));
  }

  protected override whenRoomAfter(extra: Units, units: Units, now: EpochMs, keep: Units): EpochMs {
    if (units > this.limitFor('') - keep) return NEVER;
    const all = extra + units + keep;
    const withOthers = all + Math.max(0, this.margin(all, now));
    const at = Math.max(this.tat, now) + withOthers * this.perUnit - this.window;
    return Math.ceil(at) + (this.spec.source === 'observed' ? JITTER_MS : 0);
  }

  override earliest(units: Units, now: EpochMs, keep: Units, credential: string): EpochMs {
    const at = super.earliest(units, now, keep, credential);
    return at <= now ? now : at;
  }

  protected whenServed(ahead: Units, units: Units, now: EpochMs): EpochMs {
    const at = Math.max(this.tat, now) + (ahead + units) * this.perUnit - this.window;
    return Math.max(now, Math.ceil(at));
  }

  resetTime(now: EpochMs): EpochMs | null {
    return this.tat > now ? Math.ceil(this.tat) : null;
  }

  protected onHold(hold: Hold): void {
    this.unanswered.add(hold);
    if (hold.at < this.latestSent - IN_ORDER_MS) return;
    this.tat = Math.max(this.tat, hold.at) + hold.units * this.perUnit;
  }

  protected onRelease(hold: Hold): void {
    this.unanswered.delete(hold);
    this.recompute();
  }

  protected onSettle(hold: Hold, units: Units, at: EpochMs, seen: boolean): void {
    this.unanswered.delete(hold);
    if (this.mine !== null) {
      this.mine = Math.max(this.mine, at) + units * this.minePerUnit * this.ownFactor;
    }
    this.settledAt = Math.max(this.settledAt, at);
    if (!seen) {
      if (this.limit === null) this.chargedBlindly += units;
      else this.known = Math.max(this.known, hold.at) + units * this.perUnit;
      // A reading asked for earlier may not include it, so it cannot show that less is used.
      this.knownAt = Math.max(this.knownAt, at + 1);
    }
    this.recompute();
  }

  protected onAbsorb(other: BucketPool): void {
    this.mine = null;
    this.chargedBlindly += other.chargedBlindly;
    this.known = Math.max(this.known, other.known);
    this.knownAt = Math.max(this.knownAt, other.knownAt);
    this.recompute();
  }

  protected onClockSetBack(by: DurationMs): void {
    this.known -= by;
    this.knownAt -= by;
    this.latestSent -= by;
    if (this.mine !== null) this.mine -= by;
    this.settledAt -= by;
    this.askedAt -= by;
    this.watchedAt -= by;
    this.blindUntil -= by;
    this.recompute();
  }

  /** Whatever it was charged is refilled a window after that. */
  override unexplained(at: EpochMs): void {
    this.blindUntil = Math.max(this.blindUntil, at + this.window + CHARGED_WITHIN_MS);
  }

  protected onReading(reading: Reading): boolean {
    const limit = this.limit;
    const remaining = reading.remaining;
    if (limit === null || remaining === null || remaining < 0) return false;
    const missing = Math.max(0, limit - remaining);
    const told = reading.at + missing * this.perUnit;
    if (this.watched) {
      if (reading.sentAt < this.blindUntil) this.mine = null;
      else this.watch(reading, missing, told);
    }
    // Charges only ever raise the TAT, so the largest reading is right, whatever the order. One
    // that was asked for after the last one had arrived may also lower it: the provider gave back.
    // Of one sent well before another that was answered, that one's reading tells more.
    const isNews = reading.sentAt >= this.latestSent - IN_ORDER_MS;
    const counts = (isNews && told >= this.known) || reading.sentAt >= this.knownAt;
    if (counts) {
      this.known = told;
      this.knownAt = reading.at;
    }
    if (counts || reading.sentAt > this.latestSent) {
      this.latestSent = Math.max(this.latestSent, reading.sentAt);
      this.recompute();
    }
    return false;
  }

  /**
   * Whatever of ours the bucket may have counted is taken to be counted, and to have come as late as
   * it can; what is told beyond that others took. `remaining` is floored: one unit less is certain.
   */
  private watch(reading: Reading, missing: Units, told: EpochMs): void {
    const { perUnit, mine } = this;
    this.askedAt = Math.max(this.askedAt, reading.sentAt);
    if (mine === null || this.minePerUnit !== perUnit) {
      // What was charged without being told need not be in it.
      this.mine = reading.sentAt < this.knownAt ? Math.max(told, this.known) : told;
      this.minePerUnit = perUnit;
      this.outside?.restart();
      this.noteOutside(0, reading.at, reading.at);
      this.watchedAt = reading.at;
      return;
    }
    const most = Math.max(mine, reading.at) + this.held * perUnit * this.ownFactor;
    const least = reading.sentAt + (missing - 1) * perUnit;
    const others = Math.max(0, Math.floor((least - most) / perUnit));
    if (others > 0) this.mine = Math.max(mine, reading.at) + others * perUnit;
    // Everything charged is in it: it cannot be more than what is told.
    else if (reading.sentAt > this.settledAt) this.mine = Math.min(mine, told);
    this.noteOutside(others, Math.min(this.watchedAt, reading.at), reading.at);
    this.watchedAt = Math.max(this.watchedAt, reading.at);
  }

  protected override onLimit(limit: Units, at: EpochMs): void {
    if (limit !== this.limit) this.mine = null;
    if (this.limit === null) {
      const missing = Math.min(limit, this.chargedBlindly);
      this.known = Math.max(this.known, at) + (missing * this.window) / Math.max(1, limit);
      this.chargedBlindly = 0;
    } else if (limit !== this.limit) {
      this.known = Math.min(this.known, at + this.window);
      this.knownAt = 0;
    }
    this.limit = limit;
  }

  private recompute(): void {
    let tat = this.known;
    const perUnit = this.perUnit;
    const included = this.latestSent - IN_ORDER_MS;
    for (const hold of this.unanswered) {
      if (hold.at < included) continue;
      tat = Math.max(tat, hold.at) + hold.units * perUnit;
    }
    this.tat = tat;
  }

  figures(now: EpochMs): PoolFigures {
    const limit = this.limit;
    const missing = Math.ceil(Math.max(0, this.known - now) / this.perUnit);
    const seen = limit !== null && (this.observedAt !== null || this.spec.source !== 'observed');
    const remaining = limit === null ? null : Math.max(0, limit - missing);
    const resetAt = this.known > now ? Math.ceil(this.known) : null;
    return this.show(seen ? Math.min(limit, missing) : null, remaining, resetAt);
  }

  protected saveState(): JsonValue {
    const { known, knownAt, latestSent, mine, minePerUnit } = this;
    const { settledAt, askedAt, watchedAt, blindUntil, chargedBlindly } = this;
    const times = {
      known,
      knownAt,
      latestSent,
      settledAt,
      askedAt,
      watchedAt,
      blindUntil,
      chargedBlindly,
    };
    return { ...times, mine, minePerUnit };
  }

  protected loadState(state: JsonValue): void {
    const saved = state as unknown as SavedBucket;
    this.known = saved.known;
    this.knownAt = saved.knownAt;
    this.mine = saved.mine;
    this.minePerUnit = saved.minePerUnit;
    this.settledAt = saved.settledAt;
    this.askedAt = saved.askedAt;
    this.watchedAt = saved.watchedAt;
    this.blindUntil = saved.blindUntil ?? 0;
    this.chargedBlindly = saved.chargedBlindly ?? 0;
    this.latestSent = saved.latestSent ?? 0;
    this.recompute();
  }
}

interface SavedBucket {
  readonly known: EpochMs;
  readonly knownAt: EpochMs;
  readonly mine: EpochMs | null;
  readonly minePerUnit: DurationMs;
  readonly settledAt: EpochMs;
  readonly askedAt: EpochMs;
  readonly watchedAt: EpochMs;
  readonly chargedBlindly?: Units;
  readonly blindUntil?: EpochMs;
  readonly latestSent?: EpochMs;
}
