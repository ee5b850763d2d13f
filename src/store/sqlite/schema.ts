import type Database from 'better-sqlite3';

/** Format of the file; raised when an older ratelord could not read what this one writes. */
export const SCHEMA_VERSION = 1;
/** `PRAGMA application_id`: "RLDG". */
const APPLICATION_ID = 0x524c4447;

const BASE = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE names (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (kind, text)
  ) STRICT;
  CREATE TABLE segments (
    name TEXT PRIMARY KEY,
    day INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    stepped INTEGER NOT NULL DEFAULT 0 -- 1 once a clock went back in it
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE gaps (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL
  ) STRICT;
  CREATE TABLE snapshots (
    seq INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL
  ) STRICT;
`;

/**
 * One UTC day. A row is a block of consecutive entries, of one batch (see packing.ts):
 *
 *   seq, last          of its first entry, and of its last event
 *   first_at, last_at  oldest and youngest entry's time
 *   names              numbers of all names in it
 *
 * `_continued` finds what a request did in rows after the one it begins in; its requests are shares
 * of many (`shareOf`). The triggers hold for every connection, a shell's included; the one on
 * INSERT is there because REPLACE deletes without asking the one on DELETE unless recursive
 * triggers are on.
 */
export function segmentSql(name: string): string {
  return `
  CREATE TABLE ${name} (
    seq INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    names TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE ${name}_continued (
    share INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (share, seq)
  ) STRICT, WITHOUT ROWID;
  ${frozen(name)}
  ${frozen(`${name}_continued`)}
  CREATE TRIGGER ${name}_no_replace BEFORE INSERT ON ${name}
    WHEN EXISTS (SELECT 1 FROM ${name} WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
`;
}

function frozen(name: string): string {
  return `CREATE TRIGGER ${name}_no_update BEFORE UPDATE ON ${name}
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
  CREATE TRIGGER ${name}_no_delete BEFORE DELETE ON ${name}
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;`;
}

/** The file is not ours to write; waiting does not change that. */
export class ForeignFileError extends Error {}

/** Creates the tables in an empty file. Throws `ForeignFileError` on a newer or foreign one. */
export function prepareSchema(db: Database.Database, path: string): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  const application = Number(db.pragma('application_id', { simple: true }));
  if (application === APPLICATION_ID && version === SCHEMA_VERSION) return;
  if (application === APPLICATION_ID && version > SCHEMA_VERSION) {
    throw new ForeignFileError(
      `\`${path}\` has ledger format ${String(version)}, this ratelord reads up to ${String(SCHEMA_VERSION)}: ` +
        'upgrade ratelord, or choose another data directory with --data',
    );
  }
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get();
  if (application !== 0 || version !== 0 || tables !== 0) {
    throw new ForeignFileError(
      `\`${path}\` is a database but not a ratelord ledger: move it away, or choose another data directory with --data`,
    );
  }
  db.exec(`BEGIN IMMEDIATE; ${BASE}
    PRAGMA application_id = ${String(APPLICATION_ID)};
    PRAGMA user_version = ${String(SCHEMA_VERSION)};
    COMMIT;`);
}
