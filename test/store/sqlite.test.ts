import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import type { JsonValue } from '../../src/core/units.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { ledgerStoreSuite } from '../contract/ledger-store.suite.ts';
import { entry, seqs, WHO } from './entries.ts';
import { Scratch, scratch } from './scratch.ts';

ledgerStoreSuite('sqlite', (time, notices) => {
  const place = new Scratch();
  const store = place.open({
    clock: time,
    scheduler: time,
    onNotice: (notice) => void notices.push(notice),
  });
  return { store, dispose: () => place.dispose() };
});

const MIDNIGHT = Date.UTC(2026, 10, 22);

describe('the ledger file', () => {
  const here = scratch();

  /** Another connection, as a shell would have it. */
  const outside = <T>(work: (db: Database.Database) => T): T => {
    const db = new Database(here().ledger);
    try {
      return work(db);
    } finally {
      db.close();
    }
  };

  it('goes on where it ended', () => {
    const before = here().open();
    before.append(entry(1, { count: 3 }));
    before.append(entry(6, { request: 0 }));
    before.saveSnapshot({ version: 1, seq: 6, at: 5, state: { a: 1 } });
    before.append(entry(7, { count: 2, request: 1 }));
    const all = before.read({ limit: 9 });
    before.close();
    const after = here().open();
    expect(after.stats().lastSeq).toBe(8);
    expect(after.read({ limit: 9 })).toEqual(all);
    expect(after.gaps()).toMatchObject([{ first: 4, last: 5, reason: 'skipped' }]);
    expect(after.loadSnapshot()).toEqual({ version: 1, seq: 6, at: 5, state: { a: 1 } });
    after.append(entry(9));
    expect(seqs(after.readRequest(1))).toEqual([1, 7]);
    expect(after.gaps()).toHaveLength(1);
  });

  it('belongs to its owner alone', () => {
    here().open().append(entry(1));
    expect(statSync(here().ledger).mode & 0o777).toBe(0o600);
    expect(statSync(`${here().ledger}-wal`).mode & 0o777).toBe(0o600);
  });

  it('holds one row for what came in a batch, and finds what goes on later by an index', () => {
    const store = here().open();
    for (const [seq, request] of [
      [1, 1],
      [2, 2],
      [3, 1],
      [4, 2],
      [5, 1],
    ] as const) {
      store.append(entry(seq, { request, kind: seq > 2 ? 'observed' : 'decided' }));
    }
    store.flush();
    store.append(entry(6, { request: 1, kind: 'ended' }));
    store.append(entry(7, { request: 2, kind: 'ended' }));
    store.flush();
    store.append(entry(300));
    store.flush();
    outside((db) => {
      const rows = db.prepare('SELECT seq, last FROM entries_20261121').raw().all();
      expect(rows).toEqual([
        [1, 5],
        [6, 7],
        [300, 300],
      ]);
      const continued = db.prepare('SELECT share, seq FROM entries_20261121_continued').raw();
      expect(continued.all()).toEqual([[0, 6]]);
    });
    expect(seqs(store.readRequest(1))).toEqual([1, 3, 5, 6]);
    expect(seqs(store.readRequest(2))).toEqual([2, 4, 7]);
    expect(seqs(store.readRequest(300))).toEqual([300]);
    expect(store.readRequest(3)).toEqual([]);
  });

  it('writes what repeats once, and reads all of it', () => {
    const store = here().open();
    const phrase = 'the quota is for everyone';
    const data: JsonValue[][] = [
      [phrase, [], [[0, phrase, null]], { a: 1 }, 1],
      [phrase, [], [[0, phrase, null]], { a: 1 }, 1],
      [phrase, [1], [[0, phrase, 0]], { a: 1 }],
      [phrase, [1], [[0, phrase, 0]], { a: 2 }, null, phrase],
      [],
      Array.from({ length: 40 }, (_, n) => n),
      Array.from({ length: 41 }, (_, n) => n % 39),
    ];
    const entries = data.map((own, n) => entry(n + 1, { data: own }));
    for (const next of entries) store.append(next);
    expect(store.read({ limit: 9 })).toEqual(entries);
    outside((db) => {
      const body = db.prepare<[], string>('SELECT body FROM entries_20261121').pluck().get() ?? '';
      // Once in the first, once in the third's nested array, and in the fourth where it is new.
      expect(body.split(phrase)).toHaveLength(5);
    });
  });

  it.each([
    'UPDATE entries_20261121 SET body = 1',
    'DELETE FROM entries_20261121',
    'UPDATE entries_20261121_continued SET share = 1',
    'DELETE FROM entries_20261121_continued',
    'REPLACE INTO entries_20261121 SELECT * FROM entries_20261121',
  ])('refuses %s', (sql) => {
    const store = here().open();
    store.append(entry(1));
    store.flush();
    store.append(entry(2, { request: 1 }));
    store.flush();
    outside((db) => {
      db.pragma('recursive_triggers = OFF');
      expect(() => db.exec(sql)).toThrow('the ledger is append-only');
    });
    expect(seqs(store.readRequest(1))).toEqual([1, 2]);
  });

  it('begins a segment at midnight UTC, in the middle of a batch, and never goes back', () => {
    const store = here().open();
    const ats = [-2, -1, 0, 1, -5, 2];
    ats.forEach((at, n) => store.append(entry(n + 1, { request: 1, at: MIDNIGHT + at })));
    store.flush();
    expect(store.listSegments().map(({ name, firstSeq }) => [name, firstSeq])).toEqual([
      ['entries_20261121', 1],
      ['entries_20261122', 3],
    ]);
    expect(seqs(store.read({ limit: 9, since: MIDNIGHT }))).toEqual([3, 4, 6]);
    expect(seqs(store.read({ limit: 9, until: MIDNIGHT }))).toEqual([1, 2, 5]);
    expect(seqs(store.readRequest(1))).toEqual([1, 2, 3, 4, 5, 6]);
    store.close();
    const again = here().open();
    again.append(entry(7, { at: MIDNIGHT - 3 }));
    expect(again.listSegments()).toHaveLength(2);
    expect(again.stats().lastSeq).toBe(7);
  });

  it('finds by time what a row holds beyond its first entry', () => {
    const store = here().open();
    store.append(entry(1, { at: MIDNIGHT }));
    store.append(entry(2, { at: MIDNIGHT + 50 }));
    store.append(entry(3, { at: MIDNIGHT + 100, request: 1 }));
    expect(seqs(store.read({ limit: 9, since: MIDNIGHT + 60 }))).toEqual([3]);
    expect(seqs(store.read({ limit: 9, until: MIDNIGHT + 60 }))).toEqual([1, 2]);
  });

  it('stays in step under more than one batch can take', () => {
    const store = here().open();
    let next = 1;
    const burst = (): void => {
      for (let n = 0; n < 200; n += 1, next += 1) store.append(entry(next));
    };
    const lags: number[] = [];
    store.onCommit(() => {
      here().time.mono += 1;
      if (next < 10_000) burst();
      lags.push(store.stats().lagMs);
    });
    here().time.mono = 5_000;
    burst();
    here().time.advance(1000);
    expect(store.stats()).toMatchObject({ queued: 0, committed: next - 1 });
    expect(lags.length).toBeGreaterThan(50);
    expect(Math.max(...lags)).toBeLessThan(10);
  });

  it('reads through many pages and batches in either direction', () => {
    const store = here().open();
    for (let n = 1; n <= 2000; n += 1) {
      store.append(entry(n, { request: n % 7 === 0 ? n - 6 : n, at: MIDNIGHT - 1000 + n }));
    }
    const all = Array.from({ length: 2000 }, (_, n) => n + 1);
    expect(seqs(store.read({ limit: 5000 }))).toEqual(all);
    expect(seqs(store.read({ limit: 700, newest: true, before: 1500 }))).toEqual(
      all.slice(799, 1499),
    );
    expect(store.listSegments()).toHaveLength(2);
  });

  it('keeps two snapshots, and passes over one that cannot be read', () => {
    const store = here().open();
    for (const seq of [1, 2, 3]) {
      store.append(entry(seq));
      store.saveSnapshot({ version: 1, seq, at: 0, state: seq });
    }
    outside((db) => {
      expect(db.prepare('SELECT seq FROM snapshots').pluck().all()).toEqual([2, 3]);
      db.exec("UPDATE snapshots SET state = '{' WHERE seq = 3");
    });
    expect(store.loadSnapshot()).toMatchObject({ seq: 2, state: 2 });
  });

  it('never numbers below a snapshot', () => {
    const store = here().open();
    store.append(entry(1));
    store.saveSnapshot({ version: 1, seq: 10, at: 0, state: null });
    store.close();
    expect(here().open().stats().lastSeq).toBe(10);
  });

  it('leaves no trace of a forgotten name on disk', () => {
    const store = here().open();
    const who = { ...WHO, agent: 'jane-doe' };
    for (let n = 1; n <= 300; n += 1) {
      store.append(
        entry(n, {
          who: { ...who, scope: `repo:${String(n)}` },
          pools: [`ours/jane-doe/${String(n)}`],
        }),
      );
    }
    const traces = (): string[] =>
      readdirSync(here().path).filter((name) =>
        readFileSync(join(here().path, name)).includes('jane-doe'),
      );
    store.flush();
    expect(traces()).not.toEqual([]);
    expect(store.forget('agent', 'jane-doe')).toBe(301);
    expect(traces()).toEqual([]);
    // In snapshots it stays until the next one is saved.
    store.append(entry(301, { who }));
    store.saveSnapshot({ version: 1, seq: 300, at: 0, state: { agents: ['jane-doe'] } });
    store.saveSnapshot({ version: 1, seq: 301, at: 0, state: { agents: ['jane-doe'] } });
    expect(store.forget('agent', 'jane-doe')).toBe(1);
    store.saveSnapshot({ version: 1, seq: 301, at: 0, state: { agents: [] } });
    store.close();
    expect(traces()).toEqual([]);
  });

  it('refuses a newer format and says what to do', () => {
    here().open().close();
    outside((db) => db.pragma('user_version = 2'));
    const opened = openSqliteStore({ path: here().ledger, clock: here().time });
    expect(opened).toMatchObject({ ok: false });
    expect(opened.ok || opened.message).toMatch(
      /has ledger format 2.*reads up to 1: upgrade ratelord/,
    );
  });

  it("refuses another program's database and leaves it as it is", () => {
    outside((db) => db.exec('CREATE TABLE recipes (name TEXT)'));
    const before = readFileSync(here().ledger);
    const opened = openSqliteStore({ path: here().ledger, clock: here().time });
    expect(opened.ok || opened.message).toContain('not a ratelord ledger');
    expect(readFileSync(here().ledger)).toEqual(before);
  });
});
