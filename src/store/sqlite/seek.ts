import type { EpochMs, Seq } from '../../core/units.ts';
import type { SegmentTable } from './segments.ts';

interface Probe {
  readonly seq: Seq;
  readonly at: EpochMs;
}

/**
 * The first sequence number in a segment from which on every row begins at `at` or later, by
 * bisection: only where time follows `seq`. Some fifty look-ups by primary key.
 */
function firstAt(segments: SegmentTable, name: string, at: EpochMs): Seq {
  const probe = segments.prepare<Probe>(
    `SELECT seq, first_at AS at FROM ${name} WHERE seq >= ? ORDER BY seq LIMIT 1`,
  );
  let low = 0;
  let high = Number.MAX_SAFE_INTEGER;
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    const row = probe.get(middle);
    if (row === undefined || row.at >= at) high = middle;
    else low = row.seq + 1;
  }
  return low;
}

/** Rows that may hold entries of a span of time: `from <= seq < before`. */
export function seekTime(
  segments: SegmentTable,
  name: string,
  since: EpochMs | undefined,
  until: EpochMs | undefined,
): { readonly from: Seq; readonly before: Seq } {
  let from = 0;
  if (since !== undefined) {
    // The last row that begins before it may reach beyond it.
    from =
      segments
        .prepare<Seq>(`SELECT seq FROM ${name} WHERE seq < ? ORDER BY seq DESC LIMIT 1`)
        .pluck()
        .get(firstAt(segments, name, since)) ?? 0;
  }
  return { from, before: until === undefined ? Infinity : firstAt(segments, name, until) };
}
