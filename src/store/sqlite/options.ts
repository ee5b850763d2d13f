import type Database from 'better-sqlite3';
import type { Clock } from '../../core/ports.ts';
import type { StoreNotice } from '../notice.ts';
import type { Scheduler } from '../scheduler.ts';

export interface SqliteStoreOptions {
  /** The ledger's file; made when missing. Its directory must exist. */
  readonly path: string;
  readonly clock: Clock;
  readonly scheduler?: Scheduler;
  readonly onNotice?: (notice: StoreNotice) => void;
  /** Entries kept while the file cannot be written; the oldest go first. Default 100,000. */
  readonly maxQueued?: number;
  /** Size of the write-ahead log above which the writer itself makes it start over. Default 64 MiB. */
  readonly walCapBytes?: number;
  /** How long opening waits for a lock, blocking. Default 2,000. */
  readonly openWaitMs?: number;
  /** Applied to every connection that writes. */
  readonly tune?: (db: Database.Database) => void;
}
