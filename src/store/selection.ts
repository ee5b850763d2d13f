import type { EntryQuery } from '../core/ports.ts';
import type { Entry } from '../core/ledger/entry.ts';

/** Whether one entry answers a query; `limit` and `newest` are the reader's business. */
export function matches(query: EntryQuery, entry: Entry): boolean {
  const { after, before, since, until, agent, identity, provider, pool } = query;
  const { who } = entry;
  return (
    (after === undefined || entry.seq + entry.count - 1 > after) &&
    (before === undefined || entry.seq < before) &&
    (since === undefined || entry.at >= since) &&
    (until === undefined || entry.at < until) &&
    (agent === undefined || who.agent === agent) &&
    (identity === undefined || who.identity === identity) &&
    (provider === undefined || who.provider === provider) &&
    (pool === undefined || entry.pools.includes(pool))
  );
}

/** Collects what matches up to the query's limit; feed it in the order the query asks for. */
export class Selection {
  readonly #query: EntryQuery;
  readonly #found: Entry[] = [];

  constructor(query: EntryQuery) {
    this.#query = query;
  }

  get full(): boolean {
    return this.#found.length >= this.#query.limit;
  }

  /** Takes entries that are ascending among themselves; from their end when the newest are wanted. */
  feed(entries: readonly Entry[]): void {
    const step = this.#query.newest === true ? -1 : 1;
    let at = step > 0 ? 0 : entries.length - 1;
    for (; !this.full; at += step) {
      const entry = entries[at];
      if (entry === undefined) return;
      if (matches(this.#query, entry)) this.#found.push(entry);
    }
  }

  /** What was found, ascending. */
  take(): Entry[] {
    return this.#query.newest === true ? this.#found.toReversed() : this.#found;
  }
}
