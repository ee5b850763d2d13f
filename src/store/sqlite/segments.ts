import type Database from 'better-sqlite3';
import type { LedgerSegment } from '../../core/ports.ts';
import { DAY, type EpochMs, type Seq } from '../../core/units.ts';
import type { Block } from './packing.ts';
import { segmentSql } from './schema.ts';

interface Segment {
  readonly name: string;
  /** Days since 1970-01-01, UTC. */
  readonly day: number;
  readonly firstSeq: Seq;
  /** 1 once an entry in it is older than one before it: time does not follow `seq` then. */
  stepped: number;
}

export function dayOf(at: EpochMs): number {
  return Math.floor(at / DAY);
}

function nameOf(day: number): string {
  return `entries_${new Date(day * DAY).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/**
 * The ledger's tables, one a UTC day, ascending by sequence number. A day never comes back: a
 * clock that is set back goes on in the current segment, so order by segment is order by `seq`.
 */
export class SegmentTable {
  readonly #db: Database.Database;
  #all: Segment[];
  #insert: Database.Statement | undefined;
  #continue: Database.Statement<[share: number, seq: Seq]> | undefined;
  /** Youngest entry of the current segment, as long as that is not `stepped`. */
  #youngest: EpochMs;
  /** Statements by their text, for reading. */
  readonly #statements = new Map<string, Database.Statement>();
  /** What rolling back returns to. */
  #before: { readonly count: number; readonly youngest: EpochMs; readonly stepped: number };

  constructor(db: Database.Database) {
    this.#db = db;
    this.#all = this.prepare<Segment>(
      'SELECT name, day, first_seq AS firstSeq, stepped FROM segments ORDER BY first_seq',
    ).all();
    this.#youngest = this.#ofLastRow('last_at') ?? -Infinity;
    this.#before = this.#here();
  }

  begin(): void {
    this.#before = this.#here();
  }

  rolledBack(): void {
    this.#all.length = this.#before.count;
    this.#youngest = this.#before.youngest;
    const current = this.#all.at(-1);
    if (current !== undefined) current.stepped = this.#before.stepped;
    this.#insert = undefined;
    this.#continue = undefined;
  }

  get all(): readonly Segment[] {
    return this.#all;
  }

  get currentDay(): number {
    return this.#all.at(-1)?.day ?? -Infinity;
  }

  /** Last event's sequence number of what is stored, 0 when nothing is. */
  lastSeq(): Seq {
    return this.#ofLastRow('last') ?? (this.#all.at(-1)?.firstSeq ?? 1) - 1;
  }

  /** Begins the segment of a day if it is a later one; call inside a transaction. */
  advance(day: number, firstSeq: Seq, at: EpochMs): void {
    if (day <= this.currentDay) return;
    const segment = { name: nameOf(day), day, firstSeq, stepped: 0 };
    this.#db.exec(segmentSql(segment.name));
    this.prepare('INSERT INTO segments (name, day, first_seq, first_at) VALUES (?, ?, ?, ?)').run(
      segment.name,
      day,
      firstSeq,
      at,
    );
    this.#all.push(segment);
    this.#insert = undefined;
    this.#continue = undefined;
    this.#youngest = -Infinity;
  }

  /** Notes whether time still follows `seq` with these; call inside the transaction, in order. */
  note(entries: readonly { readonly at: EpochMs }[]): void {
    const current = this.#all.at(-1);
    if (current === undefined || current.stepped === 1) return;
    for (const { at } of entries) {
      if (at < this.#youngest) {
        this.prepare('UPDATE segments SET stepped = 1 WHERE name = ?').run(current.name);
        current.stepped = 1;
        return;
      }
      this.#youngest = at;
    }
  }

  insert({ row, continues }: Block): void {
    const name = this.#all.at(-1)?.name ?? '';
    this.#insert ??= this.#db.prepare(
      `INSERT INTO ${name} (seq, last, first_at, last_at, names, body) VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#insert.run(row.seq, row.last, row.first_at, row.last_at, row.names, row.body);
    this.#continue ??= this.#db.prepare(`INSERT INTO ${name}_continued (share, seq) VALUES (?, ?)`);
    for (const share of continues) this.#continue.run(share, row.seq);
  }

  #here(): { count: number; youngest: EpochMs; stepped: number } {
    const stepped = this.#all.at(-1)?.stepped ?? 0;
    return { count: this.#all.length, youngest: this.#youngest, stepped };
  }

  #ofLastRow(column: 'last' | 'last_at'): number | null {
    const current = this.#all.at(-1);
    if (current === undefined) return null;
    return (
      this.prepare<number>(`SELECT ${column} FROM ${current.name} ORDER BY seq DESC LIMIT 1`)
        .pluck()
        .get() ?? null
    );
  }

  list(): LedgerSegment[] {
    return this.#all.map((segment, index) => ({
      name: segment.name,
      firstSeq: segment.firstSeq,
      from: segment.day * DAY,
      until: (segment.day + 1) * DAY,
      current: index === this.#all.length - 1,
    }));
  }

  /** Each in its own transaction, oldest first, so that what is left always begins at one point. */
  dropBefore(at: EpochMs): string[] {
    const dropped: string[] = [];
    for (const { name, until, current } of this.list()) {
      if (current || until > at) break;
      this.#statements.clear();
      this.#db.transaction(() => {
        this.#db.exec(`DROP TABLE ${name}; DROP TABLE ${name}_continued`);
        this.#db.prepare('DELETE FROM segments WHERE name = ?').run(name);
      })();
      this.#all = this.#all.slice(1);
      dropped.push(name);
    }
    return dropped;
  }

  /** A cached statement that yields rows of `Row`. */
  prepare<Row>(sql: string): Database.Statement<unknown[], Row> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      if (this.#statements.size >= 500) this.#statements.clear();
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement as Database.Statement<unknown[], Row>;
  }
}
