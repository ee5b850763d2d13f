/** How good what was said is. */
import { LEVELS, type Said } from './contestants.ts';
import { blocksOf, bootstrap, bootstrapError } from './errors.ts';
import type { Course, Phase } from './walk.ts';

/**
 * One contestant, one trace, one horizon. Pinball and CRPS in seconds; `…_se` are standard errors,
 * `NaN` (`null` in JSON) where there are too few blocks to tell.
 */
export interface Row {
  readonly trace: string;
  readonly unit: string;
  readonly horizon_s: number;
  readonly phase: Phase;
  readonly model: string;
  readonly coverage_p50: number;
  readonly coverage_p90: number;
  readonly coverage_p99: number;
  /** Mean of the losses at P50, P90 and P99. */
  readonly pinball: number;
  /** That over the best baseline's. */
  readonly pinball_ratio: number;
  readonly crps: number;
  readonly brier: number;
  /** Of what was known of the habit at the time. */
  readonly brier_usual: number;
  readonly brier_skill: number | null;
  /** Share of origins that ran out within the horizon: what climatology in hindsight says. */
  readonly ran_out: number;
  /** Share of origins at which a surer claim was of a longer time: they cannot both be right. */
  readonly crossed: number;
  /** Independent horizons: how often the horizon fits into what was scored. */
  readonly n: number;
  readonly coverage_p50_se: number;
  readonly coverage_p90_se: number;
  readonly coverage_p99_se: number;
  readonly pinball_se: number;
  readonly pinball_ratio_se: number;
  readonly crps_se: number;
  readonly brier_se: number;
  readonly brier_skill_se: number | null;
  readonly origins: number;
  readonly cap_s: number;
  /** Walks that it is of, each begun from nothing. */
  readonly walks: number;
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
/** Levels of the CRPS, the first so many. */
const CRPS_LEVELS = 19;
/** A loss below a nanosecond is none, and nothing can be a multiple of it. */
const NO_LOSS_S = 1e-9;

/** Loss of a quantile that should be undershot with probability `below`. */
export function pinball(said: number, happened: number, below: number): number {
  return happened < said ? (1 - below) * (said - happened) : below * (happened - said);
}

export function ratio(loss: number, best: number): number {
  return Math.max(NO_LOSS_S, loss) / Math.max(NO_LOSS_S, best);
}

/** @param baselines the names of those that `pinball_ratio` is about */
export function score(
  trace: string,
  unit: string,
  course: Course,
  baselines: readonly string[] = [],
): readonly Row[] {
  const { origins, horizonS, phase, capS } = course;
  if (origins.length === 0) return [];
  const span = (origins.at(-1)?.atS ?? 0) - (origins[0]?.atS ?? 0);
  const starts = blocksOf(course);
  // All contestants are judged on the same draws.
  const seed = `${trace} ${unit} ${String(horizonS)} ${phase}`;
  const all = [...course.said].map(([model, said]) => {
    const losses = lossesOf(course, model, said);
    const { covered, pinball: pin, crps, brier, usual } = losses;
    const drawn = bootstrap([...covered, pin, crps, brier, usual], starts, seed);
    return { model, losses, drawn };
  });
  const best = all
    .filter(({ model }) => baselines.includes(model))
    .sort((a, b) => mean(a.losses.pinball) - mean(b.losses.pinball))[0];
  return all.map(({ model, losses, drawn }) => {
    const [p50 = [], p90 = [], p99 = [], pin = [], crps = [], brier = [], usual = []] = drawn;
    const error = (draws: readonly number[]): number => bootstrapError(draws, starts.length - 1);
    const ratios = pin.map((one, i) => ratio(one, best?.drawn[3]?.[i] ?? NaN));
    const skills = brier.flatMap((one, i) => skill(one, usual[i] ?? 0) ?? []);
    const brierUsual = mean(losses.usual);
    return {
      trace,
      unit,
      horizon_s: horizonS,
      phase,
      model,
      coverage_p50: mean(losses.covered[0]),
      coverage_p90: mean(losses.covered[1]),
      coverage_p99: mean(losses.covered[2]),
      pinball: mean(losses.pinball),
      pinball_ratio:
        best === undefined ? NaN : ratio(mean(losses.pinball), mean(best.losses.pinball)),
      crps: mean(losses.crps),
      brier: mean(losses.brier),
      brier_usual: brierUsual,
      brier_skill: skill(mean(losses.brier), brierUsual),
      ran_out: origins.filter(({ lasted }) => lasted <= horizonS).length / origins.length,
      crossed: (course.said.get(model) ?? []).filter(isCrossed).length / origins.length,
      n: Math.max(1, Math.floor(span / horizonS)),
      coverage_p50_se: error(p50),
      coverage_p90_se: error(p90),
      coverage_p99_se: error(p99),
      pinball_se: error(pin),
      pinball_ratio_se: error(ratios),
      crps_se: error(crps),
      brier_se: error(brier),
      brier_skill_se: skills.length > 1 ? error(skills) : null,
      origins: origins.length,
      cap_s: capS,
      walks: 1,
    };
  });
}

/** @throws Error when what was said is no forecast: such a row must not just drop out of a mean */
function lossesOf(
  { origins, horizonS, capS }: Course,
  model: string,
  said: readonly Said[],
): Losses {
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
  origins.forEach(({ atS, lasted, usual }, at) => {
    const one = said[at];
    if (one === undefined || !isForecast(one)) {
      throw new Error(`\`${model}\` said no forecast at ${String(atS)} s: ${JSON.stringify(one)}`);
    }
    const { lasts, chance } = one;
    const loss = (i: number): number =>
      pinball(Math.min(capS, lasts[i] ?? 0), lasted, 1 - (LEVELS[i] ?? 0));
    TOLD.forEach((i, which) => {
      // What lasted to the cap lasted as long as was said, however long that is.
      const holds = lasted >= Math.min(capS, lasts[i] ?? 0);
      (covered[which] as Float64Array)[at] = holds ? 1 : 0;
      losses.pinball[at] = (losses.pinball[at] ?? 0) + loss(i) / TOLD.length;
    });
    for (let i = 0; i < CRPS_LEVELS; i++) {
      losses.crps[at] = (losses.crps[at] ?? 0) + loss(i) / CRPS_LEVELS;
    }
    const happened = lasted <= horizonS ? 1 : 0;
    losses.brier[at] = (chance - happened) ** 2;
    losses.usual[at] = (usual - happened) ** 2;
  });
  return losses;
}

function isForecast({ lasts, chance }: Said): boolean {
  return (
    lasts.length === LEVELS.length && lasts.every((one) => one >= 0) && chance >= 0 && chance <= 1
  );
}

/** Beyond what rounding does. */
function isCrossed({ lasts }: Said): boolean {
  return lasts.some((one, i) => i > 0 && one > (lasts[i - 1] ?? Infinity) * (1 + 1e-6));
}

/** `null` where the habit was never wrong. */
export function skill(brier: number, usual: number): number | null {
  return usual > 0 ? 1 - brier / usual : null;
}

function mean(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return values.length === 0 ? NaN : sum / values.length;
}
