import type { Entry } from '../../../src/core/ledger/entry.ts';
import type { EventType, LedgerEvent } from '../../../src/core/ledger/event.ts';
import type { EntryQuery, StoreState } from '../../../src/core/ports.ts';
import type { JsonObject } from '../../../src/core/units.ts';
import type { LedgerReader } from '../../../src/query/ports.ts';

export const T0 = Date.UTC(2026, 10, 21, 1, 2, 3);

export interface Happening {
  readonly type: EventType;
  readonly payload?: JsonObject;
  readonly pool?: string;
}

export interface Scene {
  readonly at?: number;
  /** Index of the request's first entry in the ledger; absent = this entry begins one. */
  readonly request?: number;
  readonly agent?: string;
  readonly identity?: string;
  readonly provider?: string;
  readonly pools?: readonly string[];
}

/** A ledger in an array. Appended entries are queued until `flush`, as in the real ones. */
export class ListLedger implements LedgerReader {
  readonly committed: Entry[] = [];
  readonly queued: Entry[] = [];
  readonly listeners = new Set<(entries: readonly Entry[]) => void>();
  current: StoreState = { state: 'ok' };
  nextSeq = 1;
  reads = 0;

  append(happenings: readonly Happening[], scene: Scene = {}): Entry {
    const seq = this.nextSeq;
    this.nextSeq += happenings.length;
    const entry: Entry = {
      seq,
      count: happenings.length,
      at: scene.at ?? T0 + seq,
      kind: 'event',
      request: scene.request ?? seq,
      who: {
        agent: scene.agent ?? 'crawler-01',
        identity: scene.identity ?? 'gh-ci',
        workload: 'sentinel:unknown',
        scope: 'repo:acme/widgets',
        provider: scene.provider ?? 'github',
      },
      pools: scene.pools ?? [],
      data: happenings.map((h) => [h.type, h.payload ?? {}, h.pool ?? null]),
    };
    this.queued.push(entry);
    return entry;
  }

  readonly expand = (entry: Entry): readonly LedgerEvent[] =>
    entry.data.map((item, i) => {
      const [type, payload, pool] = item as [EventType, JsonObject, string | null];
      const seq = entry.seq + i;
      const time = new Date(entry.at).toISOString();
      const request = `rl_${entry.request.toString(36)}`;
      return {
        seq,
        event_id: `${request}.${String(seq)}`,
        type,
        schema_version: 1,
        ts_event: time,
        ts_ingest: time,
        agent_id: entry.who.agent,
        identity_id: entry.who.identity,
        workload_id: entry.who.workload,
        scope_id: entry.who.scope,
        provider_id: entry.who.provider,
        ...(pool !== null && { pool_id: pool }),
        correlation_id: request,
        causation_id: request,
        payload,
      };
    });

  readonly store: LedgerReader['store'] = {
    flush: () => this.flush(),
    read: (query) => this.read(query),
    readRequest: (request) => this.committed.filter((e) => e.request === request),
    onCommit: (listener) => {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    },
    state: () => this.current,
    stats: () => ({
      lagMs: 0,
      queued: this.queued.length,
      committed: this.committed.length,
      lost: 0,
      lastSeq: this.nextSeq - 1,
    }),
  };

  flush(): void {
    if (this.current.state !== 'ok' || this.queued.length === 0) return;
    const batch = this.queued.splice(0);
    this.committed.push(...batch);
    for (const listener of this.listeners) listener(batch);
  }

  private read(query: EntryQuery): Entry[] {
    this.reads += 1;
    const found = this.committed.filter(
      (e) =>
        (query.after === undefined || e.seq + e.count - 1 > query.after) &&
        (query.before === undefined || e.seq < query.before) &&
        (query.agent === undefined || e.who.agent === query.agent) &&
        (query.identity === undefined || e.who.identity === query.identity) &&
        (query.provider === undefined || e.who.provider === query.provider) &&
        (query.pool === undefined || e.pools.includes(query.pool)) &&
        (query.since === undefined || e.at >= query.since) &&
        (query.until === undefined || e.at < query.until),
    );
    return query.newest === true ? found.slice(-query.limit) : found.slice(0, query.limit);
  }
}
