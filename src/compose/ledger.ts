/** The ledger and what its fold gives back at a start. */
import { evolve } from '../core/governor/evolve.ts';
import { LOOK_BACK_EVENTS, LOOK_BACK_MS, Outlook } from '../core/governor/outlook.ts';
import { loadState, saveState } from '../core/governor/saved-state.ts';
import { EngineState } from '../core/governor/state.ts';
import { FOLD_VERSION } from '../core/ledger/layout.ts';
import type { Clock, LedgerStore } from '../core/ports.ts';
import type { EpochMs, JsonObject, Seq } from '../core/units.ts';

export interface Restored {
  readonly state: EngineState;
  /** What is to come of its pools, by what was asked of them in the last hours. */
  readonly outlook: Outlook;
  /** Entries folded on top of the snapshot. */
  readonly folded: number;
  readonly fromSnapshot: boolean;
}

/**
 * Snapshot, then every entry after it: the state as it was when the last entry was written.
 * @param now what was asked in the hours before is recalled as well
 */
export function restoreState(store: LedgerStore, now: EpochMs): Restored {
  const snapshot = store.loadSnapshot();
  const usable = snapshot !== null && snapshot.version === FOLD_VERSION;
  let state = new EngineState();
  let after: Seq = 0;
  let fromSnapshot = false;
  if (usable) {
    try {
      loadState(state, snapshot.state as JsonObject);
      after = snapshot.seq;
      fromSnapshot = true;
    } catch {
      // A damaged snapshot costs time, nothing else: fold from the beginning.
      state = new EngineState();
    }
  }
  let folded = 0;
  const outlook = new Outlook(state);
  outlook.recalling(true);
  const recalled = Math.max(seqAt(store, now - LOOK_BACK_MS), lastSeq(store) - LOOK_BACK_EVENTS);
  // What is asked lives longer than a snapshot takes to come round: entries before it count for that.
  store.replay(Math.max(0, Math.min(after, recalled)), (entry) => {
    if (entry.seq > after) {
      evolve(state, entry);
      folded += 1;
    }
    if (entry.seq > recalled) outlook.take(entry);
  });
  outlook.recalling(false);
  state.nextSeq = Math.max(state.nextSeq, lastSeq(store) + 1);
  return { state, outlook, folded, fromSnapshot };
}

function lastSeq(store: LedgerStore): Seq {
  return store.stats().lastSeq;
}

/** The last sequence number before that time. */
function seqAt(store: LedgerStore, at: EpochMs): Seq {
  const [first] = store.read({ since: at, limit: 1 });
  return first === undefined ? lastSeq(store) : first.seq - 1;
}

/** A start folds about this many entries at most, or what came in half a minute. */
const SNAPSHOT_EVERY_ENTRIES = 50_000;
const SNAPSHOT_EVERY_MS = 5 * 60_000;
/** However much happens: writing the state down holds the thread, longer the more pools there are. */
const SNAPSHOT_AT_MOST_EVERY_MS = 30_000;

export interface Snapshots {
  /** Writes one now, if anything happened since the last. */
  take(): void;
  /** The ledger lost what came before: only a snapshot still has it. */
  afterLoss(): void;
  close(): void;
}

/** Writes a snapshot of the fold every few minutes, or sooner when much happened. */
export function keepSnapshots(
  state: EngineState,
  store: LedgerStore,
  clock: Clock,
  everyEntries = SNAPSHOT_EVERY_ENTRIES,
): Snapshots {
  let entries = 0;
  let lost = 0;
  let takenMono = -Infinity;
  const take = (): void => {
    if (entries === 0) return;
    store.flush();
    if (store.state().state !== 'ok') return;
    entries = 0;
    const { wall, mono } = clock.now();
    takenMono = mono;
    store.saveSnapshot({
      version: FOLD_VERSION,
      seq: state.nextSeq - 1,
      at: wall,
      state: saveState(state, wall),
    });
  };
  const timer = setInterval(take, SNAPSHOT_EVERY_MS);
  timer.unref();
  const unsubscribe = store.onCommit((committed) => {
    entries += committed.length;
    const { lost: lostNow } = store.stats();
    // What was lost cannot be folded: only a snapshot carries it over, so that one is not put off.
    if (lostNow === lost) {
      if (entries < everyEntries) return;
      if (clock.now().mono - takenMono < SNAPSHOT_AT_MOST_EVERY_MS) return;
    }
    lost = lostNow;
    setImmediate(take);
  });
  return {
    take,
    afterLoss() {
      entries += 1;
      setImmediate(take);
    },
    close() {
      clearInterval(timer);
      unsubscribe();
    },
  };
}
