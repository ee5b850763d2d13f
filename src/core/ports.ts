import type { Entry } from './ledger/entry.ts';
import type { EpochMs, Instant, JsonValue, Seq } from './units.ts';

/** Both clocks. The real one is in compose; tests and the simulator bring their own. */
export interface Clock {
  now(): Instant;
}

/** The fold's state at a point of the ledger. `version` is the fold's; another one is ignored. */
export interface Snapshot {
  readonly version: number;
  readonly seq: Seq;
  readonly at: EpochMs;
  readonly state: JsonValue;
}

/** What a reader of the ledger may ask. All filters are exact ids; `pool` matches `entry.pools`. */
export interface EntryQuery {
  /** Entries that hold at least one event with a sequence number above this. */
  readonly after?: Seq;
  /** With `newest`, only entries that begin before this sequence number. */
  readonly before?: Seq;
  readonly agent?: string;
  readonly identity?: string;
  readonly provider?: string;
  readonly pool?: string;
  readonly since?: EpochMs;
  readonly until?: EpochMs;
  /** At most this many entries, in ascending `seq`. The cut never splits what sorts before it. */
  readonly limit: number;
  /** Take the newest instead of the oldest that match (still answered ascending). */
  readonly newest?: boolean;
}

export type StoreState =
  | { readonly state: 'ok' }
  /** Not writing; entries wait in memory up to a cap. `lost` counts those dropped beyond it. */
  | {
      readonly state: 'degraded';
      readonly reason: string;
      readonly since: EpochMs;
      readonly lost: number;
    };

export interface StoreStats {
  /** Age of the oldest entry that is not yet committed, milliseconds; 0 when none. */
  readonly lagMs: number;
  readonly queued: number;
  readonly committed: number;
  readonly lost: number;
  readonly lastSeq: Seq;
}

/** Append-only record of entries. Implementations: sqlite, memory. One suite runs over both. */
export interface LedgerStore {
  /** Queues an entry; returns at once, never throws. Committed within 10 ms while healthy. */
  append(entry: Entry): void;
  /** Commits what is queued now (a reader calls it, so that it sees what was answered before). */
  flush(): void;
  read(query: EntryQuery): Entry[];
  /** All entries of one request, ascending. */
  readRequest(request: Seq): Entry[];
  /** Streams every entry after a sequence number to `visit`, ascending, in bounded memory. */
  replay(after: Seq, visit: (entry: Entry) => void): void;
  loadSnapshot(): Snapshot | null;
  /** Stored in the same file; keeps the last two. Never throws. */
  saveSnapshot(snapshot: Snapshot): void;
  /** Calls back after each commit, with the entries committed. Returns the unsubscribe. */
  onCommit(listener: (entries: readonly Entry[]) => void): () => void;
  state(): StoreState;
  stats(): StoreStats;
  close(): void;
}

/** Sequence numbers that the ledger does not hold, though later ones follow: a fold must not trust
 * what it knew across one. Both ends inclusive. */
export interface LedgerGap {
  readonly first: Seq;
  readonly last: Seq;
  /** When it was recorded. */
  readonly at: EpochMs;
  readonly reason: GapReason;
}

export type GapReason =
  | 'overflow' // the ledger could not be written for so long that the oldest entries were dropped
  | 'set_aside' // a corrupt file was put aside; its entries are in there
  | 'unread' // the ledger could not be read at the start, so numbering began far above it
  | 'unwritable' // an entry that cannot be stored, a defect of whoever made it
  | 'skipped'; // whoever numbers the entries left these out

export type NameKind = 'agent' | 'identity' | 'workload' | 'scope' | 'provider' | 'pool';

/** A span of the ledger that is dropped or archived as a whole: one UTC day. */
export interface LedgerSegment {
  readonly name: string;
  readonly firstSeq: Seq;
  /** Start of its UTC day; entries that a clock set back made may be older. */
  readonly from: EpochMs;
  /** End of its UTC day, exclusive; no entry in it is younger. */
  readonly until: EpochMs;
  readonly current: boolean;
}

/** What is done to a ledger besides writing and reading it. */
export interface LedgerUpkeep {
  /** Recorded gaps, ascending, and the one that is not recorded yet for want of a disk. */
  gaps(): readonly LedgerGap[];
  /**
   * Replaces a name by `forgotten:<number>`, also where it is a part of a pool's id; entries keep
   * their numbers and need no rewriting. Returns how many names changed, `null` when the ledger
   * cannot be written now. Snapshots hold names too: save one afterwards, it replaces all older.
   */
  forget(kind: NameKind, text: string): number | null;
  listSegments(): readonly LedgerSegment[];
  /**
   * Drops the oldest segments that end at or before `at`, never the current one. Returns their
   * names. Take a snapshot first: what only they hold is gone from the fold.
   */
  dropSegmentsBefore(at: EpochMs): readonly string[];
}
