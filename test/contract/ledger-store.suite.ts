/** What every ledger store does, whatever it is made of. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Entry, EntryKind, Who } from '../../src/core/ledger/entry.ts';
import type { EntryQuery, LedgerStore, LedgerUpkeep } from '../../src/core/ports.ts';
import type { JsonValue } from '../../src/core/units.ts';
import type { StoreNotice } from '../../src/store/notice.ts';
import { entry, seqs, WHO } from '../store/entries.ts';
import { ManualTime } from '../store/manual-time.ts';

export interface StoreUnderTest {
  readonly store: LedgerStore & LedgerUpkeep;
  dispose(): void;
}

export type MakeStore = (time: ManualTime, notices: StoreNotice[]) => StoreUnderTest;

const NOON = Date.UTC(2026, 10, 21, 12);
const DAY = 86_400_000;

export function ledgerStoreSuite(name: string, make: MakeStore): void {
  describe(`${name} keeps the ledger's rules`, () => {
    let time: ManualTime;
    let notices: StoreNotice[];
    let made: StoreUnderTest;
    let store: LedgerStore & LedgerUpkeep;

    beforeEach(() => {
      time = new ManualTime();
      notices = [];
      made = make(time, notices);
      store = made.store;
    });
    afterEach(() => {
      made.dispose();
    });
    const append = (...entries: Entry[]): void => entries.forEach((e) => store.append(e));

    it('commits within 10 ms of the first entry, and tells', () => {
      const told: number[][] = [];
      store.onCommit((entries) => told.push(seqs(entries)));
      append(entry(1));
      time.advance(3);
      append(entry(2));
      expect(told).toEqual([]);
      expect(store.stats()).toMatchObject({ queued: 2, committed: 0, lagMs: 3, lastSeq: 2 });
      time.advance(7);
      expect(told.flat()).toEqual([1, 2]);
      expect(store.stats()).toMatchObject({ queued: 0, committed: 2, lagMs: 0, lost: 0 });
      expect(store.state()).toEqual({ state: 'ok' });
    });

    it('reads back what was appended, with everything in it', () => {
      const other: Who = { ...WHO, agent: 'Ünï "quoted"', provider: '', scope: '' };
      const entries = [
        entry(1, { count: 3, pools: ['a', 'b', 'a'], data: [[], {}, null, true, -1.5, 'é\u0000'] }),
        entry(4, {
          request: 0,
          kind: 'event',
          who: other,
          pools: [],
          data: ['system_started', {}],
        }),
        entry(5, { request: 1, kind: 'observed', at: NOON - 5, pools: ['b'] }),
        entry(6, { request: 1, kind: 'ended', count: 2, who: other }),
      ];
      append(...entries);
      expect(store.read({ limit: 10 })).toEqual(entries);
      expect(store.readRequest(1)).toEqual([entries[0], entries[2], entries[3]]);
      expect(store.readRequest(4)).toEqual([]);
      expect(store.readRequest(0)).toEqual([]);
    });

    it('sees in a read what was appended before it', () => {
      append(entry(1));
      expect(seqs(store.read({ limit: 5 }))).toEqual([1]);
      expect(store.stats().queued).toBe(0);
      append(entry(2));
      const replayed: Entry[] = [];
      store.replay(1, (e) => replayed.push(e));
      expect(seqs(replayed)).toEqual([2]);
    });

    it('replays what there was at the start, and passes on what the visitor throws', () => {
      append(entry(1), entry(2));
      const seen: number[] = [];
      store.replay(0, ({ seq }) => {
        seen.push(seq);
        append(entry(seq + 10));
        store.flush();
      });
      expect(seen).toEqual([1, 2]);
      expect(() => {
        store.replay(0, () => {
          throw new SyntaxError('the fold is broken');
        });
      }).toThrow('the fold is broken');
      expect(store.state()).toEqual({ state: 'ok' });
      expect(seqs(store.read({ limit: 9 }))).toEqual([1, 2, 11, 12]);
    });

    it('cuts exactly at the limit, from either end', () => {
      append(entry(1, { count: 3 }), entry(4), entry(5, { request: 1 }), entry(6, { request: 4 }));
      store.flush();
      append(entry(7, { request: 1 }), entry(8));
      expect(seqs(store.read({ limit: 3 }))).toEqual([1, 4, 5]);
      expect(seqs(store.read({ limit: 3, newest: true }))).toEqual([6, 7, 8]);
      expect(seqs(store.read({ limit: 2, newest: true, before: 6 }))).toEqual([4, 5]);
      expect(seqs(store.read({ limit: 9, after: 2 }))).toEqual([1, 4, 5, 6, 7, 8]);
      expect(seqs(store.read({ limit: 9, after: 3 }))).toEqual([4, 5, 6, 7, 8]);
      expect(store.read({ limit: 0 })).toEqual([]);
    });

    it('takes since as inclusive and until as exclusive', () => {
      append(entry(1, { at: NOON }), entry(2, { at: NOON + 1 }), entry(3, { at: NOON + 2 }));
      expect(seqs(store.read({ limit: 9, since: NOON + 1, until: NOON + 2 }))).toEqual([2]);
    });

    it('refuses what cannot follow, and goes on', () => {
      append(entry(2), entry(2), entry(1), entry(3, { at: NaN }), entry(4, { count: 0 }), entry(5));
      expect(seqs(store.read({ limit: 9 }))).toEqual([2, 5]);
      expect(store.stats()).toMatchObject({ lost: 4, committed: 2 });
      expect(notices.map(({ code }) => code)).toEqual(Array(4).fill('RL_LEDGER_LOST'));
    });

    it('records numbers that were left out', () => {
      append(entry(3, { count: 2 }));
      store.flush();
      append(entry(5), entry(9));
      store.flush();
      expect(store.gaps()).toMatchObject([
        { first: 1, last: 2, reason: 'skipped' },
        { first: 6, last: 8, reason: 'skipped' },
      ]);
    });

    it('tells listeners in the order of commits, though one appends', () => {
      const told: string[] = [];
      const stop = store.onCommit((entries) => {
        told.push(`first ${seqs(entries).join()}`);
        if (entries[0]?.seq === 1) {
          append(entry(2));
          store.flush();
        }
        throw new Error('listener is broken');
      });
      store.onCommit((entries) => told.push(`second ${seqs(entries).join()}`));
      append(entry(1));
      store.flush();
      expect(told).toEqual(['first 1', 'second 1', 'first 2', 'second 2']);
      expect(notices[0]).toEqual({ code: 'RL_LEDGER_LISTENER', message: 'listener is broken' });
      stop();
      append(entry(3));
      store.flush();
      expect(told.at(-1)).toBe('second 3');
      expect(told).not.toContain('first 3');
    });

    it('returns the newest snapshot', () => {
      expect(store.loadSnapshot()).toBeNull();
      append(entry(1), entry(2));
      store.saveSnapshot({ version: 7, seq: 1, at: NOON, state: { pools: [1] } });
      store.saveSnapshot({ version: 7, seq: 2, at: NOON, state: { pools: [2] } });
      store.saveSnapshot({ version: 8, seq: 2, at: NOON, state: { pools: [3] } });
      expect(store.loadSnapshot()).toEqual({ version: 8, seq: 2, at: NOON, state: { pools: [3] } });
    });

    it('forgets a name everywhere, and only that one', () => {
      append(
        entry(1, { pools: ['github/core/gh-ci', 'github/core/gh-ci-2'] }),
        entry(2, { who: { ...WHO, identity: 'gh-ci-2' }, pools: ['github/core/gh-ci-2'] }),
      );
      expect(store.forget('identity', 'nobody')).toBe(0);
      expect(store.forget('identity', 'gh-ci')).toBe(2);
      expect(store.read({ limit: 9, identity: 'gh-ci' })).toEqual([]);
      expect(store.read({ limit: 9, pool: 'github/core/gh-ci' })).toEqual([]);
      expect(seqs(store.read({ limit: 9, pool: 'github/core/gh-ci-2' }))).toEqual([1, 2]);
      const [first, second] = store.read({ limit: 9 });
      expect(first?.who.identity).toMatch(/^forgotten:\d+$/);
      expect(first?.pools[0]).toBe(`github/core/${first?.who.identity ?? ''}`);
      expect(first?.who.agent).toBe('crawler-01');
      expect(second?.who.identity).toBe('gh-ci-2');
      append(entry(3));
      expect(seqs(store.read({ limit: 9, identity: 'gh-ci' }))).toEqual([3]);
    });

    it('drops whole days, oldest first, never the current', () => {
      append(
        entry(1, { at: NOON }),
        entry(2, { at: NOON + DAY }),
        entry(3, { at: NOON }),
        entry(4, { request: 1, at: NOON + 2 * DAY }),
      );
      store.flush();
      expect(store.listSegments()).toMatchObject([
        { name: 'entries_20261121', firstSeq: 1, current: false },
        { name: 'entries_20261122', firstSeq: 2, current: false },
        { name: 'entries_20261123', firstSeq: 4, current: true },
      ]);
      expect(seqs(store.readRequest(1))).toEqual([1, 4]);
      const second = NOON - DAY / 2 + DAY;
      expect(store.dropSegmentsBefore(second - 1)).toEqual([]);
      expect(store.dropSegmentsBefore(second)).toEqual(['entries_20261121']);
      expect(seqs(store.read({ limit: 9 }))).toEqual([2, 3, 4]);
      expect(store.dropSegmentsBefore(NOON + 99 * DAY)).toEqual(['entries_20261122']);
      expect(seqs(store.read({ limit: 9, newest: true }))).toEqual([4]);
      expect(seqs(store.readRequest(1))).toEqual([4]);
      append(entry(5, { at: NOON + 2 * DAY }));
      expect(seqs(store.read({ limit: 9 }))).toEqual([4, 5]);
    });

    it('takes nothing after it was closed', () => {
      append(entry(1));
      store.close();
      append(entry(2));
      expect(store.stats()).toMatchObject({ committed: 1, lost: 1 });
      store.close();
    });
  });

  describe(`${name} agrees with a list`, () => {
    it('whatever is appended, flushed and asked', () => {
      fc.assert(
        fc.property(fc.array(arbitraryStep, { maxLength: 120 }), queries, (steps, asked) => {
          const made = make(new ManualTime(), []);
          try {
            const model = play(steps, made.store);
            for (const query of asked) {
              expect(made.store.read(query)).toEqual(answer(model, query));
              const after = query.after ?? 0;
              const replayed: Entry[] = [];
              made.store.replay(after, (e) => replayed.push(e));
              expect(replayed).toEqual(answer(model, { after, limit: Infinity }));
            }
            for (const request of new Set(model.map((e) => e.request)).difference(new Set([0]))) {
              const own = model.filter((e) => e.request === request);
              expect(made.store.readRequest(request)).toEqual(own);
            }
          } finally {
            made.dispose();
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}

interface Step {
  readonly flush: boolean;
  readonly skip: number;
  readonly count: number;
  readonly back: number | null;
  readonly drift: number;
  readonly who: Who;
  readonly kind: EntryKind;
  readonly pools: string[];
  readonly data: JsonValue[];
}

const AGENTS = ['a', 'b', 'c'];
const POOLS = ['p/1', 'p/2', 'p/3'];
const arbitraryStep: fc.Arbitrary<Step> = fc.record({
  flush: fc.boolean(),
  skip: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.nat(5)),
  count: fc.integer({ min: 1, max: 4 }),
  back: fc.option(fc.nat(6), { nil: null }),
  drift: fc.oneof(fc.integer({ min: -50, max: 50 }), fc.integer({ min: -DAY, max: 2 * DAY })),
  who: fc.record({
    agent: fc.constantFrom(...AGENTS),
    identity: fc.constantFrom('i', 'j'),
    workload: fc.constant('w'),
    scope: fc.constantFrom('s', ''),
    provider: fc.constantFrom('github', ''),
  }),
  kind: fc.constantFrom<EntryKind>('decided', 'woke', 'observed', 'ended', 'event'),
  pools: fc.subarray(POOLS),
  data: fc.array(fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<JsonValue>, { maxLength: 3 }),
});

const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T> => value;
const queries: fc.Arbitrary<EntryQuery[]> = fc.array(
  fc.record(
    {
      limit: fc.integer({ min: 0, max: 40 }),
      after: optional(fc.nat(200)),
      before: optional(fc.nat(200)),
      agent: fc.constantFrom(...AGENTS, 'nobody'),
      identity: fc.constantFrom('i', 'j'),
      provider: fc.constantFrom('github', ''),
      pool: fc.constantFrom(...POOLS, 'p/0'),
      since: fc.integer({ min: NOON - 100, max: NOON + 3 * DAY }),
      until: fc.integer({ min: NOON - 100, max: NOON + 3 * DAY }),
      newest: fc.boolean(),
    },
    { requiredKeys: ['limit'] },
  ),
  { minLength: 1, maxLength: 8 },
);

/** Appends the steps to a store; returns what it must hold. */
function play(steps: readonly Step[], store: LedgerStore): Entry[] {
  const model: Entry[] = [];
  let seq = 1;
  let at = NOON;
  for (const step of steps) {
    seq += step.skip;
    at = Math.max(NOON - DAY, at + step.drift);
    const before = step.back === null ? undefined : model.at(-1 - step.back);
    const request = step.kind === 'event' ? 0 : (before?.request ?? seq);
    const { count, kind, who, pools } = step;
    // Through JSON first: it knows no negative zero.
    const data = JSON.parse(JSON.stringify(step.data)) as JsonValue[];
    const next: Entry = { seq, count, at, kind, request, who, pools, data };
    model.push(next);
    store.append(next);
    if (step.flush) store.flush();
    seq += count;
  }
  return model;
}

function answer(model: readonly Entry[], q: EntryQuery): Entry[] {
  const found = model.filter(
    (e) =>
      e.seq + e.count - 1 > (q.after ?? 0) &&
      e.seq < (q.before ?? Infinity) &&
      e.at >= (q.since ?? -Infinity) &&
      e.at < (q.until ?? Infinity) &&
      (q.agent === undefined || e.who.agent === q.agent) &&
      (q.identity === undefined || e.who.identity === q.identity) &&
      (q.provider === undefined || e.who.provider === q.provider) &&
      (q.pool === undefined || e.pools.includes(q.pool)),
  );
  if (q.newest !== true) return found.slice(0, q.limit);
  return q.limit === 0 ? [] : found.slice(-q.limit);
}
