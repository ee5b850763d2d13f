import type { EventType, LedgerEvent } from '../core/ledger/event.ts';
import type { Entry } from '../core/ledger/entry.ts';
import type { EntryQuery } from '../core/ports.ts';
import type { EpochMs, Seq } from '../core/units.ts';
import type { LedgerReader } from './ports.ts';

/** What a reader wants; every absent member means any. Ids are exact. */
export interface EventFilter {
  readonly types?: ReadonlySet<EventType>;
  readonly agent?: string;
  readonly identity?: string;
  readonly provider?: string;
  /** Events about this pool, and decisions that drew on it. */
  readonly pool?: string;
  readonly since?: EpochMs;
  /** Exclusive. */
  readonly until?: EpochMs;
}

export const MAX_EVENTS = 1000;

/** Entries read in one go: bounds how long a rare filter may hold the event loop. */
const PAGE_ENTRIES = 500;

function storeQuery(filter: EventFilter): Omit<EntryQuery, 'limit'> {
  const { agent, identity, provider, pool, since, until } = filter;
  return {
    ...(agent !== undefined && { agent }),
    ...(identity !== undefined && { identity }),
    ...(provider !== undefined && { provider }),
    ...(pool !== undefined && { pool }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  };
}

/** What the store cannot tell by the entry: types, and which of its pools an event is about. */
function wanted(event: LedgerEvent, filter: EventFilter): boolean {
  if (filter.types !== undefined && !filter.types.has(event.type)) return false;
  const pool = event.pool_id;
  return filter.pool === undefined || pool === undefined || pool === filter.pool;
}

function entryWanted(entry: Entry, filter: EventFilter): boolean {
  const { who } = entry;
  return (
    (filter.agent === undefined || who.agent === filter.agent) &&
    (filter.identity === undefined || who.identity === filter.identity) &&
    (filter.provider === undefined || who.provider === filter.provider) &&
    (filter.pool === undefined || entry.pools.includes(filter.pool)) &&
    (filter.since === undefined || entry.at >= filter.since) &&
    (filter.until === undefined || entry.at < filter.until)
  );
}

function lastSeqOf(entry: Entry): Seq {
  return entry.seq + entry.count - 1;
}

/** The events of `entries` that are wanted and come after `after`. */
export function selectEvents(
  reader: LedgerReader,
  entries: readonly Entry[],
  filter: EventFilter,
  after: Seq,
): LedgerEvent[] {
  const found: LedgerEvent[] = [];
  for (const entry of entries) {
    if (lastSeqOf(entry) <= after || !entryWanted(entry, filter)) continue;
    for (const event of reader.expand(entry)) {
      if (event.seq > after && wanted(event, filter)) found.push(event);
    }
  }
  return found;
}

export interface EventPage {
  readonly events: readonly LedgerEvent[];
  /** Everything up to here was looked at; continue after it. */
  readonly scannedTo: Seq;
  /** Whether more may follow now. */
  readonly more: boolean;
}

/** One bounded step forward through the ledger. */
export function pageAfter(
  reader: LedgerReader,
  filter: EventFilter,
  after: Seq,
  limit: number = PAGE_ENTRIES,
): EventPage {
  const entries = reader.store.read({ ...storeQuery(filter), after, limit });
  const last = entries.at(-1);
  return {
    events: selectEvents(reader, entries, filter, after),
    scannedTo: last === undefined ? after : Math.max(after, lastSeqOf(last)),
    more: entries.length >= limit,
  };
}

export interface ListOptions {
  /** Only events after this sequence number, oldest first; absent = the newest `limit`. */
  readonly after?: Seq;
  /** 1 … `MAX_EVENTS`. */
  readonly limit: number;
  /** Called between pages, so that a long scan lets others run; may throw to give up. */
  readonly pause: () => Promise<void>;
}

/** Ascending by `seq`. What was answered before the call is in it: the store is flushed first. */
export async function listEvents(
  reader: LedgerReader,
  filter: EventFilter,
  options: ListOptions,
): Promise<readonly LedgerEvent[]> {
  reader.store.flush();
  return options.after === undefined
    ? newestEvents(reader, filter, options)
    : eventsAfter(reader, filter, options.after, options);
}

async function eventsAfter(
  reader: LedgerReader,
  filter: EventFilter,
  after: Seq,
  { limit, pause }: ListOptions,
): Promise<readonly LedgerEvent[]> {
  const found: LedgerEvent[] = [];
  let cursor = after;
  for (;;) {
    const page = pageAfter(reader, filter, cursor);
    found.push(...page.events);
    if (found.length >= limit) return found.slice(0, limit);
    if (!page.more) return found;
    cursor = page.scannedTo;
    await pause();
  }
}

async function newestEvents(
  reader: LedgerReader,
  filter: EventFilter,
  { limit, pause }: ListOptions,
): Promise<readonly LedgerEvent[]> {
  const query = storeQuery(filter);
  const pages: (readonly LedgerEvent[])[] = [];
  let count = 0;
  let before: Seq | undefined;
  for (;;) {
    const entries = reader.store.read({
      ...query,
      ...(before !== undefined && { before }),
      limit: PAGE_ENTRIES,
      newest: true,
    });
    const events = selectEvents(reader, entries, filter, 0);
    pages.push(events);
    count += events.length;
    const first = entries[0];
    if (count >= limit || first === undefined || entries.length < PAGE_ENTRIES) break;
    before = first.seq;
    await pause();
  }
  return pages.reverse().flat().slice(-limit);
}
