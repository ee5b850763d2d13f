import type { Entry } from '../core/ledger/entry.ts';
import type {
  Clock,
  EntryQuery,
  LedgerGap,
  LedgerSegment,
  LedgerStore,
  LedgerUpkeep,
  NameKind,
  Snapshot,
  StoreState,
  StoreStats,
} from '../core/ports.ts';
import { DAY, type EpochMs, type MonoMs, type Seq } from '../core/units.ts';
import { defectOf } from './acceptance.ts';
import { Announcer } from './announcer.ts';
import { forgottenName, replacePart } from './forgotten.ts';
import { messageOf, type StoreNotice } from './notice.ts';
import { realScheduler, type Scheduler } from './scheduler.ts';
import { Selection } from './selection.ts';

const COMMIT_AFTER_MS = 6;

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly scheduler?: Scheduler;
  readonly onNotice?: (notice: StoreNotice) => void;
}

/** A ledger that ends with the process, for tests and the simulator: it keeps everything. */
export class MemoryStore implements LedgerStore, LedgerUpkeep {
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #notify: (notice: StoreNotice) => void;
  readonly #announcer: Announcer;
  #entries: Entry[] = [];
  #pending: Entry[] = [];
  #pendingSince: MonoMs = 0;
  #snapshots: Snapshot[] = [];
  #snapshotsVoid = false;
  #gaps: LedgerGap[] = [];
  #days: { readonly day: number; readonly firstSeq: Seq }[] = [];
  #cancelCommit: (() => void) | null = null;
  #lastSeq: Seq = 0;
  #committed = 0;
  #lost = 0;
  #forgotten = 0;
  #closed = false;

  constructor(options: MemoryStoreOptions) {
    this.#clock = options.clock;
    this.#scheduler = options.scheduler ?? realScheduler;
    this.#notify = options.onNotice ?? (() => undefined);
    this.#announcer = new Announcer((error) => {
      this.#notify({ code: 'RL_LEDGER_LISTENER', message: messageOf(error) });
    });
  }

  append(entry: Entry): void {
    const defect = this.#closed ? 'the ledger is closed' : defectOf(entry, this.#lastSeq);
    if (defect !== null) {
      this.#lost += 1;
      this.#notify({ code: 'RL_LEDGER_LOST', message: `1 not recorded: ${defect}` });
      return;
    }
    const now = this.#clock.now();
    if (this.#pending.length === 0) this.#pendingSince = now.mono;
    if (entry.seq > this.#lastSeq + 1) {
      const first = this.#lastSeq + 1;
      this.#gaps.push({ first, last: entry.seq - 1, at: now.wall, reason: 'skipped' });
    }
    this.#lastSeq = entry.seq + entry.count - 1;
    this.#pending.push(entry);
    this.#cancelCommit ??= this.#scheduler.after(COMMIT_AFTER_MS, () => this.flush());
  }

  flush(): void {
    this.#cancelCommit?.();
    this.#cancelCommit = null;
    const batch = this.#pending;
    if (batch.length === 0) return;
    this.#pending = [];
    for (const entry of batch) {
      const day = Math.floor(entry.at / DAY);
      if (day > (this.#days.at(-1)?.day ?? -1)) this.#days.push({ day, firstSeq: entry.seq });
      this.#entries.push(entry);
    }
    this.#committed += batch.length;
    this.#announcer.announce(batch);
  }

  read(query: EntryQuery): Entry[] {
    this.flush();
    const selection = new Selection(query);
    selection.feed(this.#entries);
    return selection.take();
  }

  readRequest(request: Seq): Entry[] {
    this.flush();
    return request === 0 ? [] : this.#entries.filter((entry) => entry.request === request);
  }

  replay(after: Seq, visit: (entry: Entry) => void): void {
    this.flush();
    const held = this.#entries.filter((entry) => entry.seq + entry.count - 1 > after);
    for (const entry of held) visit(entry);
  }

  loadSnapshot(): Snapshot | null {
    return this.#snapshots.at(-1) ?? null;
  }

  saveSnapshot(snapshot: Snapshot): void {
    this.flush();
    const older = this.#snapshotsVoid ? [] : this.#snapshots;
    this.#snapshotsVoid = false;
    this.#snapshots = [...older.filter(({ seq }) => seq !== snapshot.seq), snapshot]
      .sort((a, b) => a.seq - b.seq)
      .slice(-2);
  }

  onCommit(listener: (entries: readonly Entry[]) => void): () => void {
    return this.#announcer.subscribe(listener);
  }

  state(): StoreState {
    return { state: 'ok' };
  }

  stats(): StoreStats {
    const queued = this.#pending.length;
    return {
      lagMs: queued === 0 ? 0 : this.#clock.now().mono - this.#pendingSince,
      queued,
      committed: this.#committed,
      lost: this.#lost,
      lastSeq: this.#lastSeq,
    };
  }

  gaps(): readonly LedgerGap[] {
    return this.#gaps;
  }

  forget(kind: NameKind, text: string): number | null {
    this.flush();
    const changed = new Set<string>();
    const replacement = forgottenName(this.#forgotten + 1);
    const pool = (id: string): string => {
      const whole = kind === 'pool' && id === text ? replacement : null;
      const renamed = whole ?? replacePart(id, text, replacement);
      return renamed ?? id;
    };
    const held = (entry: Entry): boolean =>
      kind === 'pool' ? entry.pools.includes(text) : entry.who[kind] === text;
    if (!this.#entries.some(held)) return 0;
    this.#entries = this.#entries.map((entry) => {
      const { who } = entry;
      for (const id of entry.pools) if (pool(id) !== id) changed.add(id);
      return {
        ...entry,
        who: kind !== 'pool' && who[kind] === text ? { ...who, [kind]: replacement } : who,
        pools: entry.pools.map(pool),
      };
    });
    this.#forgotten += 1;
    this.#snapshotsVoid = this.#snapshots.length > 0;
    return changed.size + (kind === 'pool' ? 0 : 1);
  }

  listSegments(): readonly LedgerSegment[] {
    return this.#days.map(({ day, firstSeq }, index) => ({
      name: `entries_${new Date(day * DAY).toISOString().slice(0, 10).replaceAll('-', '')}`,
      firstSeq,
      from: day * DAY,
      until: (day + 1) * DAY,
      current: index === this.#days.length - 1,
    }));
  }

  dropSegmentsBefore(at: EpochMs): readonly string[] {
    const segments = this.listSegments();
    const keep = segments.findIndex(({ current, until }) => current || until > at);
    const dropped = segments.slice(0, Math.max(keep, 0));
    this.#days = this.#days.slice(dropped.length);
    const first = this.#days[0]?.firstSeq ?? 0;
    this.#entries = this.#entries.filter(({ seq }) => seq >= first);
    return dropped.map(({ name }) => name);
  }

  close(): void {
    this.flush();
    this.#closed = true;
  }
}
