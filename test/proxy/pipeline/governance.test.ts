import { afterEach, expect, test } from 'vitest';
import type { ArrivedInput } from '../../../src/core/engine.ts';
import { answering, client, eventually, OK, origin, rig } from './rig.ts';
import type { Origin, Rig, RigOptions } from './rig.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function pair(options: RigOptions = {}, response = OK): Promise<[Rig, Origin]> {
  const upstream = await origin(answering(response));
  const proxy = await rig({ originPort: upstream.port, ...options });
  open.push(proxy, { close: () => upstream.server.close() });
  return [proxy, upstream];
}

const GET = 'GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n';

function endings(proxy: Rig): string[] {
  return proxy.engine.ended.map((one) => one.ending);
}

test('a refusal has the provider’s shape and our fields; nothing is sent on', async () => {
  const [proxy, upstream] = await pair();
  proxy.engine.verdict = ({ key }) => [proxy.engine.refuse(key)];
  const one = client(proxy.port);
  one.send(GET);
  const text = await one.until(/"ratelord".*}/);
  expect(text).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\n/);
  expect(text).toContain('Retry-After: 5\r\n');
  expect(text).toContain('x-ratelord-id: id-1\r\n');
  expect(text).toContain('x-ratelord-decision: reject\r\n');
  expect(text).not.toContain('waited-ms');
  expect(text).toContain('"error":{"message":"nothing left"}');
  expect(upstream.text()).toBe('');
  expect(proxy.engine.ended.length).toBe(1);
  expect(proxy.metered).toEqual(['request fake reject 0']);
  // The connection stays usable.
  proxy.engine.verdict = ({ key }) => [proxy.engine.pass(key)];
  one.send(GET);
  await one.until(/\r\n\r\nok/);
  one.socket.destroy();
});

test('who asks for a problem gets one', async () => {
  const [proxy] = await pair();
  proxy.engine.verdict = ({ key }) => [
    proxy.engine.refuse(key, { rule: 'r1', pool: undefined as never }),
  ];
  const one = client(proxy.port);
  one.send('GET /fake/ HTTP/1.1\r\nHost: a\r\nAccept: application/problem+json\r\n\r\n');
  const text = await one.until(/}$/);
  one.socket.destroy();
  expect(text).toContain('Content-Type: application/problem+json\r\n');
  expect(text).toContain('Retry-After: 5\r\n');
  expect(JSON.parse(text.slice(text.indexOf('{')))).toMatchObject({
    status: 429,
    detail: 'nothing left',
    ratelord: { id: 'id-1', code: 'RL_QUOTA', rule: 'r1', retry_at: '2023-11-14T22:13:25.000Z' },
  });
});

test('a waiting request is sent when another step frees it', async () => {
  const [proxy, upstream] = await pair();
  const held: ArrivedInput[] = [];
  proxy.engine.verdict = (input) => {
    if (input.head.path !== '/wait') return [proxy.engine.pass(input.key)];
    held.push(input);
    return null;
  };
  const waiting = client(proxy.port);
  waiting.send('GET /fake/wait HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually(() => held.length === 1);
  expect(upstream.text()).toBe('');
  const key = held[0]?.key ?? 0;
  proxy.engine.free(proxy.engine.pass(key, { decision: 'delay', waitedMs: 500 }));
  const other = client(proxy.port);
  other.send(GET);
  const text = await waiting.until(/\r\n\r\nok/);
  expect(text).toContain('x-ratelord-decision: delay\r\n');
  expect(text).toContain('x-ratelord-waited-ms: 500\r\n');
  await other.until(/\r\n\r\nok/);
  expect(endings(proxy)).toEqual(['complete', 'complete']);
  expect(proxy.metered).toContain('request fake delay 500');
  waiting.socket.destroy();
  other.socket.destroy();
});

test('requests freed by another’s response are dispatched after it, not within it', async () => {
  const [proxy, upstream] = await pair();
  const held: number[] = [];
  proxy.engine.verdict = (input) => {
    if (input.head.path === '/go') return [proxy.engine.pass(input.key)];
    held.push(input.key);
    return null;
  };
  const clients = Array.from({ length: 5 }, () => client(proxy.port));
  for (const one of clients) one.send('GET /fake/w HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually(() => held.length === 5);
  const step = proxy.engine.step.bind(proxy.engine);
  proxy.engine.step = (input) => {
    if (input.type === 'head')
      for (const key of held.splice(0)) proxy.engine.free(proxy.engine.pass(key));
    return step(input);
  };
  const trigger = client(proxy.port);
  trigger.send('GET /fake/go HTTP/1.1\r\nHost: a\r\n\r\n');
  for (const one of [...clients, trigger]) {
    await one.until(/\r\n\r\nok/);
    one.socket.destroy();
  }
  expect(upstream.text().match(/GET \/w /g)?.length).toBe(5);
  expect(endings(proxy)).toEqual(new Array(6).fill('complete'));
});

test('a client that leaves while waiting is never sent on', async () => {
  const [proxy, upstream] = await pair();
  proxy.engine.verdict = () => null;
  const one = client(proxy.port);
  one.send(GET);
  await eventually(() => proxy.engine.arrived.length === 1);
  one.socket.destroy();
  await eventually(() => proxy.engine.ended.length === 1);
  expect(endings(proxy)).toEqual(['gone']);
  // Freed too late: nothing happens.
  proxy.engine.free(proxy.engine.pass(proxy.engine.arrived[0]?.key ?? 0));
  proxy.driver.step({ type: 'woke', at: { wall: 0, mono: 0 } });
  await new Promise((resolve) => setImmediate(resolve));
  expect(upstream.text()).toBe('');
  expect(proxy.engine.ended.length).toBe(1);
});

test('observing, a refusal is sent on all the same, and nobody is turned away', async () => {
  const [proxy, upstream] = await pair({
    mode: 'observe',
    agents: { admit: () => ({ ok: false, message: 'who are you' }) },
  });
  proxy.engine.verdict = ({ key }) => [proxy.engine.refuse(key)];
  const one = client(proxy.port);
  one.send('GET /fake/ HTTP/1.1\r\nHost: a\r\nx-ratelord-priority: silly\r\n\r\n');
  const text = await one.until(/\r\n\r\nok/);
  one.socket.destroy();
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
  expect(upstream.text()).toContain('GET / ');
  expect(endings(proxy)).toEqual(['complete']);
});

test('407 with a challenge for whom the directory does not admit', async () => {
  const [proxy, upstream] = await pair({
    agents: {
      admit: (name, token) =>
        name === 'a1' && token === 'right'
          ? { ok: true, agent: 'a1', maxPriority: 'background' }
          : { ok: false, message: 'wrong token' },
    },
  });
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  const one = client(proxy.port);
  one.send(`GET /fake/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: ${basic('a1:wrong')}\r\n\r\n`);
  const text = await one.until(/}\n$/);
  expect(text).toMatch(/^HTTP\/1\.1 407 /);
  expect(text).toContain('Proxy-Authenticate: Basic realm="ratelord"');
  expect(text).not.toContain('wrong:');
  one.send(
    `GET /fake/ HTTP/1.1\r\nHost: a\r\nx-ratelord-priority: high\r\nProxy-Authorization: ${basic('a1:right')}\r\n\r\n`,
  );
  await one.until(/\r\n\r\nok/);
  one.socket.destroy();
  // Claimed high, capped at what it may claim.
  expect(proxy.engine.arrived[0]?.asked.priority).toBe('background');
  expect(upstream.text()).not.toContain('Basic');
});

test('an origin that refuses the connection: 502, and the engine knows nothing was charged', async () => {
  const proxy = await rig({ originPort: 1 });
  open.push(proxy);
  const one = client(proxy.port);
  one.send(GET);
  const text = await one.until(/}\n$/);
  one.socket.destroy();
  expect(text).toMatch(/^HTTP\/1\.1 502 /);
  expect(text).toContain('x-ratelord-id: id-1\r\n');
  expect(text).toContain('x-ratelord-decision: pass\r\n');
  expect(text).toContain('"ratelord":{"id":"id-1","code":"RL_UNREACHABLE"');
  expect(proxy.engine.ended[0]).toMatchObject({ ending: 'unreachable', error: 'ECONNREFUSED' });
});

test('an origin that closes without an answer: 502, and the charge is unknown', async () => {
  const upstream = await origin((socket) => socket.destroy());
  const proxy = await rig({ originPort: upstream.port });
  open.push(proxy, { close: () => upstream.server.close() });
  const one = client(proxy.port);
  one.send('POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx');
  expect(await one.until(/}\n$/)).toMatch(/^HTTP\/1\.1 502 /);
  one.socket.destroy();
  expect(endings(proxy)).toEqual(['failed']);
});

test('Expect: 100-continue is judged first', async () => {
  const [proxy, upstream] = await pair();
  proxy.engine.verdict = ({ key }) => [proxy.engine.refuse(key)];
  const head =
    'PUT /fake/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n';
  const refused = client(proxy.port);
  refused.send(head);
  const text = await refused.closed();
  expect(text).toMatch(/^HTTP\/1\.1 429 /);
  expect(text).not.toContain('100 Continue');
  // Whether the content still comes is anybody's guess, so the connection ends.
  expect(text).toMatch(/connection: close\r\n/i);
  expect(upstream.text()).toBe('');
  refused.socket.destroy();

  proxy.engine.verdict = ({ key }) => [proxy.engine.pass(key)];
  const passed = client(proxy.port);
  passed.send(head);
  expect(await passed.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
  passed.send('hello');
  await passed.until(/\r\n\r\nok/);
  passed.socket.destroy();
  expect(upstream.text()).toMatch(/hello$/);
  expect(upstream.text()).not.toMatch(/expect/i);
  expect(proxy.engine.arrived.length).toBe(2);
});

test('JSON is collected before the decision where the provider wants it', async () => {
  const upstream = await origin((socket, text) => {
    if (text.endsWith('}') || text.endsWith('x')) socket.write(OK);
  });
  const proxy = await rig({
    originPort: upstream.port,
    provider: { bodyNeeds: () => 'json' },
    bodyCapBytes: 64,
  });
  open.push(proxy, { close: () => upstream.server.close() });
  const small = '{"model":"m\u00e9"}';
  const bytes = Buffer.from(small);
  const one = client(proxy.port);
  one.send(`POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${String(bytes.length)}\r\n\r\n`);
  one.send(bytes.subarray(0, 5));
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(proxy.engine.arrived.length).toBe(0);
  one.send(bytes.subarray(5));
  await one.until(/\r\n\r\nok/);
  expect(proxy.engine.arrived[0]?.body).toBe(small);
  expect(proxy.engine.ended[0]?.bytesUp).toBe(bytes.length);
  expect(upstream.seen[0]?.includes(bytes)).toBe(true);

  // Chunked, and beyond the cap: not collected whole, but passed on whole.
  const long = `{${'a'.repeat(200)}x`;
  one.send('POST /fake/2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  for (let i = 0; i < long.length; i += 50) {
    const part = long.slice(i, i + 50);
    one.send(`${part.length.toString(16)}\r\n${part}\r\n`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  one.send('0\r\n\r\n');
  await eventually(() =>
    upstream
      .text()
      .replace(/\r\n[0-9a-f]+\r\n/g, '')
      .includes(long),
  );
  expect(proxy.engine.arrived[1]?.body).toBeUndefined();
  expect(proxy.engine.arrived[1]?.head.contentLength).toBeNull();
  one.socket.destroy();
});

test('a client that waits for a 100 is let go on when its JSON is needed to decide', async () => {
  const upstream = await origin((socket, text) => {
    if (text.endsWith('}')) socket.write(OK);
  });
  const proxy = await rig({ originPort: upstream.port, provider: { bodyNeeds: () => 'json' } });
  open.push(proxy, { close: () => upstream.server.close() });
  const one = client(proxy.port);
  one.send('POST /fake/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
  await one.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
  expect(proxy.engine.arrived.length).toBe(0);
  expect(upstream.text()).toBe('');
  one.send('{}');
  await one.until(/\r\n\r\nok/);
  expect(proxy.engine.arrived[0]?.body).toBe('{}');
  one.socket.destroy();
});
