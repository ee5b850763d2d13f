import { MINUTE, type DurationMs, type EpochMs, type JsonValue, type Units } from '../units.ts';
import { NEVER, Pool, type Hold, type PoolFigures, type Reading } from './pool.ts';

/** Travel times differ: never count on a refill the provider may see this much later. */
const JITTER_MS: DurationMs = 20;

/**
 * A continuously refilling bucket (GCRA). `limit` units fit, `windowMs` refills it from empty to
 * full. State is one theoretical arrival time (TAT): when the bucket will be full again.
 *
 * What the provider said is `known`; requests sent and not yet answered are put on top of it, each
 * from the moment it was sent, because a reading may or may not include them.
 */
export class BucketPool extends Pool {
  private known: EpochMs = 0;
  /** When the reading that made `known` reached us. */
  private knownAt: EpochMs = 0;
  private tat: EpochMs = 0;
  private readonly unanswered = new Set<Hold>();

  private get window(): DurationMs {
    return this.windowMs ?? MINUTE;
  }

  /** Milliseconds one unit takes to refill. */
  private get perUnit(): DurationMs {
    return this.window / Math.max(1, this.limit ?? 1);
  }

  protected whenRoom(units: Units, now: EpochMs, keep: Units): EpochMs {
    if (units > this.limitFor('') - keep) return NEVER;
    const guard = this.spec.source === 'observed' && this.tat > now ? JITTER_MS : 0;
    return Math.ceil(this.tat + (units + keep) * this.perUnit - this.window) + guard;
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
    this.tat = Math.max(this.tat, hold.at) + hold.units * this.perUnit;
  }

  protected onRelease(hold: Hold): void {
    this.unanswered.delete(hold);
    this.recompute();
  }

  protected onSettle(hold: Hold, units: Units, at: EpochMs, seen: boolean): void {
    this.unanswered.delete(hold);
    if (!seen) {
      this.known = Math.max(this.known, hold.at) + units * this.perUnit;
      // A reading asked for earlier may not include it, so it cannot show that less is used.
      this.knownAt = Math.max(this.knownAt, at + 1);
    }
    this.recompute();
  }

  protected onAbsorb(other: BucketPool): void {
    this.known = Math.max(this.known, other.known);
    this.knownAt = Math.max(this.knownAt, other.knownAt);
    this.recompute();
  }

  protected onReading(reading: Reading): boolean {
    const limit = this.limit;
    const remaining = reading.remaining;
    if (limit === null || remaining === null || remaining < 0) return false;
    const missing = Math.max(0, limit - remaining);
    const told = reading.at + missing * this.perUnit;
    // Charges only ever raise the TAT, so the largest reading is right, whatever the order. One
    // that was asked for after the last one had arrived may also lower it: the provider gave back.
    if (told >= this.known || reading.sentAt >= this.knownAt) {
      this.known = told;
      this.knownAt = reading.at;
      this.recompute();
    }
    return false;
  }

  protected override onLimit(limit: Units, at: EpochMs): void {
    if (this.limit !== null && limit !== this.limit) {
      this.known = Math.min(this.known, at + this.window);
      this.knownAt = 0;
    }
    this.limit = limit;
  }

  private recompute(): void {
    let tat = this.known;
    const perUnit = this.perUnit;
    for (const hold of this.unanswered) {
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
    return { known: this.known, knownAt: this.knownAt };
  }

  protected loadState(state: JsonValue): void {
    const saved = state as unknown as { known: number; knownAt: number };
    this.known = saved.known;
    this.knownAt = saved.knownAt;
    this.recompute();
  }
}
