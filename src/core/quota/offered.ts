import { HOUR, type DurationMs, type EpochMs, type JsonValue, type Units } from '../units.ts';

/** Classes of priority: 0 high, 1 normal, 2 background. */
const CLASSES = 3;
/** Ticks in a pool's window; a tick is the finest block that counts are kept in. */
const TICKS = 512;
/** Blocks that a rung looks back over: its time constant is so many of its blocks. */
const BLOCKS = 8;
const FADE = Math.exp(-1 / BLOCKS);
/** Its powers: the most of them that are asked for. */
const FADES: readonly number[] = Array.from({ length: 64 }, (_, passed) => FADE ** passed);
/** Ticks a block, by rung: time constants of 1/64, 1/16, 1/4, 1 and 4 windows. */
const SPANS = [1, 4, 16, 64, 256] as const;
/** Weight of the newest request in the mean size. */
const SIZE_WEIGHT = 0.1;

/** What one rung saw of one class. */
export interface Asked {
  /** Units asked, older ones counting less. */
  units: Units;
  /** Time over which they were asked, with the same weights, milliseconds. */
  exposureMs: DurationMs;
  /** Variance over mean of the units in a block; `null` while there were too few blocks to tell. */
  dispersion: number | null;
  /** Blocks behind `dispersion`, with the same weights. */
  blocks: number;
}

/** Of one class on one rung: units in the open block, then sums and squares of the closed ones. */
const SUM = 1;
const SQUARE = 2;
const CELL = 3;
const RUNGS = SPANS.length;
/** All rungs of a class lie together: one that never asked is never touched. */
const ROW = RUNGS * CELL;

/**
 * What was asked of a pool, by class of priority: offered, whether it was admitted or not. Counts in
 * blocks of five widths, scaled to the pool's window, each rung fading with a time constant of eight
 * of its blocks. Part of the fold: a restart in the middle of a window must not forget who is still
 * to come. An addition inside a tick costs one comparison.
 */
export class Offered {
  readonly tickMs: DurationMs;
  /** Bit by class: set once anything was asked. */
  seen = 0;
  /** Rises with every change, so that what was worked out from it can be kept. */
  version = 0;
  private tick: number;
  private tickEnd: EpochMs;
  private readonly inTick: Units[] = [0, 0, 0];
  private readonly sizes: Units[] = [0, 0, 0];
  /** Weight of the closed blocks by rung; negative at first for the part of a block before all began. */
  private readonly weights = new Float64Array(RUNGS);
  /** Sums over blocks, by class and rung, older ones fading. One flat row: it is cold at most requests. */
  private readonly cells = new Float64Array(CLASSES * ROW);

  constructor(windowMs: DurationMs | null, at: EpochMs) {
    this.tickMs = Math.max(1, Math.ceil((windowMs ?? HOUR) / TICKS));
    this.tick = Math.floor(at / this.tickMs);
    this.tickEnd = (this.tick + 1) * this.tickMs;
    SPANS.forEach((span, k) => {
      this.weights[k] = 0 - ((at / this.tickMs) % span) / span;
    });
  }

  /** Whether its blocks are about right for a window of that length, which may become known late. */
  fits(windowMs: DurationMs | null): boolean {
    if (windowMs === null) return true;
    const tickMs = windowMs / TICKS;
    return this.tickMs <= 2 * tickMs + 1 && tickMs <= 2 * this.tickMs;
  }

  add(rank: number, units: Units, at: EpochMs): void {
    if (at >= this.tickEnd) this.roll(at);
    this.inTick[rank] = (this.inTick[rank] as number) + units;
    const size = this.sizes[rank] as number;
    this.sizes[rank] = size === 0 ? units : size + SIZE_WEIGHT * (units - size);
    this.seen |= 1 << rank;
    this.version += 1;
  }

  /** Whether a class above this one ever asked. */
  above(rank: number): boolean {
    return (this.seen & ((1 << rank) - 1)) !== 0;
  }

  /** Mean units of a request of this class, lately; 0 when there was none. */
  sizeOf(rank: number): Units {
    return this.sizes[rank] as number;
  }

  private roll(at: EpochMs): void {
    const { cells, weights, inTick, seen } = this;
    const tick = Math.floor(at / this.tickMs);
    for (let k = 0; k < RUNGS; k++) {
      const span = SPANS[k] as number;
      const passed = Math.floor(tick / span) - Math.floor(this.tick / span);
      const fade = passed === 0 ? 1 : fadeOver(passed);
      for (let rank = 0, at = k * CELL; rank < CLASSES; rank++, at += ROW) {
        if ((seen & (1 << rank)) === 0) continue;
        cells[at] = (cells[at] as number) + (inTick[rank] as number);
        if (passed > 0) closeBlock(cells, at, fade);
      }
      if (passed > 0) weights[k] = weightAfter(weights[k] as number, fade);
    }
    inTick[0] = inTick[1] = inTick[2] = 0;
    this.tick = tick;
    this.tickEnd = (tick + 1) * this.tickMs;
  }

  /**
   * What the rung whose memory is about `lookBackMs` saw of a class. Reads only.
   * @param coarser rungs to go up from there
   */
  asked(rank: number, lookBackMs: DurationMs, now: EpochMs, coarser = 0): Asked {
    const at = Math.min(SPANS.length - 1, this.rungFor(lookBackMs) + coarser);
    const span = SPANS[at] as number;
    const cell = rank * ROW + at * CELL;
    const before = this.weights[at] as number;
    const nowTick = Math.max(this.tick, now / this.tickMs);
    const passed = Math.floor(nowTick / span) - Math.floor(this.tick / span);
    const open = (this.cells[cell] as number) + (this.inTick[rank] as number);
    const fade = fadeOver(passed);
    const closed = passed === 0 ? 0 : fade / FADE;
    const sum = (this.cells[cell + SUM] as number) * fade + open * closed;
    const square = (this.cells[cell + SQUARE] as number) * fade + open * open * closed;
    const weight = passed === 0 ? before : weightAfter(before, fade);
    const inBlock = (nowTick % span) / span;
    return {
      units: sum + (passed === 0 ? open : 0),
      exposureMs: Math.max(0, weight + inBlock) * span * this.tickMs,
      dispersion: weight < 2 || sum <= 0 ? null : spreadOf(sum, square, weight),
      blocks: Math.max(0, weight),
    };
  }

  private rungFor(lookBackMs: DurationMs): number {
    const ticks = lookBackMs / this.tickMs / BLOCKS;
    let at = 0;
    // Nearest on a scale of factors: the border between 4^k and 4^(k+1) is 2 · 4^k.
    while (at < SPANS.length - 1 && ticks > 2 * (SPANS[at] as number)) at += 1;
    return at;
  }

  save(): JsonValue {
    return {
      tickMs: this.tickMs,
      tick: this.tick,
      seen: this.seen,
      inTick: [...this.inTick],
      sizes: [...this.sizes],
      rungs: SPANS.map((_, k) => [this.weights[k] as number, ...this.rungCells(k)]),
    };
  }

  static load(saved: JsonValue): Offered {
    const state = saved as unknown as {
      tickMs: number;
      tick: number;
      seen: number;
      inTick: number[];
      sizes: number[];
      rungs: number[][];
    };
    const offered = new Offered(state.tickMs * TICKS, state.tick * state.tickMs);
    offered.seen = state.seen;
    fill(offered.inTick, state.inTick);
    fill(offered.sizes, state.sizes);
    for (let k = 0; k < RUNGS; k++) {
      const row = state.rungs[k] ?? [];
      offered.weights[k] = row[0] ?? 0;
      for (let i = 0; i < CELL * CLASSES; i++) offered.cells[cellAt(k, i)] = row[1 + i] ?? 0;
    }
    return offered;
  }

  /** As saved: open blocks of all classes, then their sums, then their squares. */
  private rungCells(k: number): number[] {
    const row: number[] = [];
    for (let i = 0; i < CELL * CLASSES; i++) row.push(this.cells[cellAt(k, i)] as number);
    return row;
  }
}

/** Of blocks that many blocks ago. */
function fadeOver(passed: number): number {
  return FADES[passed] ?? FADE ** passed;
}

/** Where the `i`th saved number of a rung lies. */
function cellAt(k: number, i: number): number {
  return (i % CLASSES) * ROW + k * CELL + Math.floor(i / CLASSES);
}

/** Whatever was in the open block, and as many empty ones as passed since. */
function closeBlock(cells: Float64Array, at: number, fade: number): void {
  const units = cells[at] as number;
  cells[at + SUM] = (cells[at + SUM] as number) * fade + (units * fade) / FADE;
  cells[at + SQUARE] = (cells[at + SQUARE] as number) * fade + (units * units * fade) / FADE;
  cells[at] = 0;
}

/** Every block that ends weighs one, empty or not. */
function weightAfter(weight: number, fade: number): number {
  return weight * fade + (1 - fade) / (1 - FADE);
}

function spreadOf(sum: number, square: number, weight: number): number {
  const mean = sum / weight;
  const variance = Math.max(0, square / weight - mean * mean) * (weight / (weight - 1));
  return variance / mean;
}

function fill(into: number[], from: readonly number[]): void {
  for (let i = 0; i < into.length; i++) into[i] = from[i] ?? 0;
}
