import type { EpochMs, JsonValue, Units } from '../units.ts';

/** Time constants, seconds: from what just happened to the habit of the week. */
export const RUNGS = [20, 60, 180, 600, 1_800, 3_600, 10_800, 604_800] as const;
/** The rung that forgets so slowly that it tells what is usual. */
export const HABIT = RUNGS.length - 1;
const BIN_MS = 1000;

/** What came and was not handed on yet. */
export interface Pending {
  readonly at: EpochMs;
  readonly units: Units;
}

/**
 * Demand as exponentially weighted means over several time constants, from bins of a second. A bin
 * is closed when the next one begins; seconds in which nothing came count as well.
 */
export class Ladder {
  private bin = -1;
  private inBin: Units = 0;
  /** Weighted sums over closed bins, per rung: of ones, of units, of squared units. */
  private readonly ones = new Float64Array(RUNGS.length);
  private readonly sums = new Float64Array(RUNGS.length);
  private readonly squares = new Float64Array(RUNGS.length);
  /** Of bins in which something came, as the habit remembers. */
  private busy = 0;
  /** The last of them. */
  private busyBin = -1;

  get bytes(): number {
    return 8 * (3 * RUNGS.length + 5);
  }

  /** All units ever. */
  total: Units = 0;

  add(at: EpochMs, units: Units): void {
    this.advance(at);
    this.inBin += units;
    if (units > 0) this.busyBin = this.bin;
    this.total += units;
  }

  /** Closes the bins that ended before `at`. */
  advance(at: EpochMs): void {
    const bin = Math.floor(at / BIN_MS);
    if (bin <= this.bin) return;
    if (this.bin >= 0) {
      this.close(this.inBin);
      const empty = bin - this.bin - 1;
      if (empty > 0) this.skip(empty);
    }
    this.bin = bin;
    this.inBin = 0;
  }

  /** As it will be then when nothing but `pending` comes: itself, or a copy. */
  at(at: EpochMs, pending: Pending | null): Ladder {
    if (pending === null && Math.floor(at / BIN_MS) <= this.bin) return this;
    const later = new Ladder();
    later.bin = this.bin;
    later.inBin = this.inBin;
    later.total = this.total;
    later.ones.set(this.ones);
    later.sums.set(this.sums);
    later.squares.set(this.squares);
    later.busy = this.busy;
    later.busyBin = this.busyBin;
    if (pending !== null) later.add(pending.at, pending.units);
    later.advance(at);
    return later;
  }

  private close(units: Units): void {
    this.busy = this.busy * (KEEP[HABIT] as number) + (units > 0 ? 1 : 0);
    for (let i = 0; i < RUNGS.length; i++) {
      const keep = KEEP[i] as number;
      this.ones[i] = (this.ones[i] as number) * keep + 1;
      this.sums[i] = (this.sums[i] as number) * keep + units;
      this.squares[i] = (this.squares[i] as number) * keep + units * units;
    }
  }

  private skip(bins: number): void {
    this.busy *= (KEEP[HABIT] as number) ** bins;
    for (let i = 0; i < RUNGS.length; i++) {
      const keep = KEEP[i] as number;
      const left = keep ** bins;
      this.ones[i] = (this.ones[i] as number) * left + (1 - left) / (1 - keep);
      this.sums[i] = (this.sums[i] as number) * left;
      this.squares[i] = (this.squares[i] as number) * left;
    }
  }

  /** Units a second. */
  rate(rung: number): number {
    const ones = this.ones[rung] as number;
    return ones > 0 ? (this.sums[rung] as number) / ones : 0;
  }

  /** Share of seconds in which something came, by habit. */
  get business(): number {
    const ones = this.ones[HABIT] as number;
    return ones > 0 ? this.busy / ones : 0;
  }

  /** Seconds since something came. */
  get silence(): number {
    return this.busyBin < 0 ? 0 : this.bin - this.busyBin;
  }

  /** Seconds of experience, at most about the time constant. */
  weight(rung: number): number {
    return this.ones[rung] as number;
  }

  /** Variance over mean of what comes in a second, units; 1 where nothing came. */
  dispersion(rung: number): number {
    const mean = this.rate(rung);
    if (mean <= 0) return 1;
    const variance = (this.squares[rung] as number) / (this.ones[rung] as number) - mean * mean;
    return Math.max(0, variance) / mean;
  }

  /** The rung that looks back about as far as `seconds` ahead. */
  rungFor(seconds: number): number {
    let best = 0;
    while (best < BORDERS.length && seconds > (BORDERS[best] as number)) best += 1;
    return best;
  }

  save(): JsonValue {
    const { bin, inBin, total, busy, busyBin } = this;
    return [bin, inBin, total, busy, busyBin, [...this.ones], [...this.sums], [...this.squares]];
  }

  load(saved: JsonValue): void {
    const [bin, inBin, total, busy, busyBin, ones, sums, squares] = saved as unknown as [
      number,
      number,
      number,
      number,
      number,
      number[],
      number[],
      number[],
    ];
    this.bin = bin;
    this.inBin = inBin;
    this.total = total;
    this.busy = busy;
    this.busyBin = busyBin;
    this.ones.set(ones);
    this.sums.set(sums);
    this.squares.set(squares);
  }
}

const KEEP = RUNGS.map((seconds) => Math.exp(-1 / seconds));

/** Where the next rung is nearer: the geometric means of neighbours. */
const BORDERS = RUNGS.slice(1).map((seconds, i) => Math.sqrt(seconds * (RUNGS[i] as number)));
