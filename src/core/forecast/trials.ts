import type { JsonValue, Units } from '../units.ts';
import { exact } from './exact.ts';
import { FEATURES } from './regression.ts';

/** Survival probabilities that a forecast tells. */
export const LEVELS = [0.5, 0.9, 0.99] as const;

/** What a forecast claimed, kept until it is known how it ended. Logarithms are of seconds. */
export interface Claimed {
  /** What the habit expects, and what each feature has it differ by. */
  habit: number;
  readonly features: Float64Array;
  /** What was told to be expected, and the spread of ln T about it. */
  centre: number;
  spread: number;
  /** Calibrated quantiles of ln T at `LEVELS`; NaN where there were none. */
  readonly quantiles: Float64Array;
  /** What was to be expected if it went on as in the last stretch (see `Readings`). */
  steady: number;
  /** Probability that it runs out within the horizon: by the model, and of the habit alone. */
  chance: number;
  usualChance: number;
}

export function blankClaim(): Claimed {
  return {
    habit: 0,
    features: new Float64Array(FEATURES),
    centre: 0,
    spread: 1,
    quantiles: new Float64Array(LEVELS.length).fill(NaN),
    steady: 0,
    chance: 0,
    usualChance: 0,
  };
}

const SCALARS = 6;
const WIDTH = SCALARS + FEATURES + LEVELS.length;

/** Forecasts about budgets of the forecaster's own, first begun first; their targets never fall. */
export class Trials {
  /** Sums of all units at which they end. */
  private readonly targets: Float64Array;
  private readonly begun: Uint32Array;
  private readonly claims: Float32Array;
  private first = 0;
  size = 0;
  /** How many of the first ones have had their chance judged. */
  judged = 0;

  constructor(capacity: number) {
    this.targets = new Float64Array(capacity);
    this.begun = new Uint32Array(capacity);
    this.claims = new Float32Array(capacity * WIDTH);
  }

  get bytes(): number {
    return this.targets.byteLength + this.begun.byteLength + this.claims.byteLength;
  }

  /** Epoch seconds at which the first that is not judged began; `Infinity` when there is none. */
  get unjudgedBegun(): number {
    return this.judged >= this.size ? Infinity : (this.begun[this.slot(this.judged)] as number);
  }

  /** What was said of the chance of the first that is not judged, and of the habit's. */
  judge(into: Pick<Claimed, 'chance' | 'usualChance'>): void {
    const from = this.slot(this.judged) * WIDTH;
    into.chance = this.claims[from + 3] as number;
    into.usualChance = this.claims[from + 4] as number;
    this.judged += 1;
  }

  get full(): boolean {
    return this.size === this.targets.length;
  }

  /** `Infinity` when there is none. */
  get firstTarget(): Units {
    return this.size === 0 ? Infinity : (this.targets[this.first] as number);
  }

  /** Epoch seconds at which the first began. */
  get firstBegun(): number {
    return this.size === 0 ? Infinity : (this.begun[this.first] as number);
  }

  /** Epoch seconds at which the last began; `-Infinity` when there is none. */
  get lastBegun(): number {
    return this.size === 0 ? -Infinity : (this.begun[this.slot(this.size - 1)] as number);
  }

  get lastTarget(): Units {
    return this.size === 0 ? 0 : (this.targets[this.slot(this.size - 1)] as number);
  }

  private slot(place: number): number {
    return (this.first + place) % this.targets.length;
  }

  push(target: Units, second: number, claim: Claimed): void {
    const slot = this.slot(this.size);
    this.targets[slot] = target;
    this.begun[slot] = second;
    const { claims } = this;
    const from = slot * WIDTH;
    claims[from] = claim.habit;
    claims[from + 1] = claim.centre;
    claims[from + 2] = claim.spread;
    claims[from + 3] = claim.chance;
    claims[from + 4] = claim.usualChance;
    claims[from + 5] = claim.steady;
    claims.set(claim.features, from + SCALARS);
    claims.set(claim.quantiles, from + SCALARS + FEATURES);
    this.size += 1;
  }

  /** Takes the first one out. */
  shift(into: Claimed): void {
    const { claims } = this;
    const from = this.first * WIDTH;
    into.habit = claims[from] as number;
    into.centre = claims[from + 1] as number;
    into.spread = claims[from + 2] as number;
    into.chance = claims[from + 3] as number;
    into.usualChance = claims[from + 4] as number;
    into.steady = claims[from + 5] as number;
    for (let i = 0; i < FEATURES; i++) into.features[i] = claims[from + SCALARS + i] as number;
    for (let i = 0; i < LEVELS.length; i++) {
      into.quantiles[i] = claims[from + SCALARS + FEATURES + i] as number;
    }
    this.first = this.slot(1);
    this.size -= 1;
    this.judged = Math.max(0, this.judged - 1);
  }

  save(): JsonValue {
    const trials = Array.from({ length: this.size }, (_, place) => {
      const slot = this.slot(place);
      const claim = this.claims.subarray(slot * WIDTH, (slot + 1) * WIDTH);
      // JSON knows no NaN.
      const told = Array.from(claim, (value) => (Number.isNaN(value) ? null : exact(value)));
      return [this.targets[slot] as number, this.begun[slot] as number, ...told];
    });
    return [this.judged, trials];
  }

  load(saved: JsonValue): void {
    const [judged, trials] = saved as unknown as [number, [number, number, ...(number | null)[]][]];
    this.judged = judged;
    for (const [target, second, ...told] of trials) {
      const slot = this.slot(this.size);
      this.targets[slot] = target;
      this.begun[slot] = second;
      told.forEach((value, i) => (this.claims[slot * WIDTH + i] = value ?? NaN));
      this.size += 1;
    }
  }
}
