import type { EntryQuery } from '../../core/ports.ts';
import type { Entry } from '../../core/ledger/entry.ts';
import type { Seq } from '../../core/units.ts';
import { DAY } from '../../core/units.ts';
import type { Selection } from '../selection.ts';
import type { NameTable } from './names.ts';
import { type PackedRow, poolMark, unpackRow } from './packing.ts';
import { seekTime } from './seek.ts';
import type { SegmentTable } from './segments.ts';

/** Rows fetched at a time: whole results, so that no statement is open while callers run. */
const PAGE_ROWS = 256;

interface RowFilter {
  readonly where: string;
  readonly values: readonly (number | string)[];
}

const ALL = { from: 0, before: Infinity };

const bySeq = (a: Entry, b: Entry): number => a.seq - b.seq;

/**
 * Reads entries in order of sequence numbers. Rows of a batch interleave, batches do not: rows are
 * taken a batch at a time, expanded and sorted.
 */
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
    const from = this.#batchStart(query.after ?? 0);
    const segments = newest ? this.#segments.all.toReversed() : this.#segments.all;
    for (const { name, day, stepped } of segments) {
      // No entry is younger than its segment's day; older ones there may be.
      if (query.since !== undefined && (day + 1) * DAY <= query.since) continue;
      const span = stepped === 1 ? ALL : seekTime(this.#segments, name, query.since, query.until);
      const low = Math.max(from, span.from);
      const high = Math.min(query.before ?? Infinity, span.before);
      const rows = this.#rows(name, low, high, filter, newest);
      for (const batch of this.#batches(rows)) {
        into.feed(batch);
        if (into.full) return;
      }
    }
  }

  /** Everything after a sequence number up to another, a batch at a time. */
  *between(after: Seq, upTo: Seq): Generator<Entry[]> {
    const from = this.#batchStart(after);
    for (const { name } of this.#segments.all) {
      const rows = this.#rows(name, from, upTo + 1, { where: '', values: [] }, false);
      for (const batch of this.#batches(rows)) {
        yield batch.filter((entry) => entry.seq + entry.count - 1 > after);
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
          `SELECT * FROM ${name} WHERE seq = ? AND request IS NULL
           UNION ALL SELECT * FROM ${name} WHERE request = ? AND request > 0`,
        )
        .all(request, request);
      for (const row of rows) unpackRow(row, this.#names, found);
    }
    return found.sort(bySeq);
  }

  /** First sequence number of the batch that holds what follows `after`. */
  #batchStart(after: Seq): Seq {
    const segment = this.#segments.all.findLast(({ firstSeq }) => firstSeq <= after + 1);
    if (segment === undefined) return 0;
    const start = this.#segments
      .prepare<number>(
        `SELECT seq - "offset" FROM ${segment.name} WHERE seq <= ? ORDER BY seq DESC LIMIT 1`,
      )
      .pluck()
      .get(after + 1);
    return start ?? 0;
  }

  /** What a row can answer by itself; `null` when a name is asked for that no row holds. */
  #filter(query: EntryQuery): RowFilter | null {
    let where = '';
    const values: (number | string)[] = [];
    for (const kind of ['agent', 'identity', 'provider'] as const) {
      const text = query[kind];
      if (text === undefined) continue;
      const number = this.#names.lookup(kind, text);
      if (number === undefined) return null;
      where += ` AND ${kind} = ?`;
      values.push(number);
    }
    if (query.pool !== undefined) {
      const number = this.#names.lookup('pool', query.pool);
      if (number === undefined) return null;
      where += ' AND instr(body, ?)';
      values.push(poolMark(number));
    }
    if (query.since !== undefined) {
      where += ' AND at + span >= ?';
      values.push(query.since);
    }
    if (query.until !== undefined) {
      where += ' AND at - early < ?';
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

  *#batches(rows: Iterable<PackedRow>): Generator<Entry[]> {
    let batch = -1;
    let entries: Entry[] = [];
    for (const row of rows) {
      if (row.seq - row.offset !== batch && entries.length > 0) {
        yield entries.sort(bySeq);
        entries = [];
      }
      batch = row.seq - row.offset;
      unpackRow(row, this.#names, entries);
    }
    if (entries.length > 0) yield entries.sort(bySeq);
  }
}
