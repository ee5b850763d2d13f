import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { bench, eventually, listen, rawClient, refused } from './connect-support.ts';
import type { Bench, BenchOptions, Raw } from './connect-support.ts';

const closing: (() => unknown)[] = [];
const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some((one) => one.address === '::1'),
);

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function origin(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket);
  });
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return listen(server);
}

async function open(options: BenchOptions = {}): Promise<Bench> {
  const made = await bench({ names: { 'far.test': '127.0.0.1' }, trusted: true, ...options });
  closing.push(() => made.close());
  return made;
}

function connectTo(at: Bench, port: number, more = ''): Raw {
  const authority = `far.test:${String(port)}`;
  const raw = rawClient(
    at.port,
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n${more}`,
  );
  closing.push(() => raw.socket.destroy());
  return raw;
}

test('bytes sent together with the CONNECT arrive, and answers come back', async () => {
  const port = await origin((socket) => socket.pipe(socket));
  const at = await open();
  const raw = connectTo(at, port, 'early');
  expect(await raw.until('early')).toBe('HTTP/1.1 200 Connection Established\r\n\r\nearly');
  raw.socket.write(' late');
  await raw.until('early late');
});

test('the client may end its side and still read', async () => {
  const port = await origin((socket) => {
    let seen = '';
    socket.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    socket.on('end', () => socket.end(`got ${seen}`));
  });
  const at = await open();
  const raw = connectTo(at, port);
  await raw.until(' 200 ');
  raw.socket.end('question');
  expect(await raw.closed()).toMatch(/got question$/);
  await eventually(() => at.tunnelEvents.length === 2);
  expect(at.tunnelEvents).toEqual(['opened', 'closed']);
});

test('the origin may end its side and still read', async () => {
  let seen = '';
  const port = await origin((socket) => {
    socket.end('first');
    socket.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  });
  const at = await open();
  const raw = connectTo(at, port);
  expect(await raw.closed()).toMatch(/first$/);
  raw.socket.end('after your end');
  await eventually(() => seen === 'after your end');
});

test('a reset on one side closes the other', async () => {
  const there: Socket[] = [];
  const port = await origin((socket) => void there.push(socket));
  const at = await open();
  const raw = connectTo(at, port);
  await raw.until(' 200 ');
  await eventually(() => there.length === 1);
  raw.socket.resetAndDestroy();
  await eventually(() => there[0]?.destroyed === true);
  await eventually(() => at.tunnels.count === 0);
});

test('a slow reader slows the sender down instead of filling memory', async () => {
  let written = 0;
  const block = Buffer.alloc(65_536);
  const port = await origin((socket) => {
    const push = (): void => {
      for (;;) {
        written += block.length;
        if (!socket.write(block)) break;
      }
    };
    socket.on('drain', push);
    push();
  });
  const at = await open();
  const raw = connectTo(at, port);
  await raw.until(' 200 ');
  raw.socket.pause();
  let before = -1;
  await eventually(() => {
    const stuck = before === written;
    before = written;
    return stuck && written > 0;
  });
  expect(written).toBeLessThan(64 * 1024 * 1024);
});

test('a silent tunnel is closed after the idle time', async () => {
  const port = await origin(() => undefined);
  const at = await open({ idleMs: 50 });
  const raw = connectTo(at, port);
  await raw.closed();
  await eventually(() => at.tunnels.count === 0);
});

test('tunnels beyond the cap get 503, and room is made by those that close', async () => {
  const port = await origin((socket) => socket.pipe(socket));
  const at = await open({ maxTunnels: 1 });
  const first = connectTo(at, port);
  await first.until(' 200 ');
  const seen = await connectTo(at, port).closed();
  expect(seen).toMatch(/^HTTP\/1\.1 503 /);
  expect(seen).toMatch(/Retry-After: 1\r\n/);
  expect(seen).toContain('"code":"RL_TUNNELS"');
  expect(at.tunnelEvents).toEqual(['opened', 'denied']);
  first.socket.destroy();
  await eventually(() => at.tunnels.count === 0);
  await connectTo(at, port).until(' 200 ');
});

test('an origin that refuses is 502, and nothing stays counted', async () => {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  const at = await open();
  const seen = await connectTo(at, port).closed();
  expect(seen).toMatch(/^HTTP\/1\.1 502 /);
  expect(seen).toContain('ECONNREFUSED');
  expect(at.tunnels.count).toBe(0);
});

test('a name that does not resolve is 502', async () => {
  const at = await open();
  const seen = await refused(at.port, 'nowhere.test:443');
  expect(seen).toMatch(/^HTTP\/1\.1 502 /);
  expect(seen).toContain('ENOTFOUND');
});

test('unlisted hosts are refused under deny', async () => {
  const at = await open({ unlisted: 'deny' });
  const seen = await refused(at.port, 'far.test:443');
  expect(seen).toMatch(/^HTTP\/1\.1 403 /);
  expect(seen).toContain('"code":"RL_HOST_DENIED"');
});

test.each([
  '127.0.0.1',
  '[::1]',
  '0.0.0.0',
  '[::]',
  '[::ffff:127.0.0.1]',
  '127.1',
  '0x7f000001',
  'localhost.test',
  'rebound.test',
  '169.254.169.254',
  'metadata.test',
])('the API cannot be reached as %s', async (host) => {
  const reached: Socket[] = [];
  const port = await origin((socket) => void reached.push(socket));
  const names = {
    'localhost.test': '127.0.0.1',
    'rebound.test': '::1',
    'metadata.test': '169.254.169.254',
  };
  const own = [{ host: '127.0.0.1', port, role: 'api' as const }];
  const at = await open({ trusted: false, names, own: () => own });
  expect(await refused(at.port, `${host}:${String(port)}`)).toMatch(/^HTTP\/1\.1 403 /);
  expect(reached).toEqual([]);
  expect(at.tunnelEvents).toEqual(['denied']);
});

test('the proxy cannot be reached through itself: 508', async () => {
  const own: { host: string; port: number; role: 'proxy' }[] = [];
  const at = await open({ names: { 'loop.test': '127.0.0.1' }, own: () => own });
  own.push({ host: '127.0.0.1', port: at.port, role: 'proxy' });
  expect(await refused(at.port, `loop.test:${String(at.port)}`)).toMatch(/^HTTP\/1\.1 508 /);
});

test.skipIf(!hasIpv6)('an IPv6 authority is dialled as it is', async () => {
  const server = createServer((socket) => socket.end('six'));
  await new Promise<void>((resolve) => server.listen(0, '::1', resolve));
  closing.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const at = await open();
  const raw = rawClient(at.port, `CONNECT [0:0::1]:${String(port)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  closing.push(() => raw.socket.destroy());
  expect(await raw.closed()).toMatch(/six$/);
});

test('a tunnel through a parent proxy asks it with CONNECT and credentials', async () => {
  let asked = '';
  const parent = await origin((socket) => {
    socket.once('data', (chunk: Buffer) => {
      asked = chunk.toString();
      socket.write('HTTP/1.1 200 OK\r\n\r\nfrom afar');
    });
  });
  const at = await open({
    names: { 'far.test': '203.0.113.7' },
    upstreamProxy: { url: `http://me:word@127.0.0.1:${String(parent)}`, noProxy: [] },
  });
  const raw = connectTo(at, 443);
  await raw.until('from afar');
  expect(asked).toContain('CONNECT far.test:443 HTTP/1.1');
  expect(asked).toContain(`Basic ${Buffer.from('me:word').toString('base64')}`);
});

test('a parent proxy that refuses the credentials is told from one that is down', async () => {
  const parent = await origin((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
  });
  const at = await open({
    names: { 'far.test': '203.0.113.7' },
    upstreamProxy: { url: `http://me:wrong@127.0.0.1:${String(parent)}`, noProxy: [] },
  });
  expect(await connectTo(at, 443).closed()).toContain('the parent proxy refused our credentials');
});

test('a client that left while the tunnel was opened leaves nothing behind', async () => {
  const there: Socket[] = [];
  const port = await origin((socket) => void there.push(socket));
  const at = await open();
  const raw = connectTo(at, port);
  raw.socket.destroy();
  await eventually(() => at.tunnels.count === 0);
  if (there.length > 0) await eventually(() => there.every((s) => s.destroyed || s.readableEnded));
});
