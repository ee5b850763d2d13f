import { closeSync, copyFileSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, vi } from 'vitest';
import { Checkpointer } from '../../src/store/sqlite/checkpointer.ts';
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite/store.ts';
import { entry, seqs } from './entries.ts';
import { scratch } from './scratch.ts';

const here = scratch();
const MIB = 1 << 20;

function fill(store: SqliteStore, from: number, bytes: number): number {
  let seq = from;
  for (let written = 0; written < bytes; written += 5000) {
    store.append(entry(seq, { data: [String(seq).padEnd(5000, 'x')] }));
    seq += 1;
  }
  store.flush();
  return seq;
}
const logBytes = (): number => statSync(`${here().ledger}-wal`).size;

/** Lets timers come due until the worker has answered. */
const settle = (done: () => boolean): Promise<void> =>
  vi.waitFor(
    () => {
      here().time.advance(500);
      expect(done()).toBe(true);
    },
    { timeout: 10_000, interval: 20 },
  );

describe('the write-ahead log', () => {
  it('is copied by a worker, and begins anew once it is above its cap', async () => {
    const store = here().open({ walCapBytes: 2 * MIB });
    const next = fill(store, 1, 1.5 * MIB);
    expect(statSync(here().ledger).size).toBeLessThan(MIB);
    await settle(() => statSync(here().ledger).size > MIB);
    expect(logBytes()).toBeGreaterThan(MIB);
    const end = fill(store, next, 2 * MIB);
    await settle(() => logBytes() === 0);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(store.read({ limit: 9999 })).toHaveLength(end - 1);
    store.close();
    expect(() => logBytes()).toThrow('ENOENT');
  });

  it('stays bounded when no timer gets a turn', () => {
    const store = here().open({ walCapBytes: MIB });
    for (let seq = 1; seq <= 2048; seq += 1) {
      store.append(entry(seq, { data: [String(seq).padEnd(9000, 'x')] }));
      store.flush();
    }
    expect(store.peakLogBytes).toBeGreaterThan(4 * MIB);
    // Above four times the cap it is cut at the next look, 512 commits of some 16 KiB later.
    expect(logBytes()).toBeLessThan(16 * MIB);
    expect(statSync(here().ledger).size).toBeGreaterThan(8 * MIB);
  });

  it('is left to the writer when the worker cannot run', async () => {
    writeFileSync(join(here().path, 'other-wal'), Buffer.alloc(2 * MIB));
    let truncated = 0;
    const checkpointer = new Checkpointer({
      path: join(here().path, 'other'),
      scheduler: here().time,
      capBytes: 64 * MIB,
      truncate: () => (truncated += 1),
    });
    await settle(() => {
      checkpointer.wrote();
      return truncated > 0;
    });
    expect(checkpointer.stop()).toBe(true);
  });

  it('of a fresh ledger outlives the one that was put aside under a running worker', async () => {
    const store = here().open({
      walCapBytes: MIB,
      tune: (db) => void db.pragma('cache_size = 5'),
    });
    const next = fill(store, 1, 2 * MIB);
    await settle(() => logBytes() === 0);
    const file = openSync(here().ledger, 'r+');
    writeSync(file, Buffer.alloc(MIB, 0xa5), 0, MIB, 4096 * 30);
    closeSync(file);
    store.replay(0, () => undefined);
    expect(here().codes()).toEqual(['RL_LEDGER_SET_ASIDE']);
    store.append(entry(next));
    store.flush();
    // As a crash would leave it: only what is in the files now.
    for (const suffix of ['', '-wal']) {
      copyFileSync(here().ledger + suffix, join(here().path, `crashed.db${suffix}`));
    }
    const crashed = openSqliteStore({ path: join(here().path, 'crashed.db'), clock: here().time });
    if (!crashed.ok) throw new Error(crashed.message);
    expect(seqs(crashed.store.read({ limit: 9 }))).toEqual([next]);
    crashed.store.close();
    const db = new Database(here().ledger);
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    db.close();
  });
});
