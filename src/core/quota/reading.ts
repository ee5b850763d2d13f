/** What pools are told, what they hold, and how they show themselves. */
import type { DurationMs, EpochMs, Units } from '../units.ts';
import type { Pool } from './pool.ts';

/** Units set aside for one request in one pool. */
export interface Hold {
  /** Changes only when its pool is joined to another. */
  pool: Pool;
  readonly units: Units;
  /** When it was set aside, which is when the request was sent. Moves when the clock was set back. */
  at: EpochMs;
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

/** Some providers say what is left but never the limit: the most ever left stands for it. */
export function impliedLimit(reading: Reading, known: Units | null): Units | null {
  if (reading.remaining === null) return null;
  const seen = reading.remaining + (reading.used ?? 0);
  return known === null || seen > known ? seen : null;
}

/** `used` may exceed the limit, may be missing, and `remaining` may be −1 for "no idea". */
export function usedBy(reading: Reading, limit: Units | null): Units | null {
  if (reading.used !== null && reading.used >= 0) return reading.used;
  if (reading.remaining === null || reading.remaining < 0) return null;
  const of = reading.limit ?? limit;
  return of === null ? null : Math.max(0, of - reading.remaining);
}

/** Figures of one pool, overwritten each time they are asked for. */
export class Shown implements PoolFigures {
  limit: Units | null = null;
  used: Units | null = null;
  remaining: Units | null = null;
  reserved: Units = 0;
  resetAt: EpochMs | null = null;
  windowMs: DurationMs | null = null;
  observedAt: EpochMs | null = null;

  fill(pool: Pool, used: Units | null, remaining: Units | null, resetAt: EpochMs | null): this {
    this.limit = pool.limit;
    this.used = used;
    this.remaining = remaining;
    this.reserved = pool.held;
    this.resetAt = resetAt;
    this.windowMs = pool.windowMs;
    this.observedAt = pool.observedAt;
    return this;
  }
}
