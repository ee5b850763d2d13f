/** How good what was said is, with errors from a block bootstrap. */
import { Random } from '../../src/sim/random.ts';
import { LEVELS, type Said } from './contestants.ts';
import type { Course } from './walk.ts';

/** One contestant, one trace, one horizon. Pinball and CRPS in seconds; `…_se` are standard errors. */
export interface Row {
  readonly trace: string;
  readonly unit: string;
  readonly horizon_s: number;
  readonly model: string;
  readonly coverage_p50: number;
  readonly coverage_p90: number;
  readonly coverage_p99: number;
  /** Mean of the losses at P50, P90 and P99. */
  readonly pinball: number;
  readonly crps: number;
  readonly brier: number;
  readonly brier_skill: number | null;
  /** Independent horizons: how often the horizon fits into what was scored. */
  readonly n: number;
  readonly coverage_p50_se: number;
  readonly coverage_p90_se: number;
  readonly coverage_p99_se: number;
  readonly pinball_se: number;
  readonly crps_se: number;
  readonly brier_se: number;
  readonly brier_skill_se: number | null;
  readonly origins: number;
  readonly cap_s: number;
}

/** What is averaged over origins, one array each. */
interface Losses {
  readonly covered: readonly [Float64Array, Float64Array, Float64Array];
  readonly pinball: Float64Array;
  readonly crps: Float64Array;
  readonly brier: Float64Array;
  readonly usual: Float64Array;
}

const TOLD = [0.5, 0.9, 0.99].map((p) => LEVELS.indexOf(p));
const BOOTSTRAPS = 200;
/** Origins whose outcomes overlap belong into one block. */
const BLOCK_HORIZONS = 4;

/** Loss of a quantile that should be undershot with probability `below`. */
export function pinball(said: number, happened: number, below: number): number {
  return happened < said ? (1 - below) * (said - happened) : below * (happened - said);
}

export function score(trace: string, unit: string, course: Course): readonly Row[] {
  return [...course.said].map(([model, said]) => {
    const losses = lossesOf(course, said);
    const { origins, horizonS, capS } = course;
    const span = (origins.at(-1)?.atS ?? 0) - (origins[0]?.atS ?? 0);
    const n = Math.max(origins.length > 0 ? 1 : 0, Math.floor(span / horizonS));
    const se = errors(losses, blocks(course), `${trace} ${unit} ${String(horizonS)} ${model}`);
    return {
      trace,
      unit,
      horizon_s: horizonS,
      model,
      coverage_p50: mean(losses.covered[0]),
      coverage_p90: mean(losses.covered[1]),
      coverage_p99: mean(losses.covered[2]),
      pinball: mean(losses.pinball),
      crps: mean(losses.crps),
      brier: mean(losses.brier),
      brier_skill: skill(mean(losses.brier), mean(losses.usual)),
      n,
      ...se,
      origins: origins.length,
      cap_s: capS,
    };
  });
}

function lossesOf({ origins, horizonS, capS }: Course, said: readonly Said[]): Losses {
  const size = origins.length;
  const array = (): Float64Array => new Float64Array(size);
  const covered = [array(), array(), array()] as const;
  const losses: Losses = {
    covered,
    pinball: array(),
    crps: array(),
    brier: array(),
    usual: array(),
  };
  origins.forEach(({ lasted, usual }, at) => {
    const { lasts, chance } = said[at] as Said;
    const loss = (i: number): number =>
      pinball(Math.min(capS, lasts[i] ?? 0), lasted, 1 - (LEVELS[i] ?? 0));
    TOLD.forEach((i, which) => {
      // What lasted to the cap lasted as long as was said, however long that is.
      const holds = lasted >= Math.min(capS, lasts[i] ?? 0);
      (covered[which] as Float64Array)[at] = holds ? 1 : 0;
      losses.pinball[at] = (losses.pinball[at] ?? 0) + loss(i) / TOLD.length;
    });
    for (let i = 0; i < 19; i++) losses.crps[at] = (losses.crps[at] ?? 0) + loss(i) / 19;
    const happened = lasted <= horizonS ? 1 : 0;
    losses.brier[at] = (chance - happened) ** 2;
    losses.usual[at] = (usual - happened) ** 2;
  });
  return losses;
}

function skill(brier: number, usual: number): number | null {
  return usual > 0 ? 1 - brier / usual : null;
}

function mean(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return values.length === 0 ? NaN : sum / values.length;
}

/** Where each block begins; the last entry is the end. */
function blocks({ origins, horizonS }: Course): readonly number[] {
  const starts: number[] = [];
  let from = -Infinity;
  origins.forEach(({ atS }, at) => {
    if (atS - from < BLOCK_HORIZONS * horizonS) return;
    starts.push(at);
    from = atS;
  });
  return [...starts, origins.length];
}

type Errors = Pick<Row, Extract<keyof Row, `${string}_se`>>;

/** Blocks are drawn with replacement, as many as there are; the spread of what they give is the error. */
function errors(losses: Losses, starts: readonly number[], seed: string): Errors {
  const series = [...losses.covered, losses.pinball, losses.crps, losses.brier, losses.usual];
  const count = starts.length - 1;
  const sums = series.map((values) =>
    Array.from({ length: count }, (_, block) => {
      let sum = 0;
      for (let i = starts[block] ?? 0; i < (starts[block + 1] ?? 0); i++) sum += values[i] ?? 0;
      return sum;
    }),
  );
  const random = new Random(seed);
  const drawn: number[][] = series.map(() => []);
  const skills: number[] = [];
  for (let round = 0; round < BOOTSTRAPS && count > 0; round++) {
    const totals = series.map(() => 0);
    let size = 0;
    for (let i = 0; i < count; i++) {
      const block = Math.floor(random.next() * count);
      size += (starts[block + 1] ?? 0) - (starts[block] ?? 0);
      sums.forEach((sum, at) => (totals[at] = (totals[at] ?? 0) + (sum[block] ?? 0)));
    }
    totals.forEach((total, at) => drawn[at]?.push(total / size));
    const skilled = skill(totals[5] ?? 0, totals[6] ?? 0);
    if (skilled !== null) skills.push(skilled);
  }
  const [p50 = NaN, p90 = NaN, p99 = NaN, pin = NaN, crps = NaN, brier = NaN] =
    drawn.map(deviation);
  return {
    coverage_p50_se: p50,
    coverage_p90_se: p90,
    coverage_p99_se: p99,
    pinball_se: pin,
    crps_se: crps,
    brier_se: brier,
    brier_skill_se: skills.length > 1 ? deviation(skills) : null,
  };
}

function deviation(values: readonly number[]): number {
  const middle = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return Math.sqrt(squares / Math.max(1, values.length - 1));
}
