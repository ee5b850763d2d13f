/** Standard errors: a bootstrap over blocks of one walk, a jackknife over walks of their own. */
import { Random } from '../../src/sim/random.ts';
import type { Course } from './walk.ts';

const BOOTSTRAPS = 200;
/** Origins whose outcomes overlap belong into one block. */
const BLOCK_HORIZONS = 4;

/** Where each block begins; the last entry is the end. */
export function blocksOf({ origins, horizonS }: Course): readonly number[] {
  const starts: number[] = [];
  let from = -Infinity;
  origins.forEach(({ atS }, at) => {
    if (atS - from < BLOCK_HORIZONS * horizonS) return;
    starts.push(at);
    from = atS;
  });
  return [...starts, origins.length];
}

/**
 * Means of every series of `losses` over blocks that are drawn with replacement, as many as there
 * are; one array a series, one entry a draw. The same seed draws the same blocks, so that figures of
 * two contestants can be set off against each other draw by draw. None with fewer than two blocks:
 * one tells nothing of how blocks differ.
 */
export function bootstrap(
  losses: readonly Float64Array[],
  starts: readonly number[],
  seed: string,
): readonly (readonly number[])[] {
  const count = starts.length - 1;
  const drawn: number[][] = losses.map(() => []);
  if (count < 2) return drawn;
  const sums = losses.map((values) =>
    Array.from({ length: count }, (_, block) => {
      let sum = 0;
      for (let i = starts[block] ?? 0; i < (starts[block + 1] ?? 0); i++) sum += values[i] ?? 0;
      return sum;
    }),
  );
  const random = new Random(seed);
  for (let round = 0; round < BOOTSTRAPS; round++) {
    const totals = losses.map(() => 0);
    let size = 0;
    for (let i = 0; i < count; i++) {
      const block = Math.floor(random.next() * count);
      size += (starts[block + 1] ?? 0) - (starts[block] ?? 0);
      sums.forEach((sum, at) => (totals[at] = (totals[at] ?? 0) + (sum[block] ?? 0)));
    }
    totals.forEach((total, at) => drawn[at]?.push(total / size));
  }
  return drawn;
}

/**
 * Spread of what `count` blocks gave; `NaN` when there was nothing to draw from. Blocks vary about
 * their own mean by one too few, which matters where there are only a handful.
 */
export function bootstrapError(draws: readonly number[], count: number): number {
  if (draws.length < 2) return NaN;
  const middle = draws.reduce((sum, value) => sum + value, 0) / draws.length;
  const squares = draws.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return Math.sqrt((squares / (draws.length - 1)) * (count / (count - 1)));
}

/** Of a figure of all parts, from what it is when each part in turn is left out. */
export function jackknifeError<Part>(
  parts: readonly Part[],
  figure: (of: readonly Part[]) => number,
): number {
  const count = parts.length;
  if (count < 2) return NaN;
  const without = parts.map((_, i) => figure(parts.filter((_part, at) => at !== i)));
  const middle = without.reduce((sum, value) => sum + value, 0) / count;
  const squares = without.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return Math.sqrt((squares * (count - 1)) / count);
}
