import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/core/ledger/entry.ts';
import type { JsonValue } from '../../src/core/units.ts';
import { entry, seqs } from './entries.ts';
import { scratch } from './scratch.ts';

const here = scratch();

/** Entries that need some pages. */
const large = (seq: number): Entry => entry(seq, { data: [String(seq).padEnd(9000, 'x'), seq] });
const upTo = (n: number): number[] => Array.from({ length: n }, (_, k) => k + 1);
const asideNames = (): string[] =>
  readdirSync(here().path).filter((name) => name.includes('corrupt'));

describe('a full disk', () => {
  it('is waited out: what came meanwhile is read from memory and written when there is room', () => {
    let connection: Database.Database | null = null;
    const store = here().open({
      tune: (db) => {
        connection = db;
        db.pragma('max_page_count = 40');
      },
    });
    const told: number[] = [];
    store.onCommit((entries) => told.push(...seqs(entries)));
    for (const seq of upTo(100)) {
      store.append(large(seq));
      here().time.advance(10);
    }
    expect(store.state()).toMatchObject({
      state: 'degraded',
      reason: 'the disk is full (SQLITE_FULL)',
      lost: 0,
    });
    const { queued, committed, lagMs } = store.stats();
    expect(queued + committed).toBe(100);
    expect(queued).toBeGreaterThan(10);
    expect(lagMs).toBeGreaterThanOrEqual(queued * 10 - 10);
    expect(seqs(store.read({ limit: 200 }))).toEqual(upTo(100));
    expect(seqs(store.read({ limit: 3, newest: true }))).toEqual([98, 99, 100]);
    expect(seqs(store.readRequest(100))).toEqual([100]);
    expect(store.forget('agent', 'crawler-01')).toBeNull();
    store.saveSnapshot({ version: 1, seq: 100, at: 0, state: 1 });
    expect(store.loadSnapshot()).toBeNull();
    here().time.advance(60_000);
    expect(store.state().state).toBe('degraded');

    (connection as Database.Database | null)?.pragma('max_page_count = 4000');
    here().time.advance(5_000);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(store.stats()).toMatchObject({ queued: 0, committed: 100, lost: 0 });
    expect(told).toEqual(upTo(100));
    expect(store.gaps()).toEqual([]);
    expect(here().codes()).toEqual(['RL_LEDGER_DEGRADED', 'RL_LEDGER_RECOVERED']);
    store.close();
    const again = here().open();
    expect(seqs(again.read({ limit: 200 }))).toEqual(upTo(100));
    expect(again.read({ limit: 200, agent: 'crawler-01' })).toHaveLength(100);
  });

  it('costs the oldest entries when it lasts, and the ledger says which', () => {
    let connection: Database.Database | null = null;
    const store = here().open({ maxQueued: 5, tune: (db) => (connection = db) });
    store.append(entry(1));
    store.flush();
    (connection as Database.Database | null)?.pragma('max_page_count = 1');
    for (const seq of upTo(20).slice(1)) {
      store.append(large(seq));
      here().time.advance(10);
    }
    expect(store.state()).toMatchObject({ state: 'degraded', lost: 14 });
    expect(seqs(store.read({ limit: 99 }))).toEqual([1, 16, 17, 18, 19, 20]);
    expect(store.gaps()).toMatchObject([{ first: 2, last: 15, reason: 'overflow' }]);
    (connection as Database.Database | null)?.pragma('max_page_count = 4000');
    here().time.advance(5_000);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(seqs(store.read({ limit: 99 }))).toEqual([1, 16, 17, 18, 19, 20]);
    store.close();
    expect(here().open().gaps()).toMatchObject([{ first: 2, last: 15, reason: 'overflow' }]);
  });

  it('does not spoil names that were new in the transaction that failed', () => {
    let connection: Database.Database | null = null;
    const store = here().open({ tune: (db) => (connection = db) });
    store.append(entry(1));
    store.flush();
    (connection as Database.Database | null)?.pragma('max_page_count = 1');
    store.append(entry(2, { pools: ['new'], data: ['x'.repeat(90_000)] }));
    store.flush();
    expect(store.state().state).toBe('degraded');
    (connection as Database.Database | null)?.pragma('max_page_count = 4000');
    here().time.advance(5_000);
    store.append(entry(3, { pools: ['newer'] }));
    store.close();
    expect(
      here()
        .open()
        .read({ limit: 9 })
        .map(({ pools }) => pools),
    ).toEqual([['github/core/gh-ci'], ['new'], ['newer']]);
  });
});

describe('a transaction that failed', () => {
  it('leaves no wrong idea of the order of times, nor of segments', () => {
    let connection: Database.Database | null = null;
    const store = here().open({ tune: (db) => (connection = db) });
    const noon = here().time.wall;
    const day = 86_400_000;
    const huge = { data: ['x'.repeat(90_000)] };
    store.append(entry(1, { at: noon + 500 }));
    store.flush();
    (connection as Database.Database | null)?.pragma('max_page_count = 1');
    store.append(entry(2, { at: noon + 100, ...huge }));
    store.append(entry(3, { at: noon + day, ...huge }));
    store.flush();
    expect(store.listSegments()).toHaveLength(1);
    (connection as Database.Database | null)?.pragma('max_page_count = 4000');
    here().time.advance(5_000);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(store.listSegments()).toHaveLength(2);
    store.close();
    const again = here().open();
    expect(seqs(again.read({ limit: 9, since: noon + 400 }))).toEqual([1, 3]);
    expect(seqs(again.read({ limit: 9, until: noon + 400 }))).toEqual([2]);
  });
});

describe('a lock held by another connection', () => {
  const lock = (): Database.Database => {
    const other = new Database(here().ledger, { timeout: 0 });
    other.exec('BEGIN EXCLUSIVE');
    return other;
  };

  it('is waited out while running', () => {
    const store = here().open();
    store.append(entry(1));
    store.flush();
    const other = lock();
    store.append(entry(2));
    here().time.advance(10);
    expect(store.state()).toMatchObject({ state: 'degraded', since: here().time.wall - 4 });
    expect(seqs(store.read({ limit: 9 }))).toEqual([1, 2]);
    other.close();
    here().time.advance(100);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(store.stats()).toMatchObject({ queued: 0, committed: 2 });
  });

  it('is waited out at the start, with numbers that cannot be in the ledger yet', () => {
    const first = here().open();
    for (const seq of upTo(5)) first.append(entry(seq));
    first.close();
    const other = new Database(here().ledger, { timeout: 0 });
    other.pragma('journal_mode = DELETE');
    other.exec('BEGIN EXCLUSIVE');
    const store = here().open();
    expect(store.state()).toMatchObject({ state: 'degraded' });
    const from = store.stats().lastSeq + 1;
    expect(from).toBeGreaterThan(1e15);
    store.append(entry(from));
    expect(seqs(store.read({ limit: 9 }))).toEqual([from]);
    other.close();
    here().time.advance(5_000);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(seqs(store.read({ limit: 9 }))).toEqual([1, 2, 3, 4, 5, from]);
    expect(store.gaps()).toMatchObject([{ first: 6, last: from - 1, reason: 'unread' }]);
  });
});

describe('a corrupt ledger', () => {
  const fill = (count: number): void => {
    const store = here().open();
    for (const seq of upTo(count)) store.append(large(seq));
    store.close();
  };
  const overwrite = (offset: number, length: number): void => {
    const file = openSync(here().ledger, 'r+');
    writeSync(file, Buffer.alloc(length, 0xa5), 0, length, offset);
    closeSync(file);
  };

  it('is put aside at the start, whole, and a fresh one begins above it', () => {
    fill(20);
    overwrite(0, 512);
    const broken = readFileSync(here().ledger);
    const store = here().open();
    expect(store.state()).toEqual({ state: 'ok' });
    expect(asideNames()).toEqual(['ledger.db.corrupt-20261121T120000Z']);
    expect(readFileSync(join(here().path, asideNames()[0] ?? ''))).toEqual(broken);
    expect(here().notices[0]).toMatchObject({ code: 'RL_LEDGER_SET_ASIDE' });
    const next = store.stats().lastSeq + 1;
    expect(next).toBeGreaterThan(20);
    store.append(entry(next));
    expect(seqs(store.read({ limit: 9 }))).toEqual([next]);
    expect(store.gaps()).toMatchObject([{ first: 1, last: next - 1, reason: 'set_aside' }]);
    store.close();
    const again = here().open();
    expect(again.stats().lastSeq).toBe(next);
    expect(asideNames()).toHaveLength(1);
  });

  it('is put aside when a read finds out, and recording goes on', () => {
    fill(200);
    // Past the schema and the first pages of each table: opening does not see it.
    overwrite(4096 * 40, 4096 * 20);
    const store = here().open();
    expect(store.stats().lastSeq).toBe(200);
    store.append(entry(201));
    store.replay(0, () => undefined);
    expect(here().codes()).toEqual(['RL_LEDGER_SET_ASIDE']);
    store.append(entry(202));
    here().time.advance(10);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(seqs(store.read({ limit: 9, newest: true })).at(-1)).toBe(202);
    expect(store.gaps()).toMatchObject([{ first: 1, reason: 'set_aside' }]);
    expect(asideNames()).toContain('ledger.db.corrupt-20261121T120000Z');
  });

  it.each([
    '[[',
    '1',
    '[[],[0,0],[]]',
    '[[[1,2,3,4,5]],[0,0,1,0,1,0,0,2,0],[1]]',
    '[[[1,2,3,4,5]],[0,0,1,0,1,1,0,1,0],[1]]',
    '[[[1,2,3,4,5]],[0,0,1,0,1,0,-9,1,0],[1]]',
  ])('is told by a row that is not what was written, %s, though SQLite finds no fault', (body) => {
    fill(1);
    const before = here().open();
    before.append(large(2));
    before.close();
    const other = new Database(here().ledger);
    other.exec('DROP TRIGGER entries_20261121_no_update');
    other.prepare('UPDATE entries_20261121 SET body = ? WHERE seq = 2').run(body);
    other.close();
    const store = here().open();
    expect(store.readRequest(1)).toHaveLength(1);
    expect(store.readRequest(2)).toEqual([]);
    expect(here().notices[0]?.message).toContain('corrupt at entry 2');
    expect(asideNames()).toContain('ledger.db.corrupt-20261121T120000Z');
  });

  it('keeps what was only in its log, and out of the fresh one', () => {
    const store = here().open();
    store.append(entry(1));
    store.flush();
    const other = new Database(here().ledger);
    other.pragma('wal_checkpoint(TRUNCATE)');
    other.close();
    store.append(entry(2, { data: ['only in the log'] }));
    store.flush();
    const log = readFileSync(`${here().ledger}-wal`);
    store.close();
    overwrite(0, 512);
    writeFileSync(`${here().ledger}-wal`, log);
    const fresh = here().open();
    expect(fresh.read({ limit: 9 })).toEqual([]);
    const kept = asideNames().map((name) => readFileSync(join(here().path, name), 'latin1'));
    expect(kept.join()).toContain('only in the log');
  });

  it('never takes the name of one that is aside already', () => {
    for (const round of [1, 2]) {
      fill(3);
      overwrite(0, 100);
      here().open().close();
      expect(asideNames().filter((name) => !name.endsWith('-wal'))).toHaveLength(round);
      rmSync(here().ledger);
    }
  });
});

describe('other faults', () => {
  it('opens the file again when the connection is gone', () => {
    const connections: Database.Database[] = [];
    const store = here().open({ tune: (db) => void connections.push(db) });
    store.append(entry(1));
    store.flush();
    connections[0]?.close();
    store.append(entry(2));
    here().time.advance(10);
    expect(store.state()).toMatchObject({ state: 'degraded' });
    here().time.advance(200);
    expect(connections).toHaveLength(2);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(seqs(store.read({ limit: 9 }))).toEqual([1, 2]);
  });

  it('does not write twice what a commit that failed brought to the disk', () => {
    const connections: Database.Database[] = [];
    const store = here().open({ tune: (db) => void connections.push(db) });
    store.append(entry(1));
    store.append(entry(2));
    const told: number[] = [];
    store.onCommit((entries) => told.push(...seqs(entries)));
    connections[0]?.close();
    const stand = here().open();
    stand.append(entry(1));
    stand.close();
    here().time.advance(500);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(told).toEqual([1, 2]);
    expect(seqs(store.read({ limit: 9 }))).toEqual([1, 2]);
    expect(store.stats()).toMatchObject({ committed: 2, lost: 0 });
  });

  it('waits for a directory that is missing', () => {
    const away = `${here().path}-away`;
    renameSync(here().path, away);
    const store = here().open();
    expect(store.state()).toMatchObject({ state: 'degraded' });
    const next = store.stats().lastSeq + 1;
    store.append(entry(next));
    mkdirSync(here().path);
    here().time.advance(5_000);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(seqs(store.read({ limit: 9 }))).toEqual([next]);
    rmSync(away, { recursive: true });
  });

  it.skipIf(process.getuid?.() === 0)('waits for permission', () => {
    writeFileSync(here().ledger, '');
    chmodSync(here().ledger, 0o400);
    const store = here().open();
    expect(store.state()).toMatchObject({ state: 'degraded' });
    chmodSync(here().ledger, 0o600);
    here().time.advance(5_000);
    expect(store.state()).toEqual({ state: 'ok' });
  });

  it('leaves out an entry that no ledger can hold, and keeps those around it', () => {
    const store = here().open();
    const told: number[] = [];
    store.onCommit((entries) => told.push(...seqs(entries)));
    const cyclic: JsonValue[] = [];
    cyclic.push(cyclic);
    store.append(entry(1));
    store.append(entry(2, { data: cyclic }));
    store.append(entry(3, { request: 1 }));
    store.append(entry(4, { request: 0.5 }));
    store.append(entry(5));
    here().time.advance(50);
    expect(store.state()).toEqual({ state: 'ok' });
    expect(seqs(store.read({ limit: 9 }))).toEqual([1, 3, 5]);
    expect(told).toEqual([1, 3, 5]);
    const batches: number[] = [];
    store.onCommit((entries) => batches.push(entries.length));
    for (const seq of [6, 7, 8, 9]) store.append(entry(seq));
    store.flush();
    expect(batches).toEqual([4]);
    expect(store.stats()).toMatchObject({ committed: 7, lost: 2 });
    expect(store.gaps()).toMatchObject([
      { first: 2, last: 2, reason: 'unwritable' },
      { first: 4, last: 4, reason: 'unwritable' },
    ]);
  });

  it('says how much is lost when it is closed while it cannot write', () => {
    const store = here().open({ tune: (db) => void db.pragma('max_page_count = 1') });
    store.append(entry(store.stats().lastSeq + 1));
    store.close();
    expect(here().notices.at(-1)).toMatchObject({ code: 'RL_LEDGER_LOST' });
    expect(store.stats()).toMatchObject({ queued: 0, lost: 1 });
  });
});
