import type Database from 'better-sqlite3';
import type { Snapshot } from '../../core/ports.ts';
import type { EpochMs, JsonValue, Seq } from '../../core/units.ts';

interface SnapshotRow {
  readonly seq: Seq;
  readonly version: number;
  readonly at: EpochMs;
  readonly state: string;
}

/** Key in `meta`: snapshots up to this sequence number hold a name that was forgotten. */
const VOID_TO = 'snapshots_void_to';

export class SnapshotTable {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** The newest that can be read. */
  load(): Snapshot | null {
    const rows = this.#db
      .prepare<[], SnapshotRow>('SELECT seq, version, at, state FROM snapshots ORDER BY seq DESC')
      .all();
    for (const { seq, version, at, state } of rows) {
      try {
        return { seq, version, at, state: JSON.parse(state) as JsonValue };
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
      }
    }
    return null;
  }

  lastSeq(): Seq {
    return (
      this.#db.prepare<[], number>('SELECT ifnull(max(seq), 0) FROM snapshots').pluck().get() ?? 0
    );
  }

  /** Call inside a transaction. */
  save(snapshot: Snapshot): void {
    const state = JSON.stringify(snapshot.state);
    const voidTo = this.#db
      .prepare<[string], string>('SELECT value FROM meta WHERE key = ?')
      .pluck()
      .get(VOID_TO);
    if (voidTo !== undefined) {
      this.#db.prepare('DELETE FROM snapshots WHERE seq <= ?').run(Number(voidTo));
      this.#db.prepare('DELETE FROM meta WHERE key = ?').run(VOID_TO);
    }
    this.#db
      .prepare('INSERT OR REPLACE INTO snapshots (seq, version, at, state) VALUES (?, ?, ?, ?)')
      .run(snapshot.seq, snapshot.version, snapshot.at, state);
    this.#db.exec(
      'DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT 2)',
    );
  }

  /** What is stored now goes when the next one is saved; call inside a transaction. */
  voidStored(): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)')
      .run(VOID_TO, String(this.lastSeq()));
  }
}
