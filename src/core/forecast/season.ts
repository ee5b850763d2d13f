import type { JsonValue, Units } from '../units.ts';
import { exact } from './exact.ts';

const DAY_S = 86_400;
const BINS = 96;
const BIN_S = DAY_S / BINS;
/** Days that the profile looks back over. */
const MEMORY = 1 / 7;
/** How far what the last hour was above or below its usual carries on. */
const CARRY = 0.7;
const MOST_STEPS = 2 * BINS;

/** What is usual at each quarter of an hour of the (UTC) day. */
export class Season {
  private readonly rates = new Float32Array(BINS);
  private readonly days = new Uint8Array(BINS);
  private bin = -1;
  private units: Units = 0;
  private seconds = 0;

  get bytes(): number {
    return this.rates.byteLength + this.days.byteLength;
  }

  /** Units of one second; those that are left out had none. */
  tick(second: number, units: Units): void {
    const bin = Math.floor(second / BIN_S);
    if (bin !== this.bin) this.turn(bin);
    this.units += units;
    this.seconds = (second % BIN_S) + 1;
  }

  private turn(bin: number): void {
    if (this.bin >= 0) {
      // A bin that began before anybody looked tells only part of itself: the first one is left out.
      if (this.seconds > 0 && this.started) this.close(this.bin % BINS, this.units / BIN_S);
      const silent = Math.min(bin - this.bin - 1, 8 * BINS);
      for (let i = 1; i <= silent; i++) this.close((this.bin + i) % BINS, 0);
      this.started = true;
    }
    this.bin = bin;
    this.units = 0;
  }

  private started = false;

  private close(at: number, rate: number): void {
    const days = Math.min(250, (this.days[at] as number) + 1);
    this.days[at] = days;
    const old = this.rates[at] as number;
    this.rates[at] = old + Math.max(MEMORY, 1 / days) * (rate - old);
  }

  /**
   * Seconds until `remaining` are used when each quarter of an hour brings its usual, scaled by how the
   * last hour compares with its own; `null` before a day is known.
   *
   * @param lately units a second of the last hour
   */
  lasts(now: number, remaining: Units, lately: number): number | null {
    const start = Math.floor(now / BIN_S);
    const here = start % BINS;
    if (this.days[(here + 1) % BINS] === 0 || this.days[here] === 0) return null;
    let usual = 0;
    for (let i = 1; i <= 4; i++) usual += (this.rates[(here - i + BINS) % BINS] as number) / 4;
    if (usual <= 0 || lately <= 0) return null;
    const scale = Math.min(4, Math.max(0.25, lately / usual)) ** CARRY;
    let left = remaining / scale;
    let spent = 0;
    let stretch = (start + 1) * BIN_S - now;
    for (let i = 0; i < MOST_STEPS; i++) {
      const at = (here + i) % BINS;
      const rate = this.rates[at] as number;
      const brings = rate * stretch;
      if (brings >= left) return spent + left / rate;
      left -= brings;
      spent += stretch;
      stretch = BIN_S;
    }
    return spent * (1 + left / Math.max(1e-9, remaining / scale - left));
  }

  save(): JsonValue {
    return [
      Array.from(this.rates, exact),
      [...this.days],
      [this.bin, this.units, this.seconds, this.started ? 1 : 0],
    ];
  }

  load(saved: JsonValue): void {
    const [rates, days, now] = saved as unknown as [
      number[],
      number[],
      [number, number, number, number],
    ];
    this.rates.set(rates);
    this.days.set(days);
    [this.bin, this.units, this.seconds] = now;
    this.started = now[3] === 1;
  }
}
