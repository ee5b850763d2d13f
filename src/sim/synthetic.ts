/**
 * Made traces with known parameters, for tests and for the scoring of forecasts: what a forecast
 * should say of them can be worked out.
 */
import { DAY, SECOND } from '../core/units.ts';
import type { DurationMs, MonoMs } from '../core/units.ts';
import { arrivalsOf } from './arrivals.ts';
import type { DailySpec } from './arrivals.ts';
import type { Random } from './random.ts';
import { CHAT_SIZES, withSizes } from './traces.ts';
import type { TokenSizes, TraceArrival } from './traces.ts';

export type SyntheticSpec =
  | { readonly kind: 'poisson'; readonly perSecond: number }
  | HawkesSpec
  | { readonly kind: 'daily'; readonly day: Omit<DailySpec, 'kind'> }
  /** Poisson whose rate jumps: each regime holds until the next begins; the first begins at 0. */
  | {
      readonly kind: 'regimes';
      readonly regimes: readonly { readonly fromMs: MonoMs; readonly perSecond: number }[];
    };

/**
 * Arrivals that bring on others: a Hawkes process with an exponential kernel, made by its clusters.
 * Mean rate = perSecond / (1 − branching); over long spans variance/mean = 1 / (1 − branching)².
 */
export interface HawkesSpec {
  readonly kind: 'hawkes';
  /** Of those that come by themselves. */
  readonly perSecond: number;
  /** Mean number of others that each one brings on directly, 0 ≤ branching < 1. */
  readonly branching: number;
  /** Mean time until each of those. */
  readonly decayMs: DurationMs;
}

/** In order of time, from 0 to `lengthMs`. The same spec, seed and length give the same arrays. */
export function makeTrace(
  spec: SyntheticSpec,
  lengthMs: MonoMs,
  random: Random,
  sizes: TokenSizes = CHAT_SIZES,
): readonly TraceArrival[] {
  // Times and sizes have streams of their own, so that other sizes leave the times alone.
  const when = random.fork('when');
  const what = random.fork('what');
  return withSizes(timesOf(spec, lengthMs, when), sizes, what);
}

/** The small trace that the project brings along: a day's course with noise, in one hour. */
export function smallDay(random: Random): readonly TraceArrival[] {
  const length: MonoMs = DAY / 24;
  const day = { perSecond: 0.5, swing: 0.7, dayMs: DAY / 24, peakAtMs: DAY / 40, noiseCv: 0.5 };
  return makeTrace({ kind: 'daily', day }, length, random);
}

function timesOf(spec: SyntheticSpec, lengthMs: MonoMs, random: Random): MonoMs[] {
  switch (spec.kind) {
    case 'poisson':
      return poisson(spec.perSecond, 0, lengthMs, random);
    case 'hawkes':
      return hawkes(spec, lengthMs, random);
    case 'daily': {
      const next = arrivalsOf({ kind: 'daily', ...spec.day }, random, 0, lengthMs);
      const times: MonoMs[] = [];
      for (let one = next(); one !== null; one = next()) times.push(one.atMs);
      return times;
    }
    case 'regimes':
      return spec.regimes.flatMap(({ fromMs, perSecond }, i) => {
        const untilMs = Math.min(lengthMs, spec.regimes[i + 1]?.fromMs ?? lengthMs);
        return poisson(perSecond, fromMs, untilMs, random);
      });
  }
}

function poisson(perSecond: number, fromMs: MonoMs, untilMs: MonoMs, random: Random): MonoMs[] {
  const times: MonoMs[] = [];
  if (perSecond <= 0) return times;
  for (let at = fromMs; ;) {
    at += random.exponential(SECOND / perSecond);
    if (at >= untilMs) return times;
    times.push(at);
  }
}

function hawkes(spec: HawkesSpec, lengthMs: MonoMs, random: Random): MonoMs[] {
  if (spec.branching >= 1) throw new Error('branching must be below 1, or it never ends');
  const times = poisson(spec.perSecond, 0, lengthMs, random);
  // The list grows while it is read: children have children.
  for (let i = 0; i < times.length; i++) {
    const parent = times[i] ?? 0;
    for (let n = poissonCount(spec.branching, random); n > 0; n--) {
      const at = parent + random.exponential(spec.decayMs);
      if (at < lengthMs) times.push(at);
    }
  }
  return times.sort((a, b) => a - b);
}

/** Knuth's method; fine for means of a few. */
function poissonCount(mean: number, random: Random): number {
  const floor = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > floor; product *= random.next()) count += 1;
  return count;
}
