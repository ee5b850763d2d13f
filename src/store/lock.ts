import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

export type LockResult =
  | { readonly ok: true; release(): void }
  /** `pid` of the holder, as far as it could be told. */
  | { readonly ok: false; readonly pid: number | null };

/**
 * Holds a directory for this process. The lock is SQLite's exclusive lock on a file of its own, so
 * the kernel lets go of it when the process ends, however it ends; the number in `daemon.pid` only
 * says who holds it, and one left by a dead process means nothing. Throws when the directory cannot
 * be written.
 */
export function lockDirectory(directory: string): LockResult {
  const pidFile = join(directory, 'daemon.pid');
  const db = new Database(join(directory, 'lock.db'), { timeout: 0 });
  try {
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
      return { ok: false, pid: readPid(pidFile) };
    }
    throw error;
  }
  writeFileSync(pidFile, `${String(process.pid)}\n`, { mode: 0o600 });
  return {
    ok: true,
    release() {
      if (!db.open) return;
      // The number first: when it is gone, the next holder may already be writing its own.
      rmSync(pidFile, { force: true });
      db.close();
    },
  };
}

function readPid(pidFile: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
    return Number.isSafeInteger(pid) ? pid : null;
  } catch {
    return null;
  }
}
