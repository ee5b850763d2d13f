import {
  HOUR,
  MINUTE,
  type DurationMs,
  type EpochMs,
  type JsonValue,
  type Units,
} from '../units.ts';

/** What is measured fades with the window's length, and no faster than this. */
const LEAST_TAU_MS: DurationMs = 10 * MINUTE;

/**
 * How much of a quota lies idle because more was set aside than was then charged. Each reservation
 * keeps its excess idle for as long as it lasts; the sum of excess × time over what was charged,
 * divided by the window's length, is the share of use that could have been had besides.
 */
export class Excess {
  /** Unit-milliseconds. */
  private idle = 0;
  private charged: Units = 0;
  private at: EpochMs = 0;

  /** A reservation of `held` units ended after `lasted`, and `charged` were charged. */
  add(held: Units, charged: Units, lasted: DurationMs, now: EpochMs, windowMs: DurationMs): void {
    const passed = now - this.at;
    if (passed > 0) {
      const kept = Math.exp(-passed / Math.max(windowMs, LEAST_TAU_MS));
      this.idle *= kept;
      this.charged *= kept;
      this.at = now;
    }
    this.idle += Math.max(0, held - charged) * Math.max(0, lasted);
    this.charged += charged;
  }

  /** 0 = nothing lay idle; `null` when nothing was charged. */
  ratio(windowMs: DurationMs | null): number | null {
    return this.charged < 1 ? null : this.idle / (this.charged * (windowMs ?? HOUR));
  }

  save(): JsonValue {
    return [this.idle, this.charged, this.at];
  }

  load(saved: JsonValue): void {
    [this.idle, this.charged, this.at] = saved as unknown as [number, number, number];
  }
}
