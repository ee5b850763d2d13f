/**
 * Quotas as origin servers enforce them: the judges of a simulation. Each is exact, and written
 * apart from the pools in the core, so that a mistake there is not repeated here.
 */
import type { DurationMs, MonoMs, Units } from '../../core/units.ts';
import type { UpstreamPool, UpstreamWindow } from '../types.ts';
import { Book } from './book.ts';

export interface Quota {
  readonly pool: UpstreamPool;
  /** Whether so many units are to be had now. */
  has(units: Units, at: MonoMs): boolean;
  /** Takes them, asked or not; `own` = by someone who passes through the governor. */
  take(units: Units, at: MonoMs, own: boolean): void;
  /** Gives back what is held while it lasts; only concurrency is. */
  free(units: Units): void;
  /** Counts a refusal of our own. */
  refuse(at: MonoMs): void;
  /** Units left, not floored. */
  remaining(at: MonoMs): Units;
  /** Milliseconds until `units` are to be had; 0 = now; `Infinity` = never. */
  waitFor(units: Units, at: MonoMs): DurationMs;
  /** Milliseconds until the window ends (fixed), everything is back (others). */
  resetIn(at: MonoMs): DurationMs;
  windows(until: MonoMs): readonly UpstreamWindow[];
}

/** A window that opens with the first call after the last one ended. */
export class FixedQuota implements Quota {
  readonly pool: UpstreamPool;
  private readonly book: Book;
  private used: Units = 0;
  private end: MonoMs = -Infinity;

  constructor(pool: UpstreamPool) {
    this.pool = pool;
    this.book = new Book(pool);
  }

  private roll(at: MonoMs): void {
    if (at >= this.end) this.used = 0;
  }

  has(units: Units, at: MonoMs): boolean {
    this.roll(at);
    return this.used + units <= this.pool.limit;
  }

  take(units: Units, at: MonoMs, own: boolean): void {
    this.roll(at);
    if (at >= this.end) {
      this.end = at + this.pool.windowMs;
      this.book.open(at);
    }
    this.used += units;
    const span = this.book.at(at);
    if (own) span.own += units;
    else span.outside += units;
  }

  free(): void {}

  refuse(at: MonoMs): void {
    const span = at < this.end ? this.book.newest : null;
    if (span !== null) span.refused += 1;
  }

  remaining(at: MonoMs): Units {
    this.roll(at);
    return Math.max(0, this.pool.limit - this.used);
  }

  /** As the fields tell it: may exceed the limit by nothing here, for refusals are not charged. */
  usedAt(at: MonoMs): Units {
    this.roll(at);
    return this.used;
  }

  waitFor(units: Units, at: MonoMs): DurationMs {
    if (units > this.pool.limit) return Infinity;
    return this.has(units, at) ? 0 : this.end - at;
  }

  /** Of an unused window the end is a window ahead, as GitHub tells it. */
  resetIn(at: MonoMs): DurationMs {
    return at < this.end ? this.end - at : this.pool.windowMs;
  }

  windows(until: MonoMs): readonly UpstreamWindow[] {
    return this.book.list(until);
  }
}

/** Refills evenly, holds at most its limit. */
export class BucketQuota implements Quota {
  readonly pool: UpstreamPool;
  private readonly book: Book;
  private level: Units;
  private levelAt: MonoMs = 0;

  constructor(pool: UpstreamPool) {
    this.pool = pool;
    this.level = pool.limit;
    this.book = new Book(pool);
  }

  private get perMs(): number {
    return this.pool.limit / this.pool.windowMs;
  }

  private refill(at: MonoMs): void {
    if (at <= this.levelAt) return;
    this.level = Math.min(this.pool.limit, this.level + (at - this.levelAt) * this.perMs);
    this.levelAt = at;
  }

  has(units: Units, at: MonoMs): boolean {
    this.refill(at);
    // What floating point lost over many refills is not held against anybody.
    return this.level + 1e-6 >= units;
  }

  take(units: Units, at: MonoMs, own: boolean): void {
    this.refill(at);
    this.level -= units;
    const span = this.book.at(at);
    if (own) span.own += units;
    else span.outside += units;
  }

  free(): void {}

  refuse(at: MonoMs): void {
    this.book.at(at).refused += 1;
  }

  remaining(at: MonoMs): Units {
    this.refill(at);
    return Math.max(0, this.level);
  }

  waitFor(units: Units, at: MonoMs): DurationMs {
    if (units > this.pool.limit) return Infinity;
    return this.has(units, at) ? 0 : (units - this.level) / this.perMs;
  }

  resetIn(at: MonoMs): DurationMs {
    this.refill(at);
    return (this.pool.limit - this.level) / this.perMs;
  }

  windows(until: MonoMs): readonly UpstreamWindow[] {
    return this.book.list(until);
  }
}

/** What came in the last window's length, exactly. */
export class RollingQuota implements Quota {
  readonly pool: UpstreamPool;
  private readonly book: Book;
  private readonly times: MonoMs[] = [];
  private readonly amounts: Units[] = [];
  private first = 0;
  private sum: Units = 0;

  constructor(pool: UpstreamPool) {
    this.pool = pool;
    this.book = new Book(pool);
  }

  private slide(at: MonoMs): void {
    const edge = at - this.pool.windowMs;
    while (this.first < this.times.length && (this.times[this.first] as number) <= edge) {
      this.sum -= this.amounts[this.first] as number;
      this.first += 1;
    }
    if (this.first > 4096 && this.first * 2 > this.times.length) {
      this.times.splice(0, this.first);
      this.amounts.splice(0, this.first);
      this.first = 0;
    }
  }

  has(units: Units, at: MonoMs): boolean {
    this.slide(at);
    return this.sum + units <= this.pool.limit;
  }

  take(units: Units, at: MonoMs, own: boolean): void {
    this.slide(at);
    this.times.push(at);
    this.amounts.push(units);
    this.sum += units;
    const span = this.book.at(at);
    if (own) span.own += units;
    else span.outside += units;
  }

  free(): void {}

  refuse(at: MonoMs): void {
    this.book.at(at).refused += 1;
  }

  remaining(at: MonoMs): Units {
    this.slide(at);
    return Math.max(0, this.pool.limit - this.sum);
  }

  waitFor(units: Units, at: MonoMs): DurationMs {
    if (units > this.pool.limit) return Infinity;
    this.slide(at);
    let room = this.pool.limit - this.sum;
    for (let i = this.first; room < units && i < this.times.length; i++) {
      room += this.amounts[i] as number;
      if (room >= units) return (this.times[i] as number) + this.pool.windowMs - at;
    }
    return 0;
  }

  resetIn(at: MonoMs): DurationMs {
    this.slide(at);
    const last = this.times[this.times.length - 1];
    return last === undefined || this.first >= this.times.length
      ? 0
      : last + this.pool.windowMs - at;
  }

  windows(until: MonoMs): readonly UpstreamWindow[] {
    return this.book.list(until);
  }
}

/** So many at once. */
export class ConcurrencyQuota implements Quota {
  readonly pool: UpstreamPool;
  private readonly book: Book;
  private inside: Units = 0;
  /** Most that were inside at once. */
  peak: Units = 0;

  constructor(pool: UpstreamPool) {
    this.pool = pool;
    this.book = new Book(pool);
  }

  has(units: Units): boolean {
    return this.inside + units <= this.pool.limit;
  }

  take(units: Units, at: MonoMs, own: boolean): void {
    this.inside += units;
    this.peak = Math.max(this.peak, this.inside);
    const span = this.book.at(at);
    if (own) span.own += units;
    else span.outside += units;
  }

  free(units: Units): void {
    this.inside -= units;
  }

  refuse(at: MonoMs): void {
    this.book.at(at).refused += 1;
  }

  remaining(): Units {
    return Math.max(0, this.pool.limit - this.inside);
  }

  /** Nobody knows when the others leave. */
  waitFor(units: Units): DurationMs {
    return this.has(units) ? 0 : Infinity;
  }

  resetIn(): DurationMs {
    return 0;
  }

  windows(until: MonoMs): readonly UpstreamWindow[] {
    return this.book.list(until);
  }
}

export function createQuota(pool: UpstreamPool): Quota {
  switch (pool.kind) {
    case 'fixed':
      return new FixedQuota(pool);
    case 'bucket':
      return new BucketQuota(pool);
    case 'rolling':
      return new RollingQuota(pool);
    case 'concurrent':
      return new ConcurrencyQuota(pool);
  }
}
