/** Refusals by origins that misbehave: whatever they do to their answer, the next attempt is whole. */
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configFor } from './configs.ts';
import { cleanUp, eventually, startDaemon, undo, type Item, type TestDaemon } from './harness.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const REFUSED = 'HTTP/1.1 429 Too Many Requests\r\n';
const SOON = `${REFUSED}Retry-After-Ms: 60\r\n`;
const DATE = 'Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n';

/** How a refusal is written, by the first segment of the path. */
const REFUSALS: Readonly<Record<string, (socket: Socket) => void>> = {
  whole: (socket) => socket.write(`${SOON}Content-Length: 3\r\n\r\nabc`),
  chunked: (socket) =>
    socket.write(`${SOON}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`),
  closing: (socket) => socket.end(`${SOON}Connection: close\r\nContent-Length: 0\r\n\r\n`),
  hanging: (socket) => socket.write(`${SOON}Content-Length: 500\r\n\r\nabc`),
  broken: (socket) => {
    socket.write(`${SOON}Content-Length: 500\r\n\r\nabc`, () =>
      setTimeout(() => socket.destroy(), 5),
    );
  },
  endless: (socket) => {
    socket.write(`${SOON}Transfer-Encoding: chunked\r\n\r\n`);
    const more = (): void => {
      if (!socket.destroyed)
        socket.write(`2000\r\n${'x'.repeat(0x2000)}\r\n`, () => setImmediate(more));
    };
    more();
  },
  past: (socket) =>
    socket.write(
      `${REFUSED}${DATE}Retry-After: Sat, 21 Nov 2026 09:00:00 GMT\r\nContent-Length: 0\r\n\r\n`,
    ),
  never: (socket) => socket.write(`${REFUSED}Content-Length: 0\r\n\r\n`),
  negative: (socket) => socket.write(`${REFUSED}Retry-After: -5\r\nContent-Length: 0\r\n\r\n`),
  year: (socket) => socket.write(`${REFUSED}Retry-After: 31622400\r\nContent-Length: 0\r\n\r\n`),
};

interface Seen {
  readonly connection: number;
  readonly url: string;
  readonly body: string;
}

const connections: Socket[] = [];
const seen: Seen[] = [];
let daemon: TestDaemon;

/** Refuses each path once, then serves it. */
function serve(socket: Socket): void {
  const connection = connections.push(socket) - 1;
  let text = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
      const url = text.split(' ')[1] ?? '';
      const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
      if (text.length < end + 4 + length) return;
      const first = seen.every((one) => one.url !== url);
      seen.push({ connection, url, body: text.slice(end + 4, end + 4 + length) });
      text = text.slice(end + 4 + length);
      const refuse = REFUSALS[url.split('/')[1] ?? ''];
      if (first && refuse !== undefined) refuse(socket);
      else socket.write(OK);
    }
  });
}

beforeAll(async () => {
  const server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo(() => {
    for (const socket of connections) socket.destroy();
    server.close();
  });
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  daemon = await startDaemon({
    config: configFor({ acme: { url, seen: [], refused: 0, served: 0 } }),
  });
});
afterAll(cleanUp);

const bearer = (name: string) => ({ authorization: `Bearer ${name}` });
const at = (url: string): readonly Seen[] => seen.filter((one) => one.url === url);

describe.concurrent('a refusal', () => {
  test.each(['whole', 'chunked', 'closing', 'hanging', 'broken', 'endless', 'past'])(
    'that is %s is tried again with the same content',
    async (kind) => {
      const options = { method: 'POST', body: `content of ${kind}`, headers: bearer(kind) };
      const answer = await daemon.send(`/acme/${kind}`, options);
      expect([answer.status, answer.text, answer.field('x-ratelord-attempts')]).toEqual([
        200,
        'ok',
        '2',
      ]);
      const body = `content of ${kind}`;
      expect(at(`/${kind}`).map((one) => one.body)).toEqual([body, body]);
    },
  );

  test.each(['never', 'negative', 'year'])('whose time is %s is passed on', async (kind) => {
    const answer = await daemon.send(`/acme/${kind}`, { headers: bearer(kind) });
    expect([answer.status, at(`/${kind}`).length]).toEqual([429, 1]);
  });
});

test('a connection whose refusal was read to its end is used again', async () => {
  await daemon.send('/acme/whole/again', { headers: bearer('again') });
  const used = at('/whole/again').map(({ connection }) => connection);
  expect([used.length, new Set(used).size]).toEqual([2, 1]);
});

test('requests that were sent ahead are answered in their order', async () => {
  const socket = connect(daemon.proxyPort, '127.0.0.1');
  undo(() => {
    socket.destroy();
  });
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  for (const path of ['whole/1', 'served/2', 'whole/3']) {
    socket.write(`GET /acme/${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ahead\r\n\r\n`);
  }
  await eventually(
    () => text.split('\r\n\r\nok').length,
    (count) => count === 4,
  );
  const attempts = text
    .split('HTTP/1.1 200')
    .slice(1)
    .map((one) => /x-ratelord-attempts: 2/i.test(one));
  expect(attempts).toEqual([true, false, true]);
});

test('clients that leave at any moment of it leave nothing held', async () => {
  const leavers = Array.from({ length: 24 }, async (_, i) => {
    const leaver = new AbortController();
    const sent = daemon
      .send(`/acme/whole/leaver-${String(i)}`, {
        headers: bearer(`l${String(i)}`),
        signal: leaver.signal,
      })
      .catch(() => null);
    await new Promise((resolve) => setTimeout(resolve, i * 5));
    leaver.abort();
    await sent;
  });
  await Promise.all(leavers);
  const look = async (): Promise<readonly Item[]> =>
    (await daemon.items('/v1/pools')).filter(({ reserved }) => Number(reserved) > 0);
  await eventually(look, (held) => held.length === 0);
  expect((await daemon.send('/acme/served', { headers: bearer('l1') })).status).toBe(200);
});

test('the daemon stops at once although somebody waits for another attempt', async () => {
  const waiting = daemon.send('/acme/whole/stopped', { headers: bearer('stopped') });
  await eventually(
    () => at('/whole/stopped').length,
    (count) => count === 1,
  );
  const [ended, answer] = await Promise.all([daemon.stop(), waiting]);
  expect([ended.code, [200, 503].includes(answer.status)]).toEqual([0, true]);
});
