import { BASELINES, ratelord } from './contestants.ts';
import { score, type Row } from './scores.ts';
import type { Series } from './series.ts';
import { horizonsOf, walk, type Budget, type Entry } from './walk.ts';

export const BASELINE_NAMES: readonly string[] = BASELINES.map((make) => make(1).name);

/** Ratelord and the baselines over one series, at the horizons that its length allows. */
export function scoreSeries(
  series: Series,
  mostOrigins: number,
  budget: Budget = 'habit',
): readonly Row[] {
  const horizons = horizonsOf(series);
  const own = ratelord(horizons);
  const entries: Entry[] = horizons.flatMap((horizonS, i) =>
    [own[i], ...BASELINES.map((make) => make(horizonS))].flatMap((contestant) =>
      contestant === undefined ? [] : [{ horizonS, contestant }],
    ),
  );
  return walk(series, horizons, entries, mostOrigins, budget).flatMap((course) =>
    score(series.trace, series.unit, course, BASELINE_NAMES),
  );
}
