import { BASELINES, ratelord } from './contestants.ts';
import { score, type Row } from './scores.ts';
import type { Series } from './series.ts';
import { horizonsOf, walk, type Entry } from './walk.ts';

/** Ratelord and the baselines over one series, at the horizons that its length allows. */
export function scoreSeries(series: Series, mostOrigins: number): readonly Row[] {
  const horizons = horizonsOf(series);
  const own = ratelord(horizons);
  const entries: Entry[] = horizons.flatMap((horizonS, i) =>
    [own[i], ...BASELINES.map((make) => make(horizonS))].flatMap((contestant) =>
      contestant === undefined ? [] : [{ horizonS, contestant }],
    ),
  );
  return walk(series, horizons, entries, mostOrigins).flatMap((course) =>
    score(series.trace, series.unit, course),
  );
}
