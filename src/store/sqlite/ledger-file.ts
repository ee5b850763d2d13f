import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { GapReason, LedgerGap, NameKind, Snapshot } from '../../core/ports.ts';
import type { Entry } from '../../core/ledger/entry.ts';
import { DAY, type EpochMs, type Seq } from '../../core/units.ts';
import { NameTable } from './names.ts';
import { packBatch } from './packing.ts';
import { LedgerReader } from './reader.ts';
import { prepareSchema } from './schema.ts';
import { dayOf, SegmentTable } from './segments.ts';
import { SnapshotTable } from './snapshots.ts';

export interface OpenLedgerFile {
  readonly path: string;
  /** How long opening may wait for another process's lock; it blocks the thread. */
  readonly waitMs: number;
  /** The write-ahead log is cut to this when it starts over. */
  readonly journalLimitBytes: number;
  /** Applied to the connection before anything is written. */
  readonly tune?: (db: Database.Database) => void;
}

/** One open connection to the ledger and all that depends on it. Every method throws SQLite's errors. */
export class LedgerFile {
  readonly db: Database.Database;
  readonly segments: SegmentTable;
  readonly snapshots: SnapshotTable;
  readonly reader: LedgerReader;
  readonly #names: NameTable;
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #gap: Database.Statement<[Seq, Seq, EpochMs, GapReason]>;
  /** Last event's sequence number on disk. */
  lastSeq: Seq;

  constructor(options: OpenLedgerFile) {
    // SQLite gives the write-ahead log the mode of the file, and the file what the umask leaves.
    closeSync(openSync(options.path, 'a', 0o600));
    this.db = new Database(options.path, { timeout: options.waitMs });
    try {
      options.tune?.(this.db);
      prepareSchema(this.db, options.path);
      this.db.pragma('journal_mode = WAL');
      this.db.pragma('synchronous = NORMAL');
      this.db.pragma('wal_autocheckpoint = 0');
      this.db.pragma(`journal_size_limit = ${String(options.journalLimitBytes)}`);
      this.db.pragma('recursive_triggers = ON');
      // A name that was forgotten must not survive in the unused part of a page.
      this.db.pragma('secure_delete = ON');
      this.#names = new NameTable(this.db);
      this.segments = new SegmentTable(this.db);
      this.snapshots = new SnapshotTable(this.db);
      this.reader = new LedgerReader(this.segments, this.#names);
      this.#begin = this.db.prepare('BEGIN IMMEDIATE');
      this.#commit = this.db.prepare('COMMIT');
      this.#gap = this.db.prepare(
        'INSERT OR REPLACE INTO gaps (first, last, at, reason) VALUES (?, ?, ?, ?)',
      );
      this.lastSeq = this.segments.lastSeq();
      this.db.pragma('busy_timeout = 0');
    } catch (error) {
      this.db.close();
      throw error;
    }
  }

  /** How many of these, from the first, may share a batch: none is of a later day than the first. */
  batchLength(entries: readonly Entry[]): number {
    const first = entries[0];
    if (first === undefined) return 0;
    const until = (Math.max(dayOf(first.at), this.segments.currentDay) + 1) * DAY;
    const end = entries.findIndex(({ at }) => at >= until);
    return end < 0 ? entries.length : end;
  }

  /**
   * Writes one batch, all or nothing. `reason` explains numbers missing before it. Returns the
   * entries that no ledger could hold; they are recorded as gaps.
   */
  write(entries: readonly Entry[], at: EpochMs, reason: GapReason): Entry[] {
    const unwritable: Entry[] = [];
    const first = entries[0];
    const last = entries.at(-1);
    if (first === undefined || last === undefined) return unwritable;
    this.#transact(() => {
      this.segments.advance(dayOf(first.at), first.seq, first.at);
      this.segments.note(entries);
      this.#recordSkips(entries, at, reason);
      const blocks = packBatch(entries, this.#names, (entry) => void unwritable.push(entry));
      for (const block of blocks) this.segments.insert(block);
      for (const { seq, count } of unwritable) {
        this.#gap.run(seq, seq + count - 1, at, 'unwritable');
      }
    });
    this.lastSeq = last.seq + last.count - 1;
    return unwritable;
  }

  gaps(): LedgerGap[] {
    return this.segments
      .prepare<LedgerGap>('SELECT first, last, at, reason FROM gaps ORDER BY first')
      .all();
  }

  saveSnapshot(snapshot: Snapshot): void {
    this.#transact(() => {
      this.snapshots.save(snapshot);
    });
  }

  forget(kind: NameKind, text: string): number {
    let changed = 0;
    this.#transact(() => {
      changed = this.#names.forget(kind, text);
      if (changed > 0) this.snapshots.voidStored();
    });
    this.#names.forgetCache();
    // The log still holds the pages as they were; as much of it goes as no reader keeps.
    if (changed > 0) this.checkpoint('TRUNCATE');
    return changed;
  }

  dropSegmentsBefore(at: EpochMs): string[] {
    // Zeroing what is dropped would write as much as was ever recorded; segments hold no names.
    this.db.pragma('secure_delete = OFF');
    try {
      return this.segments.dropBefore(at);
    } finally {
      this.db.pragma('secure_delete = ON');
    }
  }

  checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): void {
    this.db.pragma(`wal_checkpoint(${mode})`);
  }

  close(): void {
    this.db.close();
  }

  #recordSkips(entries: readonly Entry[], at: EpochMs, reason: GapReason): void {
    let expected = this.lastSeq + 1;
    let why = reason;
    for (const { seq, count } of entries) {
      if (seq > expected) this.#gap.run(expected, seq - 1, at, why);
      expected = seq + count;
      why = 'skipped';
    }
  }

  #transact(work: () => void): void {
    this.#begin.run();
    this.segments.begin();
    try {
      work();
      this.#commit.run();
    } catch (error) {
      this.#names.rolledBack();
      this.segments.rolledBack();
      // After some errors (a full disk) SQLite has rolled back already.
      if (this.db.inTransaction) this.db.exec('ROLLBACK');
      throw error;
    }
    this.#names.committed();
  }
}
