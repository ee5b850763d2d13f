/**
 * Several walks as one row. One day holds too few hours to tell whether nine in ten claims about an
 * hour come true; many days do, and how they differ among themselves is the error.
 */
import { jackknifeError } from './errors.ts';
import { ratio, skill, type Row } from './scores.ts';

/** What was found out on one walk. */
export interface Walked {
  /** Which day it was of. The same day drawn again with another seed is hardly another day. */
  readonly day: number;
  readonly rows: readonly Row[];
}

/** What one day says of a contestant, and of those that it is compared with. */
interface Day {
  readonly own: readonly Row[];
  readonly rivals: ReadonlyMap<string, readonly Row[]>;
}

/**
 * @param trace the name that the pooled rows bear
 * @param walks all of one kind of series
 * @returns a row for each horizon, phase and model; every day counts the same
 */
export function pooled(
  trace: string,
  walks: readonly Walked[],
  baselines: readonly string[],
): readonly Row[] {
  const kinds = new Map<string, Row>();
  for (const row of walks.flatMap(({ rows }) => rows)) kinds.set(kindOf(row, row.model), row);
  return [...kinds.values()].map((kind) => {
    const days = new Map<number, Row[]>();
    for (const { day, rows } of walks) days.set(day, [...(days.get(day) ?? []), ...rows]);
    const parts = [...days.values()].flatMap((rows): Day[] => {
      const by = (model: string): Row[] =>
        rows.filter((row) => kindOf(row, row.model) === kindOf(kind, model));
      const own = by(kind.model);
      const rivals = new Map(baselines.map((model) => [model, by(model)]));
      return own.length === 0 ? [] : [{ own, rivals }];
    });
    return poolOne(trace, kind, parts, baselines);
  });
}

function kindOf({ unit, horizon_s, phase }: Row, model: string): string {
  return `${unit} ${String(horizon_s)} ${phase} ${model}`;
}

function poolOne(
  trace: string,
  kind: Row,
  days: readonly Day[],
  baselines: readonly string[],
): Row {
  const mean =
    (figure: (row: Row) => number) =>
    (of: readonly Day[]): number =>
      average(of.map(({ own }) => average(own.map(figure))));
  const lossOf = (model: string) => (of: readonly Day[]) =>
    average(of.map(({ rivals }) => average((rivals.get(model) ?? []).map((row) => row.pinball))));
  const best = [...baselines].sort((a, b) => lossOf(a)(days) - lossOf(b)(days))[0];
  const [pinballOf, brierOf] = [mean((row) => row.pinball), mean((row) => row.brier)];
  const usualOf = mean((row) => row.brier_usual);
  /** Of one day nobody knows how days differ: what is left is how its hours do. */
  const error = (of: (days: readonly Day[]) => number, own: (row: Row) => number): number =>
    days.length > 1 ? jackknifeError(days, of) : Math.sqrt(mean((row) => own(row) ** 2)(days));
  const ratioOf = (of: readonly Day[]): number =>
    best === undefined ? NaN : ratio(pinballOf(of), lossOf(best)(of));
  const skillOf = (of: readonly Day[]): number => skill(brierOf(of), usualOf(of)) ?? NaN;
  const skilled = skillOf(days);
  const walks = days.flatMap(({ own }) => own);
  const plain = (key: Erring | 'brier_usual' | 'ran_out' | 'crossed'): number =>
    mean((row) => row[key])(days);
  const plainError = (key: Erring): number =>
    error(
      mean((row) => row[key]),
      (row) => row[`${key}_se`],
    );
  return {
    ...kind,
    trace,
    coverage_p50: plain('coverage_p50'),
    coverage_p90: plain('coverage_p90'),
    coverage_p99: plain('coverage_p99'),
    pinball: plain('pinball'),
    pinball_ratio: ratioOf(days),
    crps: plain('crps'),
    brier: plain('brier'),
    brier_usual: plain('brier_usual'),
    brier_skill: Number.isNaN(skilled) ? null : skilled,
    ran_out: plain('ran_out'),
    crossed: plain('crossed'),
    n: Math.round(days.reduce((sum, { own }) => sum + average(own.map((row) => row.n)), 0)),
    coverage_p50_se: plainError('coverage_p50'),
    coverage_p90_se: plainError('coverage_p90'),
    coverage_p99_se: plainError('coverage_p99'),
    pinball_se: plainError('pinball'),
    pinball_ratio_se: error(ratioOf, (row) => row.pinball_ratio_se),
    crps_se: plainError('crps'),
    brier_se: plainError('brier'),
    brier_skill_se: Number.isNaN(skilled)
      ? null
      : error(skillOf, (row) => row.brier_skill_se ?? NaN),
    origins: walks.reduce((sum, row) => sum + row.origins, 0),
    walks: walks.length,
  };
}

/** Means that have an error in the row. */
type Erring = 'coverage_p50' | 'coverage_p90' | 'coverage_p99' | 'pinball' | 'crps' | 'brier';

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
