import type { JsonValue } from '../units.ts';

/** The rate, and how much the course of the day, newer rates and older ones differ from it. */
export const FEATURES = 4;
/** The last is the intercept. */
const SIZE = FEATURES + 1;
const OLDEST = 3;

/**
 * Ridge regression with forgetting, solved anew after each outcome (five by five). The ridge leans to
 * a prior, so that a few outcomes move little.
 */
export class Regression {
  readonly weights: Float64Array;
  private readonly gram = new Float64Array(SIZE * SIZE);
  private readonly moment = new Float64Array(SIZE);
  private readonly prior: Float64Array;
  private readonly ridge: number;
  private readonly straight: number;
  private readonly forget: number;
  private readonly trends: boolean;

  /**
   * @param prior weights to lean to; a live array of another regression will do
   * @param ridge in sums of squared features
   * @param straight the same of the intercept
   * @param forget share of the past lost with each outcome
   * @param trends whether the oldest rate may count against the newer ones
   */
  constructor(
    prior: Float64Array,
    ridge: number,
    straight: number,
    forget: number,
    trends: boolean,
  ) {
    this.prior = prior;
    this.weights = Float64Array.from(prior);
    this.weights[FEATURES] = 0;
    this.ridge = ridge;
    this.straight = straight;
    this.forget = forget;
    this.trends = trends;
  }

  get bytes(): number {
    return 8 * (SIZE * SIZE + 2 * SIZE);
  }

  predict(features: Float64Array): number {
    let sum = this.weights[FEATURES] as number;
    for (let i = 0; i < FEATURES; i++) sum += (this.weights[i] as number) * (features[i] as number);
    return sum;
  }

  learn(features: Float64Array, outcome: number, weight: number): void {
    const { gram, moment } = this;
    const keep = 1 - this.forget;
    for (let i = 0; i < SIZE; i++) {
      const x = i < FEATURES ? (features[i] as number) : 1;
      moment[i] = (moment[i] as number) * keep + weight * x * outcome;
      for (let j = 0; j < SIZE; j++) {
        const at = i * SIZE + j;
        const y = j < FEATURES ? (features[j] as number) : 1;
        gram[at] = (gram[at] as number) * keep + weight * x * y;
      }
    }
    this.solve();
  }

  /**
   * (gram + ridge) · w = moment + ridge · prior by coordinate descent from where it was. A rate with a
   * negative weight would be held against itself: a cycle seen by chance, but for the oldest one far
   * ahead, which tells whether demand rises or falls.
   */
  private solve(): void {
    const { weights, gram, moment, ridge, prior } = this;
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      for (let i = 0; i < SIZE; i++) {
        // How far off the habit is on average holds for one horizon only: its prior is 0.
        let sum = (moment[i] as number) + (i < FEATURES ? ridge * (prior[i] as number) : 0);
        for (let j = 0; j < SIZE; j++) {
          if (j !== i) sum -= (gram[i * SIZE + j] as number) * (weights[j] as number);
        }
        const lean = i === FEATURES ? this.straight : ridge;
        const weight = sum / ((gram[i * SIZE + i] as number) + lean);
        weights[i] = i === FEATURES || (i === OLDEST && this.trends) ? weight : Math.max(0, weight);
      }
    }
  }

  save(): JsonValue {
    return [[...this.gram], [...this.moment], [...this.weights]];
  }

  load(saved: JsonValue): void {
    const [gram, moment, weights] = saved as unknown as [number[], number[], number[]];
    this.gram.set(gram);
    this.moment.set(moment);
    this.weights.set(weights);
  }
}

const SWEEPS = 6;
