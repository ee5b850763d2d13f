/**
 * Single days cut from a trace, to be scored apart by contestants that know nothing of the others:
 * what a forecast is worth on the first day.
 */
import { SECOND } from '../../src/core/units.ts';
import { Random } from '../../src/sim/random.ts';
import type { ServegenBin } from '../../src/sim/traces.ts';
import { DAY_S, ofCounts, ofRates, readRecorded, type Extent, type Series } from './series.ts';

const DAY_MS = DAY_S * SECOND;

/** A day to be walked. */
export interface Cut {
  /** Which of the trace's: the same day may be drawn several times. */
  readonly day: number;
  readonly series: Series;
}

/** Days in which less comes are no question to anybody. */
const FEWEST = 100;

/**
 * `wanted` days, or `null` when there are none to cut. A client of ServeGen gives as many as wanted,
 * its days in turn and each drawn with a seed of its own; a recorded trace of two days or more gives
 * those it has.
 * @param seed of the drawing
 * @throws Error when the text is none of the known forms
 */
export function cutDays(
  trace: string,
  text: string,
  wanted: number,
  extent: Extent,
  seed: string,
): readonly Cut[] | null {
  const recorded = readRecorded(trace, text);
  switch (recorded.kind) {
    case 'counts':
      return daysOfCounts(trace, recorded.counts, wanted, extent);
    case 'rates':
      return daysOfRates(trace, recorded.bins, wanted, extent, seed);
    case 'arrivals':
      return null;
  }
}

function daysOfCounts(
  trace: string,
  counts: readonly number[],
  wanted: number,
  extent: Extent,
): readonly Cut[] | null {
  const whole = Math.floor(counts.length / DAY_S);
  if (whole < 2) return null;
  const busy: { readonly day: number; readonly own: readonly number[] }[] = [];
  for (let day = 0; day < whole; day++) {
    const own = counts.slice(day * DAY_S, (day + 1) * DAY_S);
    if (own.reduce((sum, count) => sum + count, 0) >= FEWEST) busy.push({ day, own });
  }
  return spread(busy, wanted).map(({ day, own }) => ({
    day,
    series: ofCounts(trace, own, { ...extent, days: 1 }),
  }));
}

function daysOfRates(
  trace: string,
  bins: readonly ServegenBin[],
  wanted: number,
  extent: Extent,
  seed: string,
): readonly Cut[] | null {
  const days = new Map<number, ServegenBin[]>();
  for (const bin of bins) {
    const day = Math.floor(bin.fromMs / DAY_MS);
    const own = days.get(day) ?? [];
    days.set(day, own);
    own.push({ ...bin, fromMs: bin.fromMs - day * DAY_MS });
  }
  const busy = [...days].filter(([, own]) => isBusy(own));
  if (busy.length === 0) return null;
  const turn = spread(busy, wanted);
  return Array.from({ length: wanted }, (_, i) => {
    const [day, own] = turn[i % turn.length] ?? [0, []];
    const random = new Random(`${seed} ${trace} ${String(i)}`);
    return { day, series: ofRates(trace, own, { ...extent, days: 1 }, random) };
  });
}

/** Twenty hours of bins at least, or the day is none. */
function isBusy(bins: readonly ServegenBin[]): boolean {
  const last = bins.at(-1)?.fromMs ?? 0;
  const expected = bins.reduce((sum, { perSecond }) => sum + perSecond * 600, 0);
  return last >= 20 * 3_600_000 && expected >= FEWEST;
}

/** As many as wanted, evenly from all; all where there are no more. */
function spread<One>(all: readonly One[], wanted: number): readonly One[] {
  if (wanted >= all.length) return all;
  return Array.from(
    { length: wanted },
    (_, i) => all[Math.floor((i * all.length) / wanted)] as One,
  );
}
