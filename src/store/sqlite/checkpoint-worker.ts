/**
 * Copies the write-ahead log into the ledger, off the thread that serves requests: there each
 * checkpoint cost 5 to 8 ms. PASSIVE never holds the writer up (RESTART here stalled it for up to
 * 0.8 s). https://www.sqlite.org/wal.html#ckpt
 */
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

const { path, closed } = workerData as { readonly path: string; readonly closed: Int32Array };

function open(): Database.Database {
  try {
    const db = new Database(path, { fileMustExist: true, timeout: 0 });
    db.pragma('synchronous = NORMAL');
    return db;
  } catch (error) {
    tellClosed();
    throw error;
  }
}

function tellClosed(): void {
  Atomics.store(closed, 0, 1);
  Atomics.notify(closed, 0);
}

const db = open();

parentPort?.on('message', (message: 'checkpoint' | 'stop') => {
  if (message === 'stop') {
    try {
      db.close();
    } finally {
      tellClosed();
      parentPort?.close();
    }
    return;
  }
  let failed = '';
  try {
    db.pragma('wal_checkpoint(PASSIVE)');
  } catch (error) {
    failed = error instanceof Error ? error.message : String(error);
  }
  parentPort?.postMessage(failed);
});
