/** How measurements of what is charged for an estimated unit become what is set aside for it. */
import type { JsonValue } from '../units.ts';

const REMEMBERED = 128;
/** So many, and this part of more, are relied on: those nearest to the request before. */
const ENOUGH = 16;
const NEAREST = 0.4;
/** Covers the spread: of what is set aside by it three in a hundred are charged more. */
const QUANTILE = 0.97;
/** What lies further from the median than so many median deviations was others' doing. */
const OUTLYING = 5;
const LEAST = 0.25;
const MOST = 4;
/** Charges this many times the median are another kind of charge, not noise. */
const UNEVEN = 1.1;
/** Once settled they are worked out anew after so many more. */
const EVERY = 8;

type Sample = readonly [ratio: number, apart: number];

/**
 * The longer two requests are apart, the more of what is missing others may have taken: the nearest
 * are relied on, and of those what is out of line with most is left out.
 */
export class ChargedRatios {
  /** What is charged for a unit, so that seldom more is; 1 while nothing is known. */
  likely = 1;
  /** Some are charged clearly more than most. */
  uneven = false;
  /** Hardly anything is charged less. */
  least = LEAST;
  private readonly samples: Sample[] = [];
  /** Place of the oldest once it is full. */
  private oldest = 0;

  /** Enough is known that what is charged beyond `likely` is not ours. */
  get settled(): boolean {
    return this.samples.length >= 2 * ENOUGH;
  }

  get empty(): boolean {
    return this.samples.length === 0;
  }

  /**
   * @param ratio charged of what was estimated
   * @param apart what was refilled since the request before, of what was estimated
   */
  learn(ratio: number, apart: number): void {
    const sample: Sample = [round(ratio), round(apart)];
    const { samples } = this;
    const place = samples.length < REMEMBERED ? samples.length : this.oldest;
    samples[place] = sample;
    if (samples.length === REMEMBERED) this.oldest = (place + 1) % REMEMBERED;
    if (!this.settled || place % EVERY === 0) this.workOut();
  }

  learnFrom(other: ChargedRatios): void {
    for (const [ratio, apart] of other.samples) this.learn(ratio, apart);
  }

  private workOut(): void {
    const count = this.samples.length;
    const nearest = this.samples.toSorted((a, b) => a[1] - b[1]);
    const ratios = nearest
      .slice(0, Math.max(ENOUGH, Math.ceil(count * NEAREST)))
      .map(([ratio]) => ratio)
      .sort((a, b) => a - b);
    const median = at(ratios, 0.5);
    const off = ratios.map((ratio) => Math.abs(ratio - median)).sort((a, b) => a - b);
    const outlying = OUTLYING * at(off, 0.5);
    const few = count < ENOUGH;
    // Of all, whatever others may have had a part in: small requests are measured many at a time.
    const all = nearest.map(([ratio]) => ratio).sort((a, b) => a - b);
    this.uneven = at(all, QUANTILE) > UNEVEN * at(all, 0.5);
    const usual = Math.min(few ? Infinity : median + outlying, at(ratios, QUANTILE));
    // A few cheap ones do not show that the next is.
    this.likely = Math.min(MOST, Math.max(few ? 1 : LEAST, usual));
    this.least = Math.max(LEAST, Math.min(this.likely, median - outlying));
  }

  save(): JsonValue {
    const samples = this.samples.map(([ratio, apart]) => [ratio, apart]);
    return [this.likely, this.least, this.oldest, samples, this.uneven ? 1 : 0];
  }

  static load(saved: JsonValue): ChargedRatios {
    const [likely, least, oldest, samples, uneven] = saved as unknown as SavedRatios;
    const ratios = new ChargedRatios();
    Object.assign(ratios, { likely, least, oldest, uneven: uneven === 1 });
    for (const [ratio, apart] of samples) ratios.samples.push([ratio, apart]);
    return ratios;
  }
}

type SavedRatios = readonly [
  likely: number,
  least: number,
  oldest: number,
  samples: readonly Sample[],
  uneven?: number,
];

function at(sorted: readonly number[], quantile: number): number {
  return sorted[Math.ceil(quantile * sorted.length) - 1] ?? 1;
}

function round(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
