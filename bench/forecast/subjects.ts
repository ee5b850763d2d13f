/** What is scored as one: a series, or the single days of a trace. */
import { cutDays, type Cut } from './days.ts';
import { madeSeries } from './made.ts';
import { readSeries, type Extent, type Series } from './series.ts';
import { isDayLong } from './walk.ts';

export interface Subject {
  readonly trace: string;
  readonly walks: readonly Cut[];
  /** Whether its rows are those of all walks together. */
  readonly isPooled: boolean;
}

/** A day that many are drawn of is thinned sooner. */
const DAY_ARRIVALS = 500_000;

/**
 * Of a file's text.
 * @param seeds single days to be cut; 0, or a trace without days: the trace as it is
 * @throws Error when the text is none of the known forms, or too short
 */
export function recordedSubjects(
  trace: string,
  text: string,
  extent: Extent,
  seeds: number,
  seed: string,
): readonly Subject[] {
  const inDay = { ...extent, arrivals: Math.min(extent.arrivals, DAY_ARRIVALS) };
  const walks = seeds > 0 ? cutDays(trace, text, seeds, inDay, seed) : null;
  if (walks === null) return readSeries(trace, text, extent).map(alone);
  return [{ trace: `${trace}, ${String(walks.length)} single days`, walks, isPooled: true }];
}

/** The made series, or as many drawings of each as there are seeds. */
export function madeSubjects(extent: Extent, seeds: number, seed: string): readonly Subject[] {
  if (seeds === 0) return madeSeries(seed, extent).map(alone);
  const draws = Array.from({ length: seeds }, (_, i) =>
    madeSeries(`${seed} ${String(i)}`, extent).map((series) => ({ day: i, series })),
  );
  return (draws[0] ?? []).map(({ series: { trace } }) => ({
    trace: `${trace}, ${String(seeds)} seeds`,
    walks: draws.flatMap((all) => all.filter(({ series }) => series.trace === trace)),
    isPooled: true,
  }));
}

function alone(series: Series): Subject {
  return { trace: series.trace, walks: [{ day: 0, series }], isPooled: false };
}

/** Names of those that are judged at the horizons of a day. */
export function dayLongOf(subjects: readonly Subject[]): ReadonlySet<string> {
  const long = subjects.filter(({ walks }) => walks.every(({ series }) => isDayLong(series)));
  return new Set(long.map(({ trace }) => trace));
}
