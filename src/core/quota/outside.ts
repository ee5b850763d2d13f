import { HOUR, MINUTE, SECOND, type DurationMs, type EpochMs } from '../units.ts';
import type { JsonValue, Units } from '../units.ts';
import { PoissonQuantile } from './poisson.ts';

/** Others' use within this is one event: answers of one moment tell of it in pieces. */
const BIN_MS: DurationMs = 300;
/** Memory that notices a newcomer. */
const FAST_TAU_MS: DurationMs = 20 * SECOND;
/** Memory that does not forget somebody who comes seldom; several windows, within reason. */
const LEAST_SLOW_TAU_MS: DurationMs = 10 * MINUTE;
const MOST_SLOW_TAU_MS: DurationMs = 6 * HOUR;
const WINDOWS_REMEMBERED = 3;
/** With less of them remembered than this nobody else is there any more. */
const GONE_UNITS: Units = 0.5;
/** A batch is at most this part of the limit. */
const MOST_BATCH_SHARE = 1 / 8;

/**
 * The target is at most 10⁻³ refusals a window. A request can only be refused where its margin was
 * all that was left, and each reading ends the risk of those before it: about ten decisions of a
 * window stand at that edge, so each may err with a tenth of a tenth of it.
 */
const RISK = new PoissonQuantile(1e-5, 4.265);

/** Units that fell within a decaying memory, and how much time that memory holds. */
interface Memory {
  units: Units;
  ms: DurationMs;
}

/** Told when worth telling. */
export interface DriftNews {
  readonly units: Units;
  readonly since: EpochMs;
  /** Units a second. */
  readonly rate: number;
  readonly batch: Units;
}

/**
 * Those who use a pool besides us: what its readings say is used and we did not send. Their rate and
 * the size of their batches tell how much they may take until the next reading.
 */
export class Outside {
  /** When somebody else was first noticed. */
  since: EpochMs;
  /** Certainly used by others in the present window; of a pool without one, since then. */
  units: Units = 0;
  private readonly fast: Memory;
  private readonly slow: Memory;
  private readonly slowTau: DurationMs;
  /** Remembered squares of what came beyond the rate: their mean over the units is the batch. */
  private squares = 0;
  private binUnits: Units = 0;
  private binFrom: EpochMs;
  private seenTo: EpochMs;
  private told: Units = 0;
  private toldAt: EpochMs = 0;

  /** @param watchedMs for how long nobody else was seen */
  constructor(from: EpochMs, watchedMs: DurationMs, windowMs: DurationMs | null) {
    this.since = from;
    this.binFrom = from;
    this.seenTo = from;
    const wanted = WINDOWS_REMEMBERED * (windowMs ?? HOUR);
    this.slowTau = Math.min(MOST_SLOW_TAU_MS, Math.max(LEAST_SLOW_TAU_MS, wanted));
    this.fast = { units: 0, ms: heldAfter(watchedMs, FAST_TAU_MS) };
    this.slow = { units: 0, ms: heldAfter(watchedMs, this.slowTau) };
  }

  /** Units a second. The larger of a short and a long memory: soon noticed, late forgotten. */
  get rate(): number {
    return Math.max(rateOf(this.fast), rateOf(this.slow)) * 1000;
  }

  /** How many units come at a time; 1 when one by one. */
  get batch(): Units {
    return this.slow.units > 0 ? Math.max(1, this.squares / this.slow.units) : 1;
  }

  /**
   * A reading showed that others took so much since the last one; 0 is news as well.
   * @returns false when they are gone for good
   */
  note(units: Units, from: EpochMs, to: EpochMs): boolean {
    this.units += units;
    this.binUnits += units;
    // From the last reading of a window to its end nobody looked.
    if (from > this.seenTo) this.binFrom += from - this.seenTo;
    this.seenTo = Math.max(this.seenTo, to);
    const ms = to - this.binFrom;
    if (ms < BIN_MS) return true;
    remember(this.fast, this.binUnits, ms, FAST_TAU_MS);
    const kept = Math.exp(-ms / this.slowTau);
    remember(this.slow, this.binUnits, ms, this.slowTau);
    const beyond = this.binUnits - Math.max(rateOf(this.fast), rateOf(this.slow)) * ms;
    this.squares = this.squares * kept + (beyond * beyond * this.slowTau * (1 - kept)) / ms;
    this.binUnits = 0;
    this.binFrom = to;
    return this.slow.units >= GONE_UNITS;
  }

  /** A new window: nothing of it is used yet. */
  restart(): void {
    this.units = 0;
    this.told = 0;
  }

  clockSetBack(by: DurationMs): void {
    this.since -= by;
    this.binFrom -= by;
    this.seenTo -= by;
    this.toldAt -= by;
  }

  /**
   * Units they may take within `ms`, exceeded with a probability of 10⁻⁵.
   * @param limit of the pool
   */
  margin(ms: DurationMs, limit: Units): Units {
    if (ms <= 0) return 0;
    const { rate } = this;
    if (rate <= 0) return 0;
    const batch = Math.ceil(Math.min(this.batch, Math.max(1, limit * MOST_BATCH_SHARE)) - 0.1);
    return RISK.of((rate * ms) / 1000 / batch) * batch;
  }

  /** What is worth telling now, or `null`: first noticed in a window, and each time it doubled. */
  news(limit: Units, now: EpochMs): DriftNews | null {
    const least = Math.max(LEAST_TOLD, Math.ceil(limit * LEAST_TOLD_SHARE));
    if (this.units < Math.max(least, 2 * this.told)) return null;
    if (now - this.toldAt < TELL_EVERY_MS) return null;
    return { units: this.units, since: this.since, rate: this.rate, batch: this.batch };
  }

  /** It was told. */
  reported(units: Units, at: EpochMs): void {
    this.told = units;
    this.toldAt = at;
  }

  save(): JsonValue {
    const { fast, slow } = this;
    return [
      ...[this.since, this.units, this.slowTau, fast.units, fast.ms, slow.units, slow.ms],
      ...[this.squares, this.binUnits, this.binFrom, this.seenTo, this.told, this.toldAt],
    ];
  }

  static load(saved: JsonValue): Outside {
    const [since, units, tau, fastUnits, fastMs, slowUnits, slowMs, ...rest] =
      saved as unknown as Saved;
    const outside = new Outside(since, 0, tau / WINDOWS_REMEMBERED);
    outside.units = units;
    Object.assign(outside.fast, { units: fastUnits, ms: fastMs });
    Object.assign(outside.slow, { units: slowUnits, ms: slowMs });
    const [squares, binUnits, binFrom, seenTo, told, toldAt] = rest;
    Object.assign(outside, { squares, binUnits, binFrom, seenTo, told, toldAt });
    return outside;
  }
}

/** Less than this is not worth an event: units, and a share of the limit. */
const LEAST_TOLD: Units = 3;
const LEAST_TOLD_SHARE = 0.002;
const TELL_EVERY_MS: DurationMs = MINUTE;

type Saved = readonly [
  ...head: readonly [number, number, number, number, number, number, number],
  ...rest: readonly [number, number, number, number, number, number],
];

function heldAfter(ms: DurationMs, tau: DurationMs): DurationMs {
  return tau * (1 - Math.exp(-Math.max(0, ms) / tau));
}

function remember(memory: Memory, units: Units, ms: DurationMs, tau: DurationMs): void {
  const kept = Math.exp((0 - ms) / tau);
  // They came at any time of it: of a time longer than the memory only a part is remembered.
  const held = tau * (1 - kept);
  memory.units = memory.units * kept + (units * held) / ms;
  memory.ms = memory.ms * kept + held;
}

/** Units a millisecond. */
function rateOf(memory: Memory): number {
  return memory.ms > 0 ? memory.units / memory.ms : 0;
}
