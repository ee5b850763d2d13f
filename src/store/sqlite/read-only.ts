/** The ledger as a second process may read it while the first writes it. */
import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { Entry } from '../../core/ledger/entry.ts';
import type { Snapshot } from '../../core/ports.ts';
import type { EpochMs, Seq } from '../../core/units.ts';
import { messageOf } from '../notice.ts';
import { Selection } from '../selection.ts';
import { NameTable } from './names.ts';
import { LedgerReader } from './reader.ts';
import { prepareSchema } from './schema.ts';
import { SegmentTable } from './segments.ts';
import { SnapshotTable } from './snapshots.ts';

/** One moment of the ledger: what is written later does not show. */
export interface LedgerView {
  readonly lastSeq: Seq;
  /** First entry that is not older, or `null`. */
  firstSince(at: EpochMs): Entry | null;
  /** Everything after a sequence number up to another, ascending, in bounded memory. */
  between(after: Seq, upTo: Seq): Iterable<readonly Entry[]>;
  /** All entries of one request, ascending. */
  request(request: Seq): readonly Entry[];
  loadSnapshot(): Snapshot | null;
  close(): void;
}

export type LedgerViewResult =
  | { readonly ok: true; readonly view: LedgerView }
  | { readonly ok: false; readonly message: string };

export function openLedgerView(path: string): LedgerViewResult {
  if (!existsSync(path)) return { ok: false, message: `there is no ledger at \`${path}\` yet` };
  let db: Database.Database | null = null;
  try {
    db = new Database(path, { readonly: true, timeout: 2_000 });
    prepareSchema(db, path);
    return { ok: true, view: viewOf(db) };
  } catch (error) {
    db?.close();
    return { ok: false, message: `the ledger \`${path}\` cannot be read: ${messageOf(error)}` };
  }
}

function viewOf(db: Database.Database): LedgerView {
  db.exec('BEGIN');
  const segments = new SegmentTable(db);
  const snapshots = new SnapshotTable(db);
  const reader = new LedgerReader(segments, new NameTable(db));
  return {
    lastSeq: segments.lastSeq(),
    firstSince(since) {
      const query = { since, limit: 1 };
      const selection = new Selection(query);
      reader.select(query, selection);
      return selection.take()[0] ?? null;
    },
    between: (after, upTo) => reader.between(after, upTo),
    request: (request) => reader.request(request),
    loadSnapshot: () => snapshots.load(),
    close: () => void db.close(),
  };
}
