/** What is wrong with the ledger's file, and whether waiting can help. */
export interface Fault {
  /**
   * wait: the connection is sound. reopen: it may not be. corrupt: the file is not. entry: it is
   * what was to be written that is wrong.
   */
  readonly kind: 'wait' | 'reopen' | 'corrupt' | 'entry';
  readonly reason: string;
}

/** A row that SQLite finds in order and that is not what was written: pages carry no checksums. */
export class DamagedRowError extends Error {}

/** By the primary code, https://www.sqlite.org/rescode.html; extended ones begin with it. */
const FAULTS: readonly (readonly [code: string, kind: Fault['kind'], words: string])[] = [
  ['SQLITE_FULL', 'wait', 'the disk is full'],
  ['SQLITE_BUSY', 'wait', 'another process holds the ledger locked'],
  ['SQLITE_LOCKED', 'wait', 'another process holds the ledger locked'],
  ['SQLITE_READONLY', 'reopen', 'the ledger is read-only'],
  ['SQLITE_PERM', 'reopen', 'the ledger may not be opened'],
  ['SQLITE_AUTH', 'reopen', 'the ledger may not be opened'],
  ['SQLITE_CANTOPEN', 'reopen', 'the ledger cannot be opened'],
  ['SQLITE_CORRUPT', 'corrupt', 'the ledger is corrupt'],
  ['SQLITE_NOTADB', 'corrupt', 'the ledger is corrupt'],
  ['SQLITE_CONSTRAINT', 'entry', 'an entry does not fit the ledger'],
  ['SQLITE_MISMATCH', 'entry', 'an entry does not fit the ledger'],
  ['SQLITE_RANGE', 'entry', 'an entry does not fit the ledger'],
  ['SQLITE_TOOBIG', 'entry', 'an entry is too large'],
  ['SQLITE_IOERR', 'reopen', 'the disk fails'],
];

export function faultOf(error: unknown): Fault {
  if (error instanceof DamagedRowError) return { kind: 'corrupt', reason: error.message };
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const known = FAULTS.find(([prefix]) => code.startsWith(prefix));
  if (known === undefined) {
    const kind = code.startsWith('SQLITE_') ? 'reopen' : 'entry';
    return { kind, reason: `the ledger fails: ${message}` };
  }
  return { kind: known[1], reason: `${known[2]} (${code})` };
}
