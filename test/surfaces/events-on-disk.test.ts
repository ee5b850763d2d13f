import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { listEvents } from '../../src/query/events.ts';
import { followEvents } from '../../src/query/follow.ts';
import type { LedgerReader } from '../../src/query/ports.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { ListLedger } from './fakes/ledger.ts';

const dir = mkdtempSync(join(tmpdir(), 'ratelord-events-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('over the real ledger: lists what is queued, and follows each event once, in order', async () => {
  const opened = openSqliteStore({
    path: join(dir, 'ledger.db'),
    clock: { now: () => ({ wall: Date.now(), mono: performance.now() }) },
  });
  if (!opened.ok) throw new Error(opened.message);
  const { store } = opened;
  const source = new ListLedger();
  const reader: LedgerReader = { store, expand: source.expand };
  const write = (count: number, agent: string): void => {
    for (let i = 0; i < count; i += 1) {
      const size = 1 + ((source.nextSeq * 7) % 3);
      const events = Array.from({ length: size }, () => ({ type: 'usage_observed' as const }));
      store.append(source.append(events, { agent }));
    }
  };
  write(700, 'a');
  const pause = () => Promise.resolve();
  const listed = await listEvents(reader, {}, { limit: 1000, pause });
  expect(listed.at(-1)?.seq).toBe(source.nextSeq - 1);
  expect(listed).toHaveLength(1000);

  const got: number[] = [];
  const rare: number[] = [];
  const into = (seqs: number[]) => ({
    write: (events: readonly { readonly seq: number }[]) => {
      seqs.push(...events.map((event) => event.seq));
      return true;
    },
  });
  const all = followEvents(reader, {}, 10, into(got), setImmediate);
  const some = followEvents(reader, { agent: 'b' }, 0, into(rare), setImmediate);
  const wanted: number[] = [];
  for (let round = 0; round < 60; round += 1) {
    write(round % 5, 'a');
    const from = source.nextSeq;
    write(round % 2, 'b');
    for (let seq = from; seq < source.nextSeq; seq += 1) wanted.push(seq);
    if (round % 3 === 0) store.flush();
    if (round % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  store.flush();
  const last = source.nextSeq - 1;
  while (got.at(-1) !== last) await new Promise((resolve) => setImmediate(resolve));
  expect(got).toEqual(Array.from({ length: last - 10 }, (_, i) => i + 11));
  expect(rare).toEqual(wanted);
  all.stop();
  some.stop();
  store.close();
});
