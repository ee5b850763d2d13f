import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer as createTcpServer, connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { field, allFields } from '../../src/core/head.ts';
import { eventually, listen, rawClient } from './connect-support.ts';
import { forward, message, origin, refusal, upgradeBench, webSockets } from './upgrade-support.ts';
import type { Origin, UpgradeBench, UpgradeBenchOptions } from './upgrade-support.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Never answers; leaves when the other side does. */
function silent(_req: unknown, socket: Duplex): void {
  socket.on('end', () => socket.destroy());
}

async function echo(): Promise<Origin> {
  const made = await origin(
    webSockets((socket) => {
      socket.on('message', (content, binary) => {
        socket.send(content, { binary });
      });
    }),
  );
  closing.push(made.close);
  return made;
}

async function open(options: UpgradeBenchOptions): Promise<UpgradeBench> {
  const made = await upgradeBench(options);
  closing.push(made.close);
  return made;
}

function dialWs(at: UpgradeBench, path = '/model/v1/realtime?x=1', headers = {}): WebSocket {
  const url = `ws://127.0.0.1:${String(at.port)}${path}`;
  const socket = new WebSocket(url, { headers, handshakeTimeout: 4000 });
  closing.push(() => {
    socket.terminate();
  });
  return socket;
}

const HANDSHAKE =
  'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

function rawUpgrade(fields = HANDSHAKE, path = '/model/v1'): string {
  return `GET ${path} HTTP/1.1\r\n${fields}\r\n`;
}

test('frames go both ways through a gateway mount, and the story is told in order', async () => {
  const there = await echo();
  const at = await open({ originPort: there.port });
  const client = dialWs(at);
  let answered: IncomingHttpHeaders = {};
  client.once('upgrade', (response) => {
    answered = response.headers;
  });
  await once(client, 'open');
  expect(answered).toMatchObject({ 'x-ratelord-id': 'f-1', 'x-ratelord-decision': 'pass' });
  client.send('hello');
  expect(await message(client)).toBe('hello');
  client.send(Buffer.alloc(300_000, 7));
  const [content] = (await once(client, 'message')) as [Buffer];
  expect(content.equals(Buffer.alloc(300_000, 7))).toBe(true);
  client.close(1000);
  await once(client, 'close');
  await eventually(() => at.driver.story.length === 3);
  expect(at.driver.story).toEqual(['arrived', 'head', 'ended complete']);
  const ended = at.driver.inputs.at(-1);
  expect(ended).toMatchObject({ key: 1 });
  expect(ended?.type === 'ended' && ended.bytesUp > 300_000 && ended.bytesDown > 300_000).toBe(
    true,
  );
  expect(at.meter).toEqual(['model pass', 'model 101']);
  await eventually(() => there.sockets.size === 0 && at.sockets.size === 0);
  expect(at.driver.attendants.size).toBe(0);
});

test('the core sees the request as it will be sent, credential hashed', async () => {
  const there = await echo();
  const at = await open({ originPort: there.port });
  const client = dialWs(at, '/model/v1/realtime?x=1', {
    Authorization: 'Bearer secret',
    'x-ratelord-agent': 'crawler',
    'x-ratelord-max-wait': '5',
  });
  await once(client, 'open');
  expect(at.driver.inputs[0]).toMatchObject({
    type: 'arrived',
    provider: 'model',
    agent: 'crawler',
    credential: 'hash of 6',
    asked: { maxWaitMs: 5000 },
    head: { host: 'api.test', path: '/v1/realtime?x=1', upgrade: true, way: 'gateway' },
  });
});

test('only end-to-end fields go upstream, in their case and order', async () => {
  const there = await echo();
  const at = await open({ originPort: there.port });
  const fields =
    'Host: x\r\nX-First: 1\r\nProxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\n' +
    'Connection: Upgrade, X-Private\r\nX-Private: 1\r\nKeep-Alive: 5\r\nUpgrade: websocket\r\n' +
    'x-ratelord-agent: me\r\nX-Two: a\r\nX-Two: b\r\nAUTHORIZATION: Bearer k\r\n' +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  const raw = rawClient(at.port, rawUpgrade(fields, '/model//v1/a%2Fb?x=?&y=//z'));
  closing.push(() => raw.socket.destroy());
  await raw.until('\r\n\r\n');
  const [seen] = there.heads;
  expect(seen?.url).toBe('/base//v1/a%2Fb?x=?&y=//z');
  const sent = seen?.fields ?? [];
  expect(sent.filter((_, i) => i % 2 === 0)).toEqual([
    'Host',
    'X-First',
    'X-Two',
    'X-Two',
    'AUTHORIZATION',
    'Sec-WebSocket-Version',
    'Sec-WebSocket-Key',
    'Connection',
    'Upgrade',
    'Via',
  ]);
  expect(field(sent, 'host')).toBe('api.test');
  expect(allFields(sent, 'x-two')).toEqual(['a', 'b']);
  expect(field(sent, 'connection')).toBe('Upgrade');
  expect(field(sent, 'via')).toBe('1.1 ratelord-test');
});

test('a refusal is the provider’s own answer, and nothing is dialled', async () => {
  const there = await echo();
  const at = await open({ originPort: there.port, decide: refusal });
  const raw = rawClient(at.port, rawUpgrade());
  const seen = await raw.closed();
  raw.socket.destroy();
  expect(seen).toMatch(/^HTTP\/1\.1 429 /);
  expect(seen).toContain('Retry-After: 7\r\n');
  expect(seen).toContain('x-ratelord-decision: reject\r\n');
  expect(seen).toMatch(/\{"error":\{"code":"RL_QUOTA"\}\}$/);
  expect(there.heads).toEqual([]);
  await eventually(() => at.sockets.size === 0);
  expect(at.driver.attendants.size).toBe(0);
});

test('a client that leaves while it waits ends as gone, and nothing is dialled', async () => {
  const there = await echo();
  const at = await open({ originPort: there.port, decide: () => null });
  const raw = rawClient(at.port, rawUpgrade());
  await eventually(() => at.driver.inputs.length === 1);
  raw.socket.end();
  await eventually(() => at.driver.inputs.length === 2);
  expect(at.driver.story).toEqual(['arrived', 'ended gone']);
  at.driver.perform(forward(1));
  await eventually(() => at.sockets.size === 0);
  expect(there.sockets.size).toBe(0);
  raw.socket.destroy();
});

test('a request that waited is forwarded when its turn comes, early bytes included', async () => {
  const there = await origin((server) => {
    server.on('upgrade', (_req, socket: Socket, head: Buffer) => {
      socket.write('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      if (head.length > 0) socket.write(head);
      socket.pipe(socket);
    });
  });
  closing.push(there.close);
  const at = await open({ originPort: there.port, decide: () => null });
  const raw = rawClient(at.port, `${rawUpgrade()}too early`);
  await eventually(() => at.driver.inputs.length === 1);
  raw.socket.write(', twice');
  await new Promise((resolve) => setTimeout(resolve, 20));
  at.driver.perform(forward(1, { decision: 'delay', waitedMs: 20 }));
  const seen = await raw.until('too early, twice');
  expect(seen).toContain('x-ratelord-decision: delay\r\nx-ratelord-waited-ms: 20\r\n');
  raw.socket.destroy();
});

test.each(['end', 'destroy', 'resetAndDestroy'] as const)(
  'a client that leaves before the 101 (%s) leaves nothing behind',
  async (leave) => {
    const there = await origin((server) => {
      server.on('upgrade', silent);
    });
    closing.push(there.close);
    const at = await open({ originPort: there.port });
    const raw = rawClient(at.port, rawUpgrade());
    await eventually(() => there.heads.length === 1);
    raw.socket[leave]();
    await eventually(() => there.sockets.size === 0 && at.sockets.size === 0);
    expect(at.driver.story).toEqual(['arrived', 'ended aborted']);
    raw.socket.destroy();
  },
);

test('an answer that is no 101 is relayed with its content', async () => {
  const there = await origin((server) => {
    server.on('upgrade', (_req, socket: Socket) => {
      socket.end(
        'HTTP/1.1 401 Unauthorized\r\nX-Why: no\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n' +
          'Transfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n4\r\n key\r\n0\r\n\r\n',
      );
    });
  });
  closing.push(there.close);
  const at = await open({ originPort: there.port });
  const raw = rawClient(at.port, rawUpgrade());
  const seen = await raw.closed();
  raw.socket.destroy();
  expect(seen).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\nX-Why: no\r\nSet-Cookie: a=1\r\n/);
  expect(seen).toContain('Set-Cookie: b=2\r\n');
  expect(seen).toContain('x-ratelord-id: f-1\r\n');
  expect(seen).toMatch(/bad key\r\n0\r\n\r\n$/);
  await eventually(() => at.driver.story.length === 3);
  expect(at.driver.story).toEqual(['arrived', 'head', 'ended complete']);
  await eventually(() => there.sockets.size === 0 && at.sockets.size === 0);
});

test('426 keeps the field that says what to upgrade to', async () => {
  const there = await origin((server) => {
    server.on('upgrade', (_req, socket: Socket) => {
      socket.end(
        'HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n' +
          'Content-Length: 0\r\n\r\n',
      );
    });
  });
  closing.push(there.close);
  const at = await open({ originPort: there.port });
  const raw = rawClient(at.port, rawUpgrade());
  expect(await raw.closed()).toContain('Upgrade: h2c\r\nConnection: Upgrade');
  raw.socket.destroy();
});

test('an answer cut short is cut short for the client too', async () => {
  const there = await origin((server) => {
    server.on('upgrade', (_req, socket: Socket) => {
      socket.end('HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nhalf');
    });
  });
  closing.push(there.close);
  const at = await open({ originPort: there.port });
  const raw = rawClient(at.port, rawUpgrade());
  await raw.closed();
  raw.socket.destroy();
  await eventually(() => at.driver.story.length === 3);
  expect(at.driver.story).toEqual(['arrived', 'head', 'ended truncated']);
  await eventually(() => at.sockets.size === 0);
});

test('an origin that closes without an answer is 502', async () => {
  const there = await origin((server) => {
    server.on('upgrade', (_req, socket: Socket) => socket.destroy());
  });
  closing.push(there.close);
  const at = await open({ originPort: there.port });
  const raw = rawClient(at.port, rawUpgrade());
  const seen = await raw.closed();
  expect(seen).toMatch(/^HTTP\/1\.1 502 /);
  expect(seen).toContain('"id":"f-1"');
  expect(at.driver.story).toEqual(['arrived', 'ended failed']);
  raw.socket.destroy();
});

test('an origin that never answers is 504', async () => {
  const there = await origin((server) => {
    server.on('upgrade', silent);
  });
  closing.push(there.close);
  const at = await open({ originPort: there.port, deps: { answerMs: 40 } });
  const raw = rawClient(at.port, rawUpgrade());
  expect(await raw.closed()).toMatch(/^HTTP\/1\.1 504 /);
  raw.socket.destroy();
  await eventually(() => there.sockets.size === 0 && at.sockets.size === 0);
  expect(at.driver.story).toEqual(['arrived', 'ended failed']);
});

test('an origin that cannot be reached is 502 and was never charged', async () => {
  const server = createTcpServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  const at = await open({ originPort: port });
  const raw = rawClient(at.port, rawUpgrade());
  expect(await raw.closed()).toMatch(/^HTTP\/1\.1 502 /);
  raw.socket.destroy();
  expect(at.driver.inputs.at(-1)).toMatchObject({ ending: 'unreachable', error: 'ECONNREFUSED' });
});

test('an address that is not configured may not be on loopback', async () => {
  const there = await echo();
  const at = await open({ originPort: there.port, trusted: false });
  const raw = rawClient(at.port, rawUpgrade());
  expect(await raw.closed()).toMatch(/^HTTP\/1\.1 403 /);
  raw.socket.destroy();
  expect(there.heads).toEqual([]);
});

test('the origin’s end reaches the client, and the other way round', async () => {
  const there = await origin(
    webSockets((socket) => {
      socket.on('message', () => {
        socket.close(4001, 'enough');
      });
    }),
  );
  closing.push(there.close);
  const at = await open({ originPort: there.port });
  const client = dialWs(at);
  await once(client, 'open');
  client.send('x');
  const [code] = (await once(client, 'close')) as [number];
  expect(code).toBe(4001);
  await eventually(() => at.driver.story.at(-1) === 'ended complete');
});

test.each(['client', 'origin'] as const)(
  'when the %s vanishes the other is let go',
  async (who) => {
    const there = await echo();
    const at = await open({ originPort: there.port });
    const raw = rawClient(at.port, rawUpgrade());
    await raw.until('\r\n\r\n');
    if (who === 'client') raw.socket.resetAndDestroy();
    else for (const socket of there.sockets) socket.resetAndDestroy();
    await eventually(() => there.sockets.size === 0);
    if (who === 'origin') await raw.closed();
    raw.socket.destroy();
    await eventually(() => at.driver.story.length === 3);
    expect(at.driver.story.at(-1)).toBe(who === 'client' ? 'ended aborted' : 'ended truncated');
  },
);

test('one side that never closes is not waited for for ever', async () => {
  const there = await origin((server) => {
    server.on('upgrade', (_req, socket: Socket) => {
      socket.end('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    });
  });
  closing.push(there.close);
  const at = await open({ originPort: there.port, deps: { lingerMs: 30 } });
  const raw = rawClient(at.port, rawUpgrade());
  await raw.closed();
  await eventually(() => at.sockets.size === 0);
  expect(at.driver.story.filter((one) => one.startsWith('ended'))).toHaveLength(1);
  raw.socket.destroy();
});

test.each([
  ['POST', HANDSHAKE, 'must be a GET'],
  ['GET', HANDSHAKE.replace('websocket', 'h2c'), 'only `Upgrade: websocket`'],
  ['GET', `${HANDSHAKE}Host: y\r\n`, 'exactly one Host'],
  ['GET', `${HANDSHAKE}x-ratelord-priority: top\r\n`, 'must be `high`, `normal` or `background`'],
])('%s with odd fields is refused', async (method, fields, why) => {
  const there = await echo();
  const at = await open({ originPort: there.port });
  const raw = rawClient(at.port, `${method} /model/v1 HTTP/1.1\r\n${fields}\r\n`);
  const seen = await raw.closed();
  raw.socket.destroy();
  expect(seen).toMatch(/^HTTP\/1\.1 400 /);
  if (!seen.startsWith('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')) {
    expect(seen).toContain(why);
  }
  expect(at.driver.inputs).toEqual([]);
});

test('a request that came through this proxy before is a loop', async () => {
  const there = await echo();
  const at = await open({ originPort: there.port });
  const raw = rawClient(at.port, rawUpgrade(`${HANDSHAKE}Via: 1.1 ratelord-test\r\n`));
  expect(await raw.closed()).toMatch(/^HTTP\/1\.1 508 /);
  raw.socket.destroy();
});

test('absolute-form is governed by its own authority', async () => {
  const there = await echo();
  const at = await open({ originPort: there.port });
  const raw = rawClient(at.port, rawUpgrade(HANDSHAKE, 'http://api.test/v1'));
  await raw.until(' 101 ');
  expect(at.driver.inputs[0]).toMatchObject({ head: { way: 'forward', path: '/v1' } });
  raw.socket.destroy();
});

test('inside a CONNECT the Host must be the one it was opened for', async () => {
  const there = await echo();
  const way = {
    kind: 'inside',
    scheme: 'https',
    host: 'api.test',
    port: 443,
    proxyAuthorization: `Basic ${Buffer.from('crawler:').toString('base64')}`,
  } as const;
  const at = await open({ originPort: there.port, way });
  const wrong = rawClient(at.port, rawUpgrade());
  expect(await wrong.closed()).toMatch(/^HTTP\/1\.1 421 /);
  wrong.socket.destroy();
  const fields = HANDSHAKE.replace('Host: x', 'Host: api.test');
  const right = rawClient(at.port, rawUpgrade(fields, '/v1'));
  await right.until(' 101 ');
  expect(at.driver.inputs[0]).toMatchObject({ agent: 'crawler', head: { way: 'intercept' } });
  right.socket.destroy();
});

test('a WebSocket goes through the parent proxy by CONNECT', async () => {
  const there = await echo();
  const asked: string[] = [];
  const parent = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (chunk: Buffer) => {
      asked.push(chunk.toString().split('\r\n')[0] ?? '');
      const on = connect(there.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(on).pipe(socket);
      });
      on.on('error', () => undefined);
    });
  });
  const parentPort = await listen(parent);
  closing.push(() => parent.close());
  const at = await open({
    originPort: 80,
    originHost: 'far.test',
    upstreamProxy: { url: `http://127.0.0.1:${String(parentPort)}`, noProxy: [] },
  });
  const client = dialWs(at, '/model/v1');
  await once(client, 'open');
  client.send('from afar');
  expect(await message(client)).toBe('from afar');
  expect(asked).toEqual(['CONNECT far.test:80 HTTP/1.1']);
});

test('a hundred sockets opened and closed leave none', async () => {
  const there = await echo();
  const at = await open({ originPort: there.port });
  for (let i = 0; i < 100; i++) {
    const raw = rawClient(at.port, rawUpgrade());
    await raw.until('\r\n\r\n');
    raw.socket.destroy();
  }
  await eventually(() => there.sockets.size === 0 && at.sockets.size === 0);
  await eventually(() => at.driver.attendants.size === 0);
  expect(at.driver.inputs.filter((one) => one.type === 'ended')).toHaveLength(100);
});
