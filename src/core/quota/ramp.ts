import type { DurationMs, EpochMs } from '../units.ts';
import { ON_EVENT } from './pool.ts';

/** No more than this many at once while a pool's limit is unknown. */
export const RAMP_MAX = 64;
/** A pioneer that takes longer than this to answer no longer holds up the rest alone. */
export const RAMP_STEP_MS: DurationMs = 2000;

/**
 * Admission to a pool nobody has observed: one request goes first and the others wait for its
 * headers. Each answer without headers doubles how many may be out at once, up to RAMP_MAX; so does
 * each RAMP_STEP_MS without any answer.
 */
export class Ramp {
  private allowed = 1;
  private out = 0;
  private since: EpochMs = 0;

  earliest(now: EpochMs): EpochMs {
    if (this.out < this.allowed) return now;
    if (this.allowed >= RAMP_MAX) return ON_EVENT;
    // Time-driven doublings needed until one more fits.
    let steps = 0;
    let allowed = this.allowed;
    while (allowed <= this.out && allowed < RAMP_MAX) {
      allowed *= 2;
      steps += 1;
    }
    return allowed > this.out ? Math.max(now, this.since + steps * RAMP_STEP_MS) : ON_EVENT;
  }

  sent(at: EpochMs): void {
    if (this.out === 0) this.since = at;
    else if (this.out >= this.allowed) {
      // Admitted by elapsed time: that growth is now permanent.
      while (this.allowed <= this.out && this.allowed < RAMP_MAX) this.allowed *= 2;
      this.since = at;
    }
    this.out += 1;
  }

  /** Answered with headers, or never sent: proves nothing about headerless answers. */
  answered(): void {
    if (this.out > 0) this.out -= 1;
  }

  /** Answered without headers. */
  silent(): void {
    this.answered();
    if (this.allowed < RAMP_MAX) this.allowed *= 2;
  }

  /** How many may be out at once. */
  get width(): number {
    return this.allowed;
  }

  /** At least so many may be out at once from now on. */
  widenTo(allowed: number): void {
    this.allowed = Math.max(this.allowed, Math.min(allowed, RAMP_MAX));
  }

  save(): number {
    return this.allowed;
  }

  load(allowed: number): void {
    this.allowed = allowed;
    this.out = 0;
  }
}
