import type { Entry } from '../../core/ledger/entry.ts';
import type {
  Clock,
  EntryQuery,
  GapReason,
  LedgerGap,
  LedgerSegment,
  LedgerStore,
  LedgerUpkeep,
  NameKind,
  Snapshot,
  StoreState,
  StoreStats,
} from '../../core/ports.ts';
import type { EpochMs, Seq } from '../../core/units.ts';
import { defectOf } from '../acceptance.ts';
import { Announcer } from '../announcer.ts';
import { Lateness } from '../lateness.ts';
import { messageOf, type StoreNotice } from '../notice.ts';
import { Pending } from '../pending.ts';
import { realScheduler, type Scheduler } from '../scheduler.ts';
import { Selection } from '../selection.ts';
import { Attachment } from './attachment.ts';
import { type Fault, faultOf } from './faults.ts';
import type { LedgerFile } from './ledger-file.ts';
import type { SqliteStoreOptions } from './options.ts';
import { ForeignFileError } from './schema.ts';

/** Commits are at most 10 ms behind; timers fire late by a turn of the event loop. */
const COMMIT_AFTER_MS = 6;
/** Entries in a transaction, some 64 requests: more held the thread longer, at p99. */
const BATCH_ENTRIES = 192;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

export type { SqliteStoreOptions };

export type OpenedStore =
  | { readonly ok: true; readonly store: SqliteStore }
  /** The file is another program's or a newer ratelord's. */
  | { readonly ok: false; readonly message: string };

/** A ledger that cannot be opened for any other reason yields a store that is degraded and retries. */
export function openSqliteStore(options: SqliteStoreOptions): OpenedStore {
  try {
    return { ok: true, store: new SqliteStore(options) };
  } catch (error) {
    if (error instanceof ForeignFileError) return { ok: false, message: error.message };
    throw error;
  }
}

/**
 * The ledger on disk. Entries wait in memory for at most 10 ms, then are written in one transaction
 * on this thread (a worker gains nothing: cloning costs what inserting does). Whatever is wrong
 * with the file, nothing throws: entries go on waiting, up to a cap, and it is tried again.
 */
export class SqliteStore implements LedgerStore, LedgerUpkeep {
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #notify: (notice: StoreNotice) => void;
  readonly #pending: Pending;
  readonly #announcer: Announcer;
  readonly #disk: Attachment;
  #fault: { readonly reason: string; readonly since: EpochMs } | null = null;
  #cancelCommit: (() => void) | null = null;
  #cancelRetry: (() => void) | null = null;
  #retryMs = FIRST_RETRY_MS;
  #closed = false;
  #lastSeq: Seq;
  #committed = 0;
  #lost = 0;
  /** Why numbers before the next written entry are missing, should they be. */
  #gapReason: GapReason = 'skipped';
  /** Entries to be written one by one, to find the one that cannot be. */
  #suspects = 0;
  readonly #lateness = new Lateness();

  /** Throws `ForeignFileError`; use `openSqliteStore`. */
  constructor(options: SqliteStoreOptions) {
    this.#clock = options.clock;
    this.#scheduler = options.scheduler ?? realScheduler;
    this.#notify = options.onNotice ?? (() => undefined);
    this.#pending = new Pending(options.maxQueued ?? 100_000);
    this.#announcer = new Announcer((error) => {
      this.#notify({ code: 'RL_LEDGER_LISTENER', message: messageOf(error) });
    });
    this.#disk = new Attachment({
      path: options.path,
      scheduler: this.#scheduler,
      now: () => this.#clock.now().wall,
      onNotice: this.#notify,
      onCheckpointFault: (error) => {
        this.#fail(error);
      },
      walCapBytes: options.walCapBytes ?? 64 << 20,
      tune: options.tune,
    });
    const opened = this.#disk.open(options.openWaitMs ?? 2_000);
    this.#lastSeq = opened.lastSeq;
    if (opened.gapReason !== null) this.#gapReason = opened.gapReason;
    if (opened.fault !== null) this.#degrade(opened.fault.reason);
  }

  append(entry: Entry): void {
    const defect = this.#closed ? 'the ledger is closed' : defectOf(entry, this.#lastSeq);
    if (defect !== null) {
      this.#lose(1, defect);
      return;
    }
    if (this.#pending.length === 0) this.#lateness.began(this.#clock.now().mono);
    this.#lastSeq = entry.seq + entry.count - 1;
    if (this.#pending.push(entry) > 0) {
      this.#lost += 1;
      this.#gapReason = 'overflow';
    }
    if (this.#fault === null) this.#commitIn(COMMIT_AFTER_MS);
  }

  flush(): void {
    while (this.#fault === null && this.#pending.length > 0) this.#commitBatch();
  }

  read(query: EntryQuery): Entry[] {
    this.flush();
    const selection = new Selection(query);
    const waiting = this.#pending.peek(this.#pending.length);
    if (query.newest === true) selection.feed(waiting);
    if (!selection.full) this.#onDisk((file) => file.reader.select(query, selection));
    if (query.newest !== true) selection.feed(waiting);
    return selection.take();
  }

  readRequest(request: Seq): Entry[] {
    if (request === 0) return [];
    this.flush();
    const found = this.#onDisk((file) => file.reader.request(request)) ?? [];
    const waiting = this.#pending.peek(this.#pending.length);
    return [...found, ...waiting.filter((entry) => entry.request === request)];
  }

  replay(after: Seq, visit: (entry: Entry) => void): void {
    this.flush();
    const waiting = this.#pending.peek(this.#pending.length);
    const batches = this.#disk.file?.reader.between(after, this.#lastSeq);
    // What `visit` throws is the caller's, not the disk's.
    for (;;) {
      const next = this.#onDisk(() => batches?.next());
      if (next?.done !== false) break;
      for (const entry of next.value) visit(entry);
    }
    for (const entry of waiting) if (entry.seq + entry.count - 1 > after) visit(entry);
  }

  loadSnapshot(): Snapshot | null {
    return this.#onDisk((file) => file.snapshots.load()) ?? null;
  }

  saveSnapshot(snapshot: Snapshot): void {
    this.flush();
    if (this.#fault !== null) return;
    this.#onDisk((file) => file.saveSnapshot(snapshot));
  }

  onCommit(listener: (entries: readonly Entry[]) => void): () => void {
    return this.#announcer.subscribe(listener);
  }

  state(): StoreState {
    if (this.#fault === null) return { state: 'ok' };
    return { state: 'degraded', ...this.#fault, lost: this.#lost };
  }

  stats(): StoreStats {
    const queued = this.#pending.length;
    return {
      lagMs: queued === 0 ? 0 : this.#lateness.ms(this.#clock.now().mono),
      queued,
      committed: this.#committed,
      lost: this.#lost,
      lastSeq: this.#lastSeq,
    };
  }

  gaps(): readonly LedgerGap[] {
    const gaps = this.#onDisk((file) => file.gaps()) ?? [];
    const written = this.#written();
    const first = this.#pending.first;
    if (this.#disk.file === null || first === undefined || first.seq <= written + 1) return gaps;
    const reason = this.#gapReason;
    return [
      ...gaps,
      { first: written + 1, last: first.seq - 1, at: this.#clock.now().wall, reason },
    ];
  }

  forget(kind: NameKind, text: string): number | null {
    this.flush();
    if (this.#fault !== null) return null;
    return this.#onDisk((file) => file.forget(kind, text));
  }

  listSegments(): readonly LedgerSegment[] {
    return this.#disk.file?.segments.list() ?? [];
  }

  dropSegmentsBefore(at: EpochMs): readonly string[] {
    return this.#onDisk((file) => file.dropSegmentsBefore(at)) ?? [];
  }

  /** Largest size the write-ahead log was seen at, bytes. */
  get peakLogBytes(): number {
    return this.#disk.peakLogBytes;
  }

  close(): void {
    if (this.#closed) return;
    // One last try, however long the next one was away.
    if (this.#fault !== null) this.#retry();
    this.flush();
    this.#closed = true;
    this.#cancelCommit?.();
    this.#cancelRetry?.();
    this.#disk.close();
    const left = this.#pending.length;
    if (left > 0) this.#lose(left, 'the ledger was closed while it could not be written');
    this.#pending.shift(left);
  }

  #commitIn(ms: number): void {
    this.#cancelCommit ??= this.#scheduler.after(ms, () => {
      this.#cancelCommit = null;
      this.#tick();
    });
  }

  /** One batch, then the event loop's other work, then the next. */
  #tick(): void {
    if (this.#closed || this.#pending.length === 0) return;
    const mono = this.#clock.now().mono;
    this.#commitBatch();
    const first = this.#pending.first;
    this.#lateness.committed(first, this.#lastSeq, mono);
    if (first === undefined || this.#fault !== null) return;
    // A listener that appended has asked for a later one.
    this.#cancelCommit?.();
    this.#cancelCommit = null;
    this.#commitIn(0);
  }

  #commitBatch(): void {
    const file = this.#disk.file;
    if (file === null) return;
    let batch = this.#pending.peek(this.#suspects > 0 ? 1 : BATCH_ENTRIES);
    batch = batch.slice(0, file.batchLength(batch));
    let unwritable: Entry[];
    try {
      unwritable = file.write(batch, this.#clock.now().wall, this.#gapReason);
    } catch (error) {
      this.#fail(error, batch.length);
      return;
    }
    if (this.#suspects > 0) this.#suspects -= 1;
    this.#gapReason = 'skipped';
    this.#disk.wrote();
    this.#recovered();
    this.#pending.shift(batch.length);
    for (const entry of unwritable) this.#lose(1, `entry ${String(entry.seq)} is not JSON`);
    this.#settled(unwritable.length === 0 ? batch : batch.filter((e) => !unwritable.includes(e)));
  }

  #settled(entries: readonly Entry[]): void {
    this.#committed += entries.length;
    if (entries.length > 0) this.#announcer.announce(entries);
  }

  /** Runs what may find the disk at fault; `null` then, and when there is no file. */
  #onDisk<T>(work: (file: LedgerFile) => T): T | null {
    const file = this.#disk.file;
    if (file === null) return null;
    try {
      return work(file);
    } catch (error) {
      this.#fail(error);
      return null;
    }
  }

  /** @param batchLength entries of the batch that failed; 0 when it was no write of entries. */
  #fail(error: unknown, batchLength = 0): void {
    const fault = this.#disk.file?.db.open === true ? faultOf(error) : REOPEN;
    if (fault.kind === 'entry') {
      this.#suspect(batchLength, error);
    } else if (fault.kind === 'corrupt') {
      this.#replaceFile(fault);
    } else {
      if (fault.kind === 'reopen') this.#disk.detach();
      this.#degrade(fault.reason);
    }
  }

  /** The disk is sound, an entry is not: found by writing them singly, and left out. */
  #suspect(batchLength: number, error: unknown): void {
    if (batchLength > 1) {
      this.#suspects = batchLength;
    } else if (batchLength === 1) {
      this.#pending.shift(1);
      this.#suspects = Math.max(0, this.#suspects - 1);
      this.#gapReason = 'unwritable';
      this.#lose(1, messageOf(error));
    } else {
      this.#notify({ code: 'RL_LEDGER_LOST', message: messageOf(error) });
    }
  }

  #replaceFile(fault: Fault): void {
    const opened = this.#disk.replace(fault);
    this.#gapReason = 'set_aside';
    if (opened.fault !== null) this.#degrade(opened.fault.reason);
    else if (this.#pending.length > 0) this.#commitIn(0);
  }

  #degrade(reason: string): void {
    if (this.#fault === null) {
      this.#notify({ code: 'RL_LEDGER_DEGRADED', message: `not recording to disk: ${reason}` });
    }
    this.#fault = { reason, since: this.#fault?.since ?? this.#clock.now().wall };
    this.#cancelCommit?.();
    this.#cancelCommit = null;
    if (this.#closed) return;
    this.#cancelRetry ??= this.#scheduler.after(this.#retryMs, () => {
      this.#cancelRetry = null;
      this.#retry();
    });
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  #retry(): void {
    if (this.#closed) return;
    if (this.#disk.file === null) {
      const opened = this.#disk.open(0);
      if (opened.gapReason !== null) this.#gapReason = opened.gapReason;
      if (opened.fault !== null) return this.#degrade(opened.fault.reason);
      this.#dropWritten(this.#written());
    }
    if (this.#pending.length === 0) this.#recovered();
    else this.#commitBatch();
    if (this.#fault === null && this.#pending.length > 0) this.#commitIn(0);
  }

  /** A commit that failed may have reached the disk all the same. */
  #dropWritten(lastSeq: Seq): void {
    const waiting = this.#pending.peek(this.#pending.length);
    const end = waiting.findIndex((entry) => entry.seq > lastSeq);
    const written = end < 0 ? waiting : waiting.slice(0, end);
    this.#pending.shift(written.length);
    this.#settled(written);
  }

  #recovered(): void {
    if (this.#fault === null) return;
    const lost = this.#lost === 0 ? '' : `, ${String(this.#lost)} entries were lost`;
    this.#fault = null;
    this.#retryMs = FIRST_RETRY_MS;
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#notify({ code: 'RL_LEDGER_RECOVERED', message: `recording to disk again${lost}` });
  }

  /** Last event on disk. */
  #written(): Seq {
    return this.#disk.file?.lastSeq ?? 0;
  }

  #lose(count: number, why: string): void {
    this.#lost += count;
    this.#notify({ code: 'RL_LEDGER_LOST', message: `${String(count)} not recorded: ${why}` });
  }
}

const REOPEN: Fault = { kind: 'reopen', reason: 'the ledger was closed' };
