import type { JsonValue } from '../units.ts';
import { Sample } from './sample.ts';
import { tQuantile } from './tail.ts';
import { LEVELS } from './trials.ts';

const SCORES = 208;
/** Step of the adaptive conformal level (Gibbs and Candès, 2021). */
const ADAPT = 0.005;
/** A sample of n independent outcomes is widened by this over n: it has not seen all weathers. */
const YOUTH = 3;
/** Independent outcomes that a quantile wants beyond it. */
const EDGE = 2;

/** How far off forecasts were, and at which levels that is to be read so that claims come true. */
export class Calibration {
  /** (ln T − centre) / spread of past forecasts. */
  private readonly scores = new Sample(SCORES);
  /** Levels at which the scores are read, moved so that the claimed coverage comes true. */
  private readonly levels = LEVELS.map((p) => 1 - p);
  private readonly overlap: number;

  /** @param overlap neighbouring outcomes that count as one independent */
  constructor(overlap: number) {
    this.overlap = overlap;
  }

  get bytes(): number {
    return this.scores.bytes + 8 * LEVELS.length;
  }

  get outcomes(): number {
    return this.scores.size;
  }

  /** (ln T − centre) / spread of an outcome. */
  learn(score: number): void {
    this.scores.add(score);
  }

  /** Whether the claim at the level of that place was missed. */
  adapt(place: number, missed: boolean): void {
    const miss = missed ? 1 : 0;
    const level = (this.levels[place] as number) + ADAPT * (1 - (LEVELS[place] as number) - miss);
    this.levels[place] = Math.min(0.999, Math.max(0.000_5, level));
    // A surer claim is never of a longer time; nine tenths are what others are measured by.
    const [half, tenth, hundredth] = this.levels as [number, number, number];
    this.levels[0] = Math.max(half, tenth);
    this.levels[2] = Math.min(tenth, hundredth);
  }

  get middle(): number {
    return this.scores.quantile(0.5);
  }

  /** Standard deviation of the scores, were they normal: half of what 68 % of them span. */
  get width(): number {
    return (this.scores.quantile(0.84) - this.scores.quantile(0.16)) / 2;
  }

  /**
   * Score that stays below with probability `1 − p`, by the adapted levels. Beyond what a sample of
   * overlapping outcomes can know, Student's t carries on from the last quantile that it does know.
   */
  scoreAt(p: number): number {
    const { middle, overlap } = this;
    const few = overlap / this.scores.size - overlap / SCORES;
    return middle + (1 + YOUTH * few) * (this.scoreBelow(this.adapted(1 - p)) - middle);
  }

  private scoreBelow(level: number): number {
    const edge = Math.min(0.25, EDGE / (this.scores.size / this.overlap));
    if (level >= edge && level <= 1 - edge) return this.scores.quantile(level);
    const side = level < 0.5 ? edge : 1 - edge;
    const { middle } = this;
    return middle + (this.scores.quantile(side) - middle) * (tQuantile(level) / tQuantile(side));
  }

  /** A level between those that adapt moves with its neighbours. */
  private adapted(level: number): number {
    const [half = 0.5, tenth = 0.1, hundredth = 0.01] = this.levels;
    if (level <= 0.01) return (level / 0.01) * hundredth;
    if (level <= 0.1) return hundredth + ((level - 0.01) / 0.09) * (tenth - hundredth);
    if (level <= 0.5) return tenth + ((level - 0.1) / 0.4) * (half - tenth);
    return half + ((level - 0.5) / 0.5) * (1 - half);
  }

  /** Share of past scores that were not above it. */
  below(score: number): number {
    return this.scores.below(score);
  }

  save(): JsonValue {
    return [this.scores.save(), [...this.levels]];
  }

  load(saved: JsonValue): void {
    const [scores, levels] = saved as unknown as [JsonValue, number[]];
    this.scores.load(scores);
    levels.forEach((level, i) => (this.levels[i] = level));
  }
}
