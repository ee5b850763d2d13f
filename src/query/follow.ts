import type { LedgerEvent } from '../core/ledger/event.ts';
import type { Seq } from '../core/units.ts';
import { pageAfter, selectEvents, type EventFilter } from './events.ts';
import type { LedgerReader } from './ports.ts';

/** Where followed events go. */
export interface EventSink {
  /** Takes events; `false` = full, and `resume` will be called when it is not. */
  write(events: readonly LedgerEvent[]): boolean;
}

export interface Following {
  /** The sink has room again, or it is time to look (also without a commit). */
  resume(): void;
  stop(): void;
}

/**
 * Delivers every wanted event after a sequence number, then what comes, each once and in order.
 *
 * There is one cursor and the ledger is read from it: a commit only says that there is more. So
 * nothing can be lost or repeated between the replayed and the live part, and a slow sink holds
 * back the cursor, not a growing queue. When the sink is at the end of the ledger, a commit that
 * continues exactly there is used directly instead of being read back.
 */
export function followEvents(
  reader: LedgerReader,
  filter: EventFilter,
  after: Seq,
  sink: EventSink,
  defer: (next: () => void) => void,
): Following {
  let cursor = after;
  let stopped = false;
  let full = false;
  let scheduled = false;

  const pump = (): void => {
    scheduled = false;
    if (stopped || full) return;
    // Taken before reading: whatever is visible up to here is in the page, if it is wanted at all.
    const [newest] = reader.store.read({ newest: true, limit: 1 });
    const horizon = newest === undefined ? 0 : newest.seq + newest.count - 1;
    const page = pageAfter(reader, filter, cursor);
    cursor = page.more ? page.scannedTo : Math.max(page.scannedTo, horizon);
    deliver(page.events);
    if (page.more) schedule();
  };
  const schedule = (): void => {
    if (scheduled || stopped || full) return;
    scheduled = true;
    defer(pump);
  };
  const deliver = (events: readonly LedgerEvent[]): void => {
    if (events.length > 0 && !sink.write(events)) full = true;
  };
  const unsubscribe = reader.store.onCommit((entries) => {
    if (stopped || full || scheduled) return;
    let next = cursor;
    for (const entry of entries) {
      if (entry.seq > next + 1) return schedule();
      next = Math.max(next, entry.seq + entry.count - 1);
    }
    const events = selectEvents(reader, entries, filter, cursor);
    cursor = next;
    deliver(events);
  });
  schedule();
  return {
    resume() {
      full = false;
      schedule();
    },
    stop() {
      stopped = true;
      unsubscribe();
    },
  };
}
