import Database from 'better-sqlite3';
import type { GapReason } from '../../core/ports.ts';
import type { EpochMs, Seq } from '../../core/units.ts';
import { messageOf, type StoreNotice } from '../notice.ts';
import type { Scheduler } from '../scheduler.ts';
import { Checkpointer } from './checkpointer.ts';
import { type Fault, faultOf } from './faults.ts';
import { LedgerFile } from './ledger-file.ts';
import { ForeignFileError } from './schema.ts';
import { SegmentTable } from './segments.ts';
import { setAside } from './set-aside.ts';

export interface AttachmentOptions {
  readonly path: string;
  readonly scheduler: Scheduler;
  readonly now: () => EpochMs;
  readonly onNotice: (notice: StoreNotice) => void;
  readonly onCheckpointFault: (error: unknown) => void;
  readonly walCapBytes: number;
  readonly tune: ((db: Database.Database) => void) | undefined;
}

/** Numbering may go on after `lastSeq`, even when the file could not be read. */
export interface Opened {
  readonly fault: Fault | null;
  readonly lastSeq: Seq;
  /** Why there will be a gap before the next entry, when there will. */
  readonly gapReason: GapReason | null;
}

/** The ledger's file while there is one: opens it, puts a corrupt one aside, closes it. */
export class Attachment {
  readonly #options: AttachmentOptions;
  #file: LedgerFile | null = null;
  #checkpointer: Checkpointer | null = null;
  #opens = 0;
  /** A fresh file that is corrupt at once is not put aside too. */
  #replacing = false;
  #peak = 0;

  constructor(options: AttachmentOptions) {
    this.#options = options;
  }

  get file(): LedgerFile | null {
    return this.#file;
  }

  get peakLogBytes(): number {
    return Math.max(this.#peak, this.#checkpointer?.peakBytes ?? 0);
  }

  /** Throws `ForeignFileError` the first time only; later it is a fault like another. */
  open(waitMs: number): Opened {
    const { path, walCapBytes, tune } = this.#options;
    this.#opens += 1;
    try {
      const file = new LedgerFile({
        path,
        waitMs,
        journalLimitBytes: Math.ceil(walCapBytes / 4),
        ...(tune && { tune }),
      });
      this.#file = file;
      this.#checkpointer = this.#newCheckpointer(file);
      const lastSeq = Math.max(file.lastSeq, file.snapshots.lastSeq());
      return { fault: null, lastSeq, gapReason: null };
    } catch (error) {
      this.detach();
      if (error instanceof ForeignFileError && this.#opens === 1) throw error;
      const fault = faultOf(error);
      if (fault.kind !== 'corrupt' || this.#replacing) {
        return { fault, lastSeq: this.#floor(), gapReason: 'unread' };
      }
      const lastSeq = salvageLastSeq(path) ?? this.#floor();
      return { ...this.replace(fault), lastSeq, gapReason: 'set_aside' };
    }
  }

  /** Puts the file aside and begins a fresh one. */
  replace(fault: Fault): Opened {
    const nothing = { lastSeq: 0, gapReason: null };
    if (!this.detach()) return { ...nothing, fault };
    const { path, now, onNotice } = this.#options;
    let aside: string;
    try {
      aside = setAside(path, now());
    } catch (error) {
      const reason = `${fault.reason} and cannot be put aside: ${messageOf(error)}`;
      return { ...nothing, fault: { kind: 'reopen', reason } };
    }
    const message = `${fault.reason}: it was put aside as \`${aside}\`, a fresh one begins`;
    onNotice({ code: 'RL_LEDGER_SET_ASIDE', message });
    this.#replacing = true;
    const opened = this.open(0);
    this.#replacing = false;
    return opened;
  }

  /** Call after each commit. */
  wrote(): void {
    this.#checkpointer?.wrote();
  }

  /** Closes without writing. False when a checkpoint still uses the file. */
  detach(): boolean {
    const stopped = this.#checkpointer?.stop() ?? true;
    this.#peak = this.peakLogBytes;
    this.#checkpointer = null;
    const file = this.#file;
    this.#file = null;
    try {
      file?.close();
    } catch {
      // A connection that cannot even be closed is given up; the process's end closes it.
    }
    return stopped;
  }

  close(): void {
    this.detach();
  }

  #newCheckpointer(file: LedgerFile): Checkpointer {
    return new Checkpointer({
      path: this.#options.path,
      scheduler: this.#options.scheduler,
      capBytes: this.#options.walCapBytes,
      truncate: () => {
        try {
          file.checkpoint('TRUNCATE');
        } catch (error) {
          this.#options.onCheckpointFault(error);
        }
      },
    });
  }

  /**
   * Where numbering goes on when the last number is not known. Above all it can be: a thousand
   * times the time in milliseconds is passed only by more than a million events a second, and stays
   * a safe integer until the year 2255.
   */
  #floor(): Seq {
    return this.#options.now() * 1000;
  }
}

/** The last number a corrupt file still tells. */
function salvageLastSeq(path: string): Seq | null {
  let db: Database.Database | null = null;
  try {
    db = new Database(path, { readonly: true });
    const lastSeq = new SegmentTable(db).lastSeq();
    return lastSeq === 0 ? null : lastSeq;
  } catch {
    return null;
  } finally {
    db?.close();
  }
}
