import type { DurationMs, MonoMs, Units } from '../units.ts';

const TAU_MS: DurationMs = 20_000;
/** Fewer than so many tell nothing. */
const ENOUGH = 8;

/**
 * How fast a line is served while somebody waits in it: where room comes with events (slots, a pool
 * of which nothing is known) it is the only way to tell how long a wait will be.
 */
export class ServiceMeter {
  private sum: Units = 0;
  private count = 0;
  private since: MonoMs = 0;
  private at: MonoMs = 0;

  /** Somebody begins to wait: the time in which nobody did does not count. */
  resume(now: MonoMs): void {
    if (this.count === 0) this.since = now;
    else this.since += now - this.at;
    this.at = now;
  }

  served(units: Units, now: MonoMs): void {
    this.decay(now);
    this.sum += units;
    this.count += 1;
  }

  private decay(now: MonoMs): void {
    const passed = now - this.at;
    if (passed <= 0) return;
    this.sum *= Math.exp(-passed / TAU_MS);
    this.at = now;
  }

  /** Units a millisecond; `null` when too few were served. */
  rate(now: MonoMs): number | null {
    if (this.count < ENOUGH) return null;
    const seen = Math.max(1, now - this.since);
    const weight = TAU_MS * (1 - Math.exp(-seen / TAU_MS));
    const sum = this.sum * Math.exp(-Math.max(0, now - this.at) / TAU_MS);
    return sum <= 0 ? null : sum / weight;
  }
}
