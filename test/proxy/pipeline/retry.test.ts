/** Answers that are not passed on, because the engine has their requests sent again. */
import { afterEach, expect, test } from 'vitest';
import type { Effect } from '../../../src/core/engine.ts';
import { client, eventually, OK, origin, rig } from './rig.ts';
import type { Client, Origin, Rig, RigOptions } from './rig.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const GET = 'GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n';
const REFUSAL = 'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nlate';

/** An origin that answers with the first text once, and with 200 from then on. */
async function refusedBy(refusal: string, more: RigOptions = {}): Promise<[Rig, Origin, Client]> {
  let refused = false;
  let answered = 0;
  const upstream = await origin((socket, text) => {
    const whole = text.split('\r\n\r\n').length - 1 > 0;
    if (!whole || (refused && answered > 0)) return;
    socket.write(refused ? OK : refusal);
    if (refused) answered += 1;
    refused = true;
  });
  const proxy = await rig({ originPort: upstream.port, ...more });
  const one = client(proxy.port);
  open.push(proxy, { close: () => upstream.server.close() }, { close: () => one.socket.destroy() });
  return [proxy, upstream, one];
}

/** The next head is refused, and these effects follow at once. */
function retry(proxy: Rig, ...then: ((key: number) => Effect)[]): void {
  const { engine } = proxy;
  const step = engine.step.bind(engine);
  let done = false;
  engine.step = (input) => {
    if (input.type === 'head' && !done) {
      done = true;
      engine.free({ type: 'retry', key: input.key });
      for (const effect of then) engine.free(effect(input.key));
    }
    return step(input);
  };
}

function again(proxy: Rig): (key: number) => Effect {
  return (key) => proxy.engine.pass(key, { decision: 'delay', waitedMs: 50 });
}

test('the client sees the second answer alone, and how often it was sent', async () => {
  const [proxy, upstream, one] = await refusedBy(REFUSAL);
  retry(proxy, again(proxy));
  one.send(GET);
  const text = await one.until(/\r\n\r\nok/);
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(text).toContain('x-ratelord-attempts: 2\r\n');
  expect(text).toContain('x-ratelord-decision: delay\r\n');
  expect(text).not.toContain('late');
  expect(proxy.engine.heads.map(({ head }) => head.status)).toEqual([429, 200]);
  expect(proxy.engine.ended.map(({ ending }) => ending)).toEqual(['complete']);
  // Asked once, however often it was sent.
  expect(proxy.metered.filter((line) => line.startsWith('request'))).toHaveLength(1);
  expect(proxy.metered.filter((line) => line.startsWith('upstream'))).toHaveLength(2);
  expect(upstream.text().match(/GET \/ HTTP/g)).toHaveLength(2);
});

test('content is sent again as it was', async () => {
  const [proxy, upstream, one] = await refusedBy(REFUSAL);
  retry(proxy, again(proxy));
  one.send('POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsecret');
  await one.until(/\r\n\r\nok/);
  expect(proxy.engine.arrived[0]?.replayable).toBe(true);
  expect(upstream.text().match(/\r\n\r\nsecret/g)).toHaveLength(2);
});

test('a small answer is read to its end, and its connection kept', async () => {
  const [proxy, upstream, one] = await refusedBy(REFUSAL);
  retry(proxy);
  one.send(GET);
  await eventually(() => proxy.engine.heads.length === 1);
  proxy.engine.free(again(proxy)(proxy.engine.heads[0]?.key ?? 0));
  proxy.driver.step({ type: 'woke', at: { wall: 1, mono: 1 } });
  await one.until(/\r\n\r\nok/);
  expect(upstream.sockets).toHaveLength(1);
});

const LARGE: readonly [string, string][] = [
  ['declared', 'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 900000\r\n\r\n'],
  [
    'chunked',
    `HTTP/1.1 429 Too Many Requests\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n${'x'.repeat(0x20000)}\r\n`,
  ],
];
test.each(LARGE)('a large one, %s, is broken off', async (_name, refusal) => {
  const [proxy, upstream, one] = await refusedBy(refusal);
  retry(proxy, again(proxy));
  const began = performance.now();
  one.send(GET);
  await one.until(/\r\n\r\nok/);
  await eventually(() => upstream.sockets[0]?.destroyed === true);
  // What only trickles is broken off after five seconds.
  expect(performance.now() - began).toBeLessThan(3_000);
  expect(proxy.engine.ended.map(({ ending }) => ending)).toEqual(['complete']);
});

test('who leaves while it waits is not sent again', async () => {
  const [proxy, upstream, one] = await refusedBy(REFUSAL);
  retry(proxy);
  one.send(GET);
  await eventually(() => proxy.engine.heads.length === 1);
  one.socket.destroy();
  await eventually(() => proxy.engine.ended.length === 1);
  expect(proxy.engine.ended[0]?.ending).toBe('gone');
  expect(upstream.text().match(/GET \/ HTTP/g)).toHaveLength(1);
});

test('a refusal of our own may follow', async () => {
  const [proxy, , one] = await refusedBy(REFUSAL);
  retry(proxy, (key) => proxy.engine.refuse(key));
  one.send(GET);
  const text = await one.until(/"ratelord".*}/);
  expect(text).toContain('"message":"nothing left"');
  expect(text).toContain('x-ratelord-attempts: 2\r\n');
  expect(proxy.metered.filter((line) => line.startsWith('request'))).toHaveLength(1);
});

test('what cannot be sent again is said beforehand', async () => {
  const [proxy, , one] = await refusedBy(OK);
  one.send('POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n');
  await eventually(() => proxy.engine.arrived.length === 1);
  expect(proxy.engine.arrived[0]?.replayable).toBe(false);
});
