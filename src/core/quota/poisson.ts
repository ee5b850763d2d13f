/** Poisson quantiles: how many of something that comes by chance are still to be reckoned with. */

const TABLE = 96;

/** Quantiles for one probability of being exceeded; small means are tabulated on first use. */
export class PoissonQuantile {
  private readonly exceeded: number;
  /** The standard normal's quantile for the same probability. */
  private readonly z: number;
  /** `means[k]`: the largest mean whose quantile is `k`. */
  private means: Float64Array | null = null;

  constructor(exceeded: number, z: number) {
    this.exceeded = exceeded;
    this.z = z;
  }

  /** The smallest `k` with P(N > k) ≤ the probability, N being Poisson of this mean. */
  of(mean: number): number {
    if (!(mean > 0)) return 0;
    this.means ??= tabulate(this.exceeded);
    const means = this.means;
    if (mean > (means[TABLE - 1] as number)) {
      // Cornish–Fisher: the normal approximation with the distribution's skewness.
      const { z } = this;
      return Math.ceil(mean + z * Math.sqrt(mean) + (z * z - 1) / 6);
    }
    let low = 0;
    let high = TABLE - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((means[middle] as number) >= mean) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function tabulate(exceeded: number): Float64Array {
  const means = new Float64Array(TABLE);
  let from = 0;
  for (let k = 0; k < TABLE; k++) {
    let low = from;
    let high = k + 2;
    for (let i = 0; i < 48; i++) {
      const middle = (low + high) / 2;
      if (tail(k, middle) <= exceeded) low = middle;
      else high = middle;
    }
    from = low;
    means[k] = low;
  }
  return means;
}

/** P(N > k), summed from the small end so that tiny tails keep their digits. */
function tail(k: number, mean: number): number {
  let term = Math.exp(-mean);
  for (let i = 1; i <= k + 1; i++) term *= mean / i;
  let sum = 0;
  for (let i = k + 2; term > 1e-18 * sum && i < k + 400; i++) {
    sum += term;
    term *= mean / i;
  }
  return sum;
}
