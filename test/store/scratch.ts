import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { StoreNotice } from '../../src/store/notice.ts';
import {
  openSqliteStore,
  type SqliteStore,
  type SqliteStoreOptions,
} from '../../src/store/sqlite/store.ts';
import { ManualTime } from './manual-time.ts';

/** A directory that goes with the test, and stores in it. */
export class Scratch {
  readonly path = mkdtempSync(join(tmpdir(), 'ratelord-store-'));
  readonly ledger = join(this.path, 'ledger.db');
  readonly time = new ManualTime();
  readonly notices: StoreNotice[] = [];
  readonly #stores: SqliteStore[] = [];

  open(more: Partial<SqliteStoreOptions> = {}): SqliteStore {
    const opened = openSqliteStore({
      path: this.ledger,
      clock: this.time,
      scheduler: this.time,
      onNotice: (notice) => void this.notices.push(notice),
      openWaitMs: 0,
      ...more,
    });
    if (!opened.ok) throw new Error(opened.message);
    this.#stores.push(opened.store);
    return opened.store;
  }

  codes(): string[] {
    return this.notices.map(({ code }) => code);
  }

  dispose(): void {
    for (const store of this.#stores) store.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Call at the top of a describe; a fresh one for each test, made when first asked for. */
export function scratch(): () => Scratch {
  let current: Scratch | null = null;
  afterEach(() => {
    current?.dispose();
    current = null;
  });
  return () => (current ??= new Scratch());
}
