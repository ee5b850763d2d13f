/**
 * Walks a series forward. At each origin every contestant says how long a budget will last; the
 * budget is what was used so far in a span as long as the horizon, on average. What then happened is
 * looked up by the walk, never by a contestant.
 */
import type { Contestant, Said } from './contestants.ts';
import type { Series } from './series.ts';

const DAY_LONG_S = 72_000;
const HOUR_HORIZONS = [10, 60] as const;
const DAY_HORIZONS = [60, 600, 3_600] as const;
/** Beyond so many horizons all times count as the same. */
const CAP_HORIZONS = 8;
/** The cap takes at most this share of the series: the last origin must lie a cap before its end. */
const CAP_SHARE = 0.2;
const WARM_UP_S = 600;
const WARM_UP_HORIZONS = 3;
/** Nobody is asked before there is a minute to go by. */
const FIRST_S = 60;

/**
 * `settled`: after the warm-up, which the figures are about; `cold`: from the first minute to the end
 * of the warm-up, scored apart because there it is mostly the prior that speaks.
 */
export type Phase = 'settled' | 'cold';
const PHASES: readonly Phase[] = ['settled', 'cold'];

/**
 * How much the question is about: what a span as long as the horizon used on average so far, or what
 * the last such span used.
 */
export type Budget = 'habit' | 'lately';

/** Where the cold phase ends, seconds. */
export function warmUp(horizonS: number): number {
  return Math.max(WARM_UP_S, WARM_UP_HORIZONS * horizonS);
}

export function isDayLong({ seconds }: Series): boolean {
  return seconds >= DAY_LONG_S;
}

export function horizonsOf(series: Series): readonly number[] {
  return isDayLong(series) ? DAY_HORIZONS : HOUR_HORIZONS;
}

/** One question, and what came of it. */
export interface Origin {
  /** Seconds from the beginning. */
  readonly atS: number;
  readonly remaining: number;
  /** Seconds until they were used up, at most the cap. */
  readonly lasted: number;
  /** Share of earlier origins, of those known by now, that ran out within the horizon. */
  readonly usual: number;
}

export interface Course {
  readonly horizonS: number;
  readonly phase: Phase;
  readonly capS: number;
  readonly origins: readonly Origin[];
  /** By contestant, in the order of the origins. */
  readonly said: ReadonlyMap<string, readonly Said[]>;
}

/** A contestant and the horizon that it is asked about. */
export interface Entry {
  readonly horizonS: number;
  readonly contestant: Contestant;
}

export function walk(
  series: Series,
  horizons: readonly number[],
  entries: readonly Entry[],
  mostOrigins: number,
  budget: Budget = 'habit',
): readonly Course[] {
  const plans = horizons.flatMap((horizonS) =>
    PHASES.map((phase) => {
      const capS = Math.min(CAP_HORIZONS * horizonS, Math.floor(CAP_SHARE * series.seconds));
      const origins = originsOf(series, horizonS, capS, mostOrigins, { phase, budget });
      const asked = entries
        .filter((entry) => entry.horizonS === horizonS)
        .map(({ contestant }) => ({ contestant, said: [] as Said[] }));
      return { horizonS, phase, capS, origins, asked, next: 0 };
    }),
  );
  const { atMs, units, seconds } = series;
  let event = 0;
  for (let second = 1; second <= seconds; second++) {
    let sum = 0;
    for (; event < atMs.length && (atMs[event] ?? 0) < second * 1000; event++) {
      for (const { contestant } of entries) contestant.offered(atMs[event] ?? 0, units[event] ?? 0);
      sum += units[event] ?? 0;
    }
    for (const { contestant } of entries) contestant.secondEnded(sum);
    for (const plan of plans) {
      const origin = plan.origins[plan.next];
      if (origin?.atS !== second) continue;
      plan.next += 1;
      for (const { contestant, said } of plan.asked) {
        said.push(contestant.say(second * 1000, origin.remaining));
      }
    }
  }
  return plans.map(({ horizonS, phase, capS, origins, asked }) => {
    const said = new Map(asked.map((one) => [one.contestant.name, one.said]));
    return { horizonS, phase, capS, origins, said };
  });
}

/** About four a horizon, or fewer where that would be too many. All end a cap before the series does. */
export function originsOf(
  { atMs, units, seconds }: Series,
  horizonS: number,
  capS: number,
  most: number,
  { phase, budget }: { readonly phase: Phase; readonly budget: Budget } = USUAL,
): readonly Origin[] {
  const used = new Float64Array(atMs.length + 1);
  for (let i = 0; i < atMs.length; i++) used[i + 1] = (used[i] ?? 0) + (units[i] ?? 0);
  const settled = phase === 'settled';
  const from = settled ? warmUp(horizonS) : FIRST_S;
  const until = Math.min(seconds - capS, settled ? Infinity : warmUp(horizonS) - 1);
  const stride = Math.max(Math.ceil(horizonS / 4), Math.ceil((until - from) / most));
  const origins: { atS: number; remaining: number; lasted: number; usual: number }[] = [];
  let before = 0;
  let begun = 0;
  // The usual share: one vote for even odds, then the outcomes that are known by then.
  let known = 0;
  let votes = 1;
  let ranOut = 0.5;
  for (let atS = from; atS <= until; atS = after(atS, stride)) {
    while (before < atMs.length && (atMs[before] ?? 0) < atS * 1000) before += 1;
    while (begun < before && (atMs[begun] ?? 0) < (atS - horizonS) * 1000) begun += 1;
    const soFar = used[before] ?? 0;
    const lately = soFar - (used[begun] ?? 0);
    const remaining =
      budget === 'habit' ? (soFar / atS) * horizonS : (lately / Math.min(atS, horizonS)) * horizonS;
    if (remaining <= 0) continue;
    const end = reaches(used, soFar + remaining);
    const lasted = end < atMs.length ? (atMs[end] ?? 0) / 1000 - atS : Infinity;
    for (let one = origins[known]; one !== undefined && one.atS + horizonS <= atS;) {
      votes += 1;
      ranOut += one.lasted <= horizonS ? 1 : 0;
      known += 1;
      one = origins[known];
    }
    const usual = ranOut / votes;
    origins.push({ atS, remaining, lasted: Math.min(capS, lasted), usual });
  }
  return origins;
}

const USUAL = { phase: 'settled', budget: 'habit' } as const;

/** Uneven, so that origins do not beat with a trace that has a period. */
function after(atS: number, stride: number): number {
  const mixed = Math.imul(atS ^ (atS >>> 14), 0x297a2d39);
  const share = ((mixed ^ (mixed >>> 15)) >>> 0) / 4_294_967_296;
  return atS + Math.max(1, Math.round(stride * (0.5 + share)));
}

/** Index of the arrival that makes the sum reach `target`. */
function reaches(used: Float64Array, target: number): number {
  let low = 0;
  let high = used.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    // A sum that misses by rounding alone has reached it.
    if ((used[middle] ?? 0) < target * (1 - 1e-12)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
