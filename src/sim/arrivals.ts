/**
 * When an agent's jobs come. Open processes come when they come, whatever happened to those before;
 * `greedy` is closed: the next comes when one has ended.
 */
import { DAY, MINUTE, SECOND } from '../core/units.ts';
import type { DurationMs, MonoMs } from '../core/units.ts';
import { draw, drawWhole, gamma } from './arrivals-draws.ts';
import type { Distribution } from './arrivals-draws.ts';
import type { Random } from './random.ts';

/** Something that comes, possibly with a size of its own. `atMs` since the run or trace began. */
export interface Arrival {
  readonly atMs: MonoMs;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
}

export type ArrivalSpec =
  /** Always `inFlight` jobs open; after one has ended it thinks, then makes the next. */
  | {
      readonly kind: 'greedy';
      readonly inFlight: number;
      readonly thinkMs?: Distribution;
      /** Pause after a job that was lost, before the next; 1 s by default. */
      readonly afterLossMs?: DurationMs;
      /** Jobs in all; absent = no end. */
      readonly jobs?: number;
    }
  | { readonly kind: 'poisson'; readonly perSecond: number }
  /** Every so often; `jitterMs` moves each by up to so much to either side. */
  | {
      readonly kind: 'periodic';
      readonly everyMs: DurationMs;
      readonly offsetMs?: DurationMs;
      readonly jitterMs?: DurationMs;
    }
  /** Poisson at `perSecond` while on; lengths of both phases are exponential with these means. */
  | {
      readonly kind: 'bursty';
      readonly perSecond: number;
      readonly onMs: DurationMs;
      readonly offMs: DurationMs;
    }
  /** `size` jobs at once, spread over `withinMs`; the gaps between batches are drawn. */
  | {
      readonly kind: 'batches';
      readonly gapMs: Distribution;
      readonly size: Distribution;
      readonly withinMs?: DurationMs;
    }
  /** All of it at the start, evenly at random over `withinMs`. */
  | { readonly kind: 'front-loaded'; readonly jobs: number; readonly withinMs: DurationMs }
  | DailySpec
  /** As recorded. `speed` 2 plays it twice as fast; of the arrivals, `share` at random. */
  | {
      readonly kind: 'trace';
      readonly arrivals: readonly Arrival[];
      readonly speed?: number;
      readonly share?: number;
    };

/**
 * Poisson with a rate that swings over the day around its mean, times a gamma noise of mean 1 that
 * is drawn anew for each block: the over-dispersion of real traffic (variance/mean of the NASA trace
 * at 60 s is about 20).
 */
export interface DailySpec {
  readonly kind: 'daily';
  /** Mean over the day. */
  readonly perSecond: number;
  /** Amplitude, 0…1 of the mean. */
  readonly swing: number;
  /** When the peak comes, from the start of the run. */
  readonly peakAtMs?: DurationMs;
  /** Length of the day; a shorter one makes a compressed day. */
  readonly dayMs?: DurationMs;
  /** Coefficient of variation of the noise; 0 = none. */
  readonly noiseCv?: number;
  readonly blockMs?: DurationMs;
}

/** The next arrival, in order of time; `null` when there are no more. */
export type Arrivals = () => Arrival | null;

/** Open processes only. */
export function arrivalsOf(
  spec: Exclude<ArrivalSpec, { kind: 'greedy' }>,
  random: Random,
  fromMs: MonoMs,
  untilMs: MonoMs,
): Arrivals {
  const next = processOf(spec, random, fromMs);
  return () => {
    const arrival = next();
    return arrival === null || arrival.atMs >= untilMs ? null : arrival;
  };
}

function processOf(
  spec: Exclude<ArrivalSpec, { kind: 'greedy' }>,
  random: Random,
  fromMs: MonoMs,
): Arrivals {
  switch (spec.kind) {
    case 'poisson': {
      let atMs = fromMs;
      return () => ({ atMs: (atMs += random.exponential(SECOND / spec.perSecond)) });
    }
    case 'periodic':
      return periodic(spec, random, fromMs);
    case 'bursty':
      return bursty(spec, random, fromMs);
    case 'batches':
      return batches(spec, random, fromMs);
    case 'front-loaded': {
      const times = Array.from({ length: spec.jobs }, () => fromMs + random.next() * spec.withinMs);
      return inOrder(times);
    }
    case 'daily':
      return daily(spec, random, fromMs);
    case 'trace':
      return trace(spec, random, fromMs);
  }
}

function inOrder(times: number[]): Arrivals {
  times.sort((a, b) => a - b);
  let i = 0;
  return () => {
    const atMs = times[i++];
    return atMs === undefined ? null : { atMs };
  };
}

function periodic(
  spec: Extract<ArrivalSpec, { kind: 'periodic' }>,
  random: Random,
  fromMs: MonoMs,
): Arrivals {
  // Half a period at most: beyond that they would overtake one another.
  const jitterMs = Math.min(spec.jitterMs ?? 0, spec.everyMs / 2);
  let count = 0;
  return () => {
    const due = fromMs + (spec.offsetMs ?? 0) + count++ * spec.everyMs;
    return { atMs: Math.max(fromMs, due + random.between(-jitterMs, jitterMs)) };
  };
}

function bursty(
  spec: Extract<ArrivalSpec, { kind: 'bursty' }>,
  random: Random,
  fromMs: MonoMs,
): Arrivals {
  let atMs = fromMs + random.exponential(spec.offMs);
  let offAt = atMs + random.exponential(spec.onMs);
  return () => {
    atMs += random.exponential(SECOND / spec.perSecond);
    while (atMs > offAt) {
      const on = offAt + random.exponential(spec.offMs);
      offAt = on + random.exponential(spec.onMs);
      // Exponential gaps have no memory, so that it may be drawn anew from where it is on again.
      atMs = on + random.exponential(SECOND / spec.perSecond);
    }
    return { atMs };
  };
}

function batches(
  spec: Extract<ArrivalSpec, { kind: 'batches' }>,
  random: Random,
  fromMs: MonoMs,
): Arrivals {
  let startMs = fromMs;
  let endMs = fromMs;
  let batch: Arrivals = () => null;
  return () => {
    for (;;) {
      const next = batch();
      if (next !== null) {
        endMs = next.atMs;
        return next;
      }
      // A batch that is still under way when the next is due delays it: arrivals stay in order.
      startMs = Math.max(endMs, startMs + Math.max(1, draw(spec.gapMs, random)));
      const from = startMs;
      const times = Array.from(
        { length: drawWhole(spec.size, random) },
        () => from + random.next() * (spec.withinMs ?? 0),
      );
      batch = inOrder(times);
    }
  };
}

function daily(spec: DailySpec, random: Random, fromMs: MonoMs): Arrivals {
  if (spec.perSecond <= 0) return () => null;
  const dayMs = spec.dayMs ?? DAY;
  const blockMs = spec.blockMs ?? Math.min(MINUTE, dayMs / 100);
  const cv = spec.noiseCv ?? 0;
  let blockEnd = fromMs;
  let perMs = 0;
  let atMs = fromMs;
  const openBlock = (): void => {
    const middle = blockEnd + blockMs / 2;
    const phase = (2 * Math.PI * (middle - (spec.peakAtMs ?? 0))) / dayMs;
    const noise = cv === 0 ? 1 : gamma(random, 1 / (cv * cv), cv * cv);
    perMs = (spec.perSecond / SECOND) * (1 + spec.swing * Math.cos(phase)) * noise;
    blockEnd += blockMs;
  };
  return () => {
    // One unit of an exponential is used up at the rate of each block that it spans.
    let left = random.exponential(1);
    while (left > (blockEnd - atMs) * perMs) {
      left -= (blockEnd - atMs) * perMs;
      atMs = blockEnd;
      openBlock();
    }
    atMs += left / perMs;
    return { atMs };
  };
}

function trace(
  spec: Extract<ArrivalSpec, { kind: 'trace' }>,
  random: Random,
  fromMs: MonoMs,
): Arrivals {
  const speed = spec.speed ?? 1;
  const share = spec.share ?? 1;
  let i = 0;
  return () => {
    for (;;) {
      const next = spec.arrivals[i++];
      if (next === undefined) return null;
      if (share >= 1 || random.next() < share) {
        return { ...next, atMs: fromMs + next.atMs / speed };
      }
    }
  };
}

/**
 * Two classes in the shape of a public web server's log: the valuable one swings more over the day
 * and is noisier, the other runs on steadily through the night.
 * @param perSecond of both together; @param highShare of the valuable one, 0…1
 */
export function twoClasses(
  perSecond: number,
  highShare: number,
  dayMs: DurationMs = DAY,
): { readonly high: DailySpec; readonly background: DailySpec } {
  const shared = { kind: 'daily', dayMs, peakAtMs: dayMs * 0.6 } as const;
  return {
    high: { ...shared, perSecond: perSecond * highShare, swing: 0.6, noiseCv: 0.5 },
    background: { ...shared, perSecond: perSecond * (1 - highShare), swing: 0.3, noiseCv: 0.2 },
  };
}
