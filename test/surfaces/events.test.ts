import fc from 'fast-check';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import type { LedgerEvent } from '../../src/core/ledger/event.ts';
import { followEvents } from '../../src/query/follow.ts';
import * as answers from '../../src/surfaces/api/answers.ts';
import { createApiApp } from '../../src/surfaces/api/app.ts';
import { listenApi, type ApiListener } from '../../src/surfaces/api/listen.ts';
import { call } from './fakes/call.ts';
import { fakeDaemon } from './fakes/daemon.ts';
import { ListLedger, T0, type Happening } from './fakes/ledger.ts';
import { readStream } from './fakes/sse.ts';

const open: ApiListener[] = [];
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close();
});

async function start(options: Parameters<typeof fakeDaemon>[0] = {}) {
  const daemon = fakeDaemon(options);
  const listener = await listenApi({ host: '127.0.0.1', port: 0 }, () =>
    Promise.resolve(createApiApp(daemon.deps)),
  );
  open.push(listener);
  const list = async (query: string) =>
    answers.eventsAnswer.parse((await call(listener.url, `/v1/events?${query}`)).json()).items;
  return { ...daemon, url: listener.url, list, listener };
}

const PAIR: readonly Happening[] = [{ type: 'intent_submitted' }, { type: 'intent_decided' }];

function fill(ledger: ListLedger, entries: number): void {
  for (let i = 0; i < entries; i += 1) {
    ledger.append(PAIR, { agent: i % 2 === 0 ? 'even' : 'odd', pools: ['p/core'] });
  }
}

describe('the list', () => {
  test('holds what was answered before, newest without `after`, ascending always', async () => {
    const { ledger, list } = await start();
    fill(ledger, 3);
    expect((await list('')).map((e) => e.seq)).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await list('limit=3')).map((e) => e.seq)).toEqual([4, 5, 6]);
    expect((await list('after=1&limit=3')).map((e) => e.seq)).toEqual([2, 3, 4]);
    expect(await list('after=6')).toEqual([]);
  });

  test('filters by everything it names, and combinations', async () => {
    const { ledger, list } = await start();
    ledger.append(
      [
        { type: 'usage_observed', pool: 'a' },
        { type: 'usage_observed', pool: 'b' },
      ],
      {
        pools: ['a', 'b'],
        agent: 'x',
        at: T0,
      },
    );
    ledger.append([{ type: 'usage_settled' }], {
      agent: 'y',
      identity: 'i',
      provider: 'openai',
      at: T0 + 5000,
    });
    const seqs = async (query: string) => (await list(query)).map((e) => e.seq);
    expect(await seqs('pool=a')).toEqual([1]);
    expect(await seqs('agent=y')).toEqual([3]);
    expect(await seqs('identity=i&provider=openai')).toEqual([3]);
    expect(await seqs('identity=i&provider=github')).toEqual([]);
    expect(await seqs('type=usage_settled,usage_observed&agent=x')).toEqual([1, 2]);
    expect(await seqs('type=usage_settled&type=usage_observed')).toEqual([1, 2, 3]);
    expect(await seqs(`since=${String(T0 + 1)}`)).toEqual([3]);
    expect(await seqs(`until=${new Date(T0 + 1).toISOString()}`)).toEqual([1, 2]);
  });

  test('a rare type is found far back, over many pages', async () => {
    const { ledger, list } = await start();
    ledger.append([{ type: 'drift_detected' }]);
    fill(ledger, 1800);
    ledger.append([{ type: 'drift_detected' }]);
    expect((await list('type=drift_detected')).map((e) => e.seq)).toEqual([1, 3602]);
    expect((await list('type=drift_detected&after=0')).map((e) => e.seq)).toEqual([1, 3602]);
    expect(await list('limit=1000')).toHaveLength(1000);
  });

  test.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=x', 'limit'],
    ['after=-1', 'after'],
    ['type=nothing', 'type'],
    ['since=yesterday', 'since'],
    ['agnt=x', 'agnt'],
    ['stream=maybe', 'stream'],
  ])('%s is refused by name', async (query, member) => {
    const { url } = await start();
    const answer = await call(url, `/v1/events?${query}`);
    expect(answer.status).toBe(400);
    expect(answers.errorAnswer.parse(answer.json()).error.details?.[0]?.member).toBe(member);
  });
});

describe('the stream', () => {
  test('begins with what comes, unless it is told where', async () => {
    const { ledger, url } = await start();
    fill(ledger, 2);
    const fresh = await readStream(url, '/v1/events?stream=true');
    const old = await readStream(url, '/v1/events?stream=true&after=1');
    const resumed = await readStream(url, '/v1/events?stream=true&after=1', {
      'last-event-id': '3',
    });
    expect(fresh.response.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    await old.until(() => old.ids.length === 3);
    ledger.append(PAIR);
    ledger.flush();
    await Promise.all([fresh, old, resumed].map((s) => s.until(() => s.ids.includes(6))));
    expect(fresh.ids).toEqual([5, 6]);
    expect(old.ids).toEqual([2, 3, 4, 5, 6]);
    expect(resumed.ids).toEqual([4, 5, 6]);
    expect(fresh.raw()).toContain('"type":"intent_decided"');
    for (const stream of [fresh, old, resumed]) stream.hangUp();
  });

  test('a bad Last-Event-ID is refused', async () => {
    const { url } = await start();
    const stream = await readStream(url, '/v1/events?stream=1', { 'last-event-id': 'x' });
    expect(stream.status).toBe(400);
    stream.hangUp();
  });

  test('silence is filled with comments', async () => {
    const { url } = await start({ streams: { heartbeatMs: 5, stallMs: 1000, maxStreams: 2 } });
    const stream = await readStream(url, '/v1/events?stream=true');
    await stream.until(() => stream.raw().includes(': heartbeat\n\n'));
    stream.hangUp();
  });

  test('no more streams than allowed, and those that hang up make room', async () => {
    const { url, ledger } = await start({
      streams: { heartbeatMs: 5000, stallMs: 1000, maxStreams: 1 },
    });
    const first = await readStream(url, '/v1/events?stream=true');
    expect((await call(url, '/v1/events?stream=true')).status).toBe(503);
    expect(ledger.listeners.size).toBe(1);
    first.hangUp();
    while (ledger.listeners.size > 0) await new Promise((resolve) => setImmediate(resolve));
    const second = await readStream(url, '/v1/events?stream=true');
    expect(second.status).toBe(200);
    second.hangUp();
  });

  test('a client that takes nothing is not fed, then dropped', async () => {
    const { url, ledger } = await start({
      streams: { heartbeatMs: 5000, stallMs: 50, maxStreams: 1 },
    });
    const bulk = { text: 'x'.repeat(100_000) };
    for (let i = 0; i < 600; i += 1) ledger.append([{ type: 'alert_raised', payload: bulk }]);
    const stream = await readStream(url, '/v1/events?stream=true&after=0');
    stream.response.pause();
    while (ledger.listeners.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stream.response.resume();
    await new Promise((resolve) => stream.response.once('close', resolve));
    expect(stream.ids.length).toBeLessThan(600);
  });

  test('closing the API ends its streams', async () => {
    const { url, listener } = await start();
    const stream = await readStream(url, '/v1/events?stream=true');
    const ended = once(stream.response, 'end');
    stream.response.resume();
    await listener.close();
    open.splice(0);
    await ended;
  });

  test('resumed at any point while others append: nothing lost, nothing twice', async () => {
    const { url, ledger } = await start();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 25 }),
        fc.array(fc.nat(12), { minLength: 1, maxLength: 4 }),
        async (sizes, splits) => {
          const first = ledger.nextSeq;
          const total = sizes.reduce((a, b) => a + b, 0);
          const last = first + total - 1;
          const writing = appendSlowly(ledger, sizes);
          const got: number[] = [];
          for (const split of [...splits, Infinity]) {
            const from = got.at(-1) ?? first - 1;
            const stream = await readStream(url, '/v1/events?stream=true', {
              'last-event-id': String(from),
            });
            await stream.until(
              () => stream.ids.length >= split || stream.ids.at(-1) === last || from === last,
            );
            got.push(...stream.ids);
            stream.hangUp();
          }
          await writing;
          expect(got).toEqual(Array.from({ length: total }, (_, i) => first + i));
        },
      ),
      { numRuns: 25 },
    );
  });
});

async function appendSlowly(ledger: ListLedger, sizes: readonly number[]): Promise<void> {
  for (const [i, size] of sizes.entries()) {
    ledger.append(Array.from({ length: size }, () => ({ type: 'usage_observed' as const })));
    if (i % 3 !== 1) ledger.flush();
    if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  ledger.flush();
}

describe('following', () => {
  type Action = 'append' | 'flush' | 'turn' | 'room' | 'poke';

  test('any interleaving of appends, commits, turns and a slow reader: each once, in order', () => {
    const action = fc.constantFrom<Action>(
      'append',
      'append',
      'flush',
      'turn',
      'turn',
      'room',
      'poke',
    );
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 80 }),
        fc.nat(10),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }),
        fc.option(fc.constantFrom('even', 'odd'), { nil: undefined }),
        (actions, start, room, agent) => {
          const ledger = new ListLedger();
          fill(ledger, 5);
          ledger.flush();
          const got: LedgerEvent[] = [];
          const turns: (() => void)[] = [];
          let writes = 0;
          const sink = {
            write(events: readonly LedgerEvent[]) {
              got.push(...events);
              writes += 1;
              return room[writes % room.length] ?? true;
            },
          };
          const filter = agent === undefined ? {} : { agent };
          const following = followEvents(ledger, filter, start, sink, (next) => turns.push(next));
          const perform: Record<Action, () => void> = {
            append: () => fill(ledger, 1 + (ledger.nextSeq % 3)),
            flush: () => ledger.flush(),
            turn: () => turns.shift()?.(),
            room: () => following.resume(),
            poke: () => following.resume(),
          };
          for (const name of actions) perform[name]();
          ledger.flush();
          for (let i = 0; i < 50; i += 1) {
            following.resume();
            turns.shift()?.();
          }
          const wanted = ledger.committed
            .filter((e) => agent === undefined || e.who.agent === agent)
            .flatMap((e) => ledger.expand(e).map((event) => event.seq))
            .filter((seq) => seq > start);
          expect(got.map((e) => e.seq)).toEqual(wanted);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('at the end of the ledger a commit is used as it is, also past what the filter leaves out', () => {
    const ledger = new ListLedger();
    fill(ledger, 4);
    ledger.flush();
    const got: number[] = [];
    const sink = {
      write: (events: readonly LedgerEvent[]) => got.push(...events.map((e) => e.seq)) > 0,
    };
    followEvents(ledger, { agent: 'odd' }, 8, sink, (next) => next());
    const before = ledger.reads;
    for (let i = 0; i < 20; i += 1) {
      fill(ledger, 2);
      ledger.flush();
    }
    expect(got).toHaveLength(40);
    expect(ledger.reads).toBe(before);
  });
});
