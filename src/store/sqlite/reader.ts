import type { EntryQuery } from '../../core/ports.ts';
import type { Entry } from '../../core/ledger/entry.ts';
import type { Seq } from '../../core/units.ts';
import { DAY } from '../../core/units.ts';
import type { Selection } from '../selection.ts';
import type { NameTable } from './names.ts';
import { nameMark, type PackedRow, shareOf, unpackRow } from './packing.ts';
import { seekTime } from './seek.ts';
import type { SegmentTable } from './segments.ts';

/** Rows fetched at a time: whole results, so that no statement is open while callers run. */
const PAGE_ROWS = 32;

interface RowFilter {
  readonly where: string;
  readonly values: readonly (number | string)[];
}

const ALL = { from: 0, before: Infinity };

/** Reads entries in order of sequence numbers: rows follow each other, and entries in each row. */
export class LedgerReader {
  readonly #segments: SegmentTable;
  readonly #names: NameTable;

  constructor(segments: SegmentTable, names: NameTable) {
    this.#segments = segments;
    this.#names = names;
  }

  select(query: EntryQuery, into: Selection): void {
    const filter = this.#filter(query);
    if (filter === null) return;
    const newest = query.newest === true;
    const from = this.#rowStart(query.after ?? 0);
    const segments = newest ? this.#segments.all.toReversed() : this.#segments.all;
    for (const { name, day, stepped } of segments) {
      // No entry is younger than its segment's day; older ones there may be.
      if (query.since !== undefined && (day + 1) * DAY <= query.since) continue;
      const span = stepped === 1 ? ALL : seekTime(this.#segments, name, query.since, query.until);
      const low = Math.max(from, span.from);
      const high = Math.min(query.before ?? Infinity, span.before);
      for (const row of this.#rows(name, low, high, filter, newest)) {
        into.feed(unpackRow(row, this.#names));
        if (into.full) return;
      }
    }
  }

  /** Everything after a sequence number up to another, a row at a time. */
  *between(after: Seq, upTo: Seq): Generator<Entry[]> {
    const from = this.#rowStart(after);
    for (const { name } of this.#segments.all) {
      for (const row of this.#rows(name, from, upTo + 1, { where: '', values: [] }, false)) {
        const entries = unpackRow(row, this.#names);
        yield row.seq > after ? entries : entries.filter((e) => e.seq + e.count - 1 > after);
      }
    }
  }

  request(request: Seq): Entry[] {
    const found: Entry[] = [];
    const segments = this.#segments.all;
    let index = segments.findLastIndex((segment) => segment.firstSeq <= request);
    for (index = Math.max(index, 0); index < segments.length; index += 1) {
      const name = segments[index]?.name ?? '';
      const rows = this.#segments
        .prepare<PackedRow>(
          `SELECT * FROM ${name} WHERE seq IN (
             SELECT max(seq) FROM ${name} WHERE seq <= ?
             UNION SELECT seq FROM ${name}_continued WHERE share = ?
           ) ORDER BY seq`,
        )
        .all(request, shareOf(request));
      for (const row of rows) found.push(...unpackRow(row, this.#names, request));
    }
    return found;
  }

  /** First sequence number of the row that holds what follows `after`. */
  #rowStart(after: Seq): Seq {
    const segment = this.#segments.all.findLast(({ firstSeq }) => firstSeq <= after + 1);
    if (segment === undefined) return 0;
    const start = this.#segments
      .prepare<number>(`SELECT seq FROM ${segment.name} WHERE seq <= ? ORDER BY seq DESC LIMIT 1`)
      .pluck()
      .get(after + 1);
    return start ?? 0;
  }

  /** What a row can answer by itself; `null` when a name is asked for that no row holds. */
  #filter(query: EntryQuery): RowFilter | null {
    let where = '';
    const values: (number | string)[] = [];
    for (const kind of ['agent', 'identity', 'provider', 'pool'] as const) {
      const text = query[kind];
      if (text === undefined) continue;
      const number = this.#names.lookup(kind, text);
      if (number === undefined) return null;
      where += ' AND instr(names, ?)';
      values.push(nameMark(number));
    }
    if (query.since !== undefined) {
      where += ' AND last_at >= ?';
      values.push(query.since);
    }
    if (query.until !== undefined) {
      where += ' AND first_at < ?';
      values.push(query.until);
    }
    return { where, values };
  }

  *#rows(
    name: string,
    from: Seq,
    before: Seq,
    filter: RowFilter,
    newest: boolean,
  ): Generator<PackedRow> {
    const page = this.#segments.prepare<PackedRow>(
      `SELECT * FROM ${name} WHERE seq >= ? AND seq < ?${filter.where}
       ORDER BY seq ${newest ? 'DESC' : 'ASC'} LIMIT ${String(PAGE_ROWS)}`,
    );
    let low = from;
    let high = Math.min(before, Number.MAX_SAFE_INTEGER);
    for (;;) {
      const rows = page.all(low, high, ...filter.values);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE_ROWS) return;
      if (newest) high = last.seq;
      else low = last.seq + 1;
    }
  }
}
