/** The way out: addresses, parents, TLS, pools. */
import { afterEach, describe, expect, test } from 'vitest';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { checkAddress, createGuard, dial } from '../../../src/proxy/upstream/dial.ts';
import { parentProxy } from '../../../src/proxy/upstream/parent.ts';
import { answering, client, OK, origin, rig } from './rig.ts';
import type { Rig } from './rig.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function ask(proxy: Rig, bytes: string): Promise<string> {
  const one = client(proxy.port, proxy.host);
  one.send(bytes);
  const text = await one.until(/\r\n\r\n/);
  one.socket.destroy();
  return text;
}

describe('addresses', () => {
  const refused = [
    '127.0.0.1', '127.8.9.1', '::1', '0.0.0.0', '0.1.2.3', '::', '169.254.1.1', '169.254.169.254',
    'fe80::1', 'fe80::1%eth0', 'fd00:ec2::254', '100.100.100.200', '224.0.0.1', '255.255.255.255',
    'ff02::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:169.254.169.254', '::127.0.0.1',
    '64:ff9b::7f00:1', '64:ff9b::169.254.169.254', '2002:7f00:1::', 'nonsense',
  ]; // prettier-ignore
  for (const address of refused) {
    test(`${address} is refused`, () => {
      expect(checkAddress(address, 80, false, [])?.kind).toBe('forbidden');
    });
  }
  for (const address of ['8.8.8.8', '10.1.2.3', '192.168.0.1', '2606:4700::1111', 'fd12::1']) {
    test(`${address} passes`, () => {
      expect(checkAddress(address, 80, false, [])).toBeNull();
    });
  }
  test('trust lifts every ban but the one on our own listeners', () => {
    const own = [{ host: '127.0.0.1', port: 8090 }];
    expect(checkAddress('127.0.0.1', 9001, true, own)).toBeNull();
    for (const name of ['127.0.0.1', '::ffff:127.0.0.1', '0.0.0.0', '::']) {
      expect(checkAddress(name, 8090, true, own), name).toEqual({ kind: 'own', role: 'api' });
    }
    const everywhere = [{ host: '::', port: 8787, role: 'proxy' as const }];
    for (const name of ['127.0.0.1', '127.3.3.3', '::1', '0.0.0.0']) {
      expect(checkAddress(name, 8787, true, everywhere), name).toEqual({
        kind: 'own',
        role: 'proxy',
      });
    }
  });
});

test('a rebound name is judged by what it resolves to, and dialled only there', async () => {
  const secret = await origin(answering(OK));
  open.push({ close: () => secret.server.close() });
  let asked = 0;
  const proxy = await rig({
    guard: {
      lookup: (_name, done) => {
        asked += 1;
        done(null, [
          { address: '203.0.113.9', family: 4 },
          { address: '127.0.0.1', family: 4 },
        ]);
      },
    },
  });
  open.push(proxy);
  const text = await ask(
    proxy,
    `GET http://rebind.test:${String(secret.port)}/ HTTP/1.1\r\nHost: x\r\n\r\n`,
  );
  expect(text).toMatch(/^HTTP\/1\.1 403 /);
  expect(asked).toBe(1);
  expect(secret.text()).toBe('');
});

test('a trusted name is dialled at the address it resolved to', async () => {
  const upstream = await origin(answering(OK));
  open.push({ close: () => upstream.server.close() });
  const proxy = await rig({
    originPort: upstream.port,
    originHost: 'mirror.test',
    guard: { lookup: (_name, done) => done(null, [{ address: '127.0.0.1', family: 4 }]) },
  });
  open.push(proxy);
  expect(await ask(proxy, 'GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/ 200 /);
  expect(upstream.text()).toContain('host: origin.test\r\n');
});

test('a name without an address is a 502', async () => {
  const proxy = await rig({
    originHost: 'gone.test',
    guard: {
      lookup: (_name, done) => done(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), []),
    },
  });
  open.push(proxy);
  expect(await ask(proxy, 'GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 502 /);
  expect(proxy.engine.ended[0]).toMatchObject({ ending: 'unreachable', error: 'ENOTFOUND' });
});

test('IPv6, on both sides', async () => {
  const upstream = await origin(answering(OK), '::1');
  const proxy = await rig({ originPort: upstream.port, originHost: '::1', listenHost: '::1' });
  open.push(proxy, { close: () => upstream.server.close() });
  expect(await ask(proxy, 'GET /fake/ HTTP/1.1\r\nHost: [::1]\r\n\r\n')).toMatch(/ 200 /);
});

interface Parent {
  readonly port: number;
  readonly heads: string[];
}

/** A tiny parent proxy: relays CONNECT to where `to` says and answers absolute-form itself. */
async function parent(to: number): Promise<Parent> {
  const heads: string[] = [];
  const server = createServer((socket: Socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (chunk) => {
      const head = chunk.toString('latin1');
      heads.push(head);
      if (!head.includes('Proxy-Authorization: Basic dTpw\r\n')) {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      } else if (head.startsWith('CONNECT ')) {
        const onward = connect(to, '127.0.0.1');
        onward.on('error', () => undefined);
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      } else socket.write(OK);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({ close: () => server.close() });
  return { port: (server.address() as AddressInfo).port, heads };
}

const PUBLIC = {
  lookup: (
    _name: string,
    done: (error: null, all: { address: string; family: number }[]) => void,
  ) => done(null, [{ address: '203.0.113.1', family: 4 }]),
};

test('http:// goes to the parent in absolute-form, with its credentials', async () => {
  const above = await parent(1);
  const url = `http://u:p@127.0.0.1:${String(above.port)}`;
  const proxy = await rig({
    originHost: 'origin.test',
    originPort: 8080,
    guard: { ...PUBLIC, upstreamProxy: { url, noProxy: [] } },
  });
  open.push(proxy);
  expect(await ask(proxy, 'GET /fake/x?y HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/ 200 /);
  expect(above.heads[0]).toMatch(/^GET http:\/\/origin\.test:8080\/x\?y HTTP\/1\.1\r\n/);
});

test('a parent that refuses our credentials is our failure, not the client’s', async () => {
  const above = await parent(1);
  const url = `http://u:wrong@127.0.0.1:${String(above.port)}`;
  const proxy = await rig({
    originHost: 'origin.test',
    originPort: 8080,
    guard: { ...PUBLIC, upstreamProxy: { url, noProxy: [] } },
  });
  open.push(proxy);
  expect(await ask(proxy, 'GET /fake/x HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 502 /);
});

test('dial goes through the parent with CONNECT, and past it where excepted', async () => {
  const end = await origin((socket) => socket.write('hello from the end'));
  open.push({ close: () => end.server.close() });
  const above = await parent(end.port);
  const url = `http://u:p@127.0.0.1:${String(above.port)}`;
  const guard = createGuard({
    lookup: (_name, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    ownAddresses: () => [],
    upstreamProxy: { url, noProxy: ['.direct.test'] },
  });
  const socket = await dial({ host: '2001:db8::1', port: 443, trusted: false }, guard);
  expect(above.heads[0]).toMatch(
    /^CONNECT \[2001:db8::1\]:443 HTTP\/1\.1\r\nHost: \[2001:db8::1\]:443\r\n/,
  );
  socket.write('x');
  const chunk = await new Promise((resolve) => socket.once('data', resolve));
  expect(String(chunk)).toBe('hello from the end');
  socket.destroy();
  const past = await dial({ host: 'a.direct.test', port: end.port, trusted: true }, guard);
  past.write('x');
  expect(String(await new Promise((resolve) => past.once('data', resolve)))).toMatch(/^hello/);
  past.destroy();
  expect(above.heads.length).toBe(1);
});

test('a forbidden target is not handed to a parent either', async () => {
  const above = await parent(1);
  const url = `http://u:p@127.0.0.1:${String(above.port)}`;
  const guard = createGuard({
    lookup: (_name, done) => done(null, [{ address: '169.254.169.254', family: 4 }]),
    ownAddresses: () => [],
    upstreamProxy: { url, noProxy: [] },
  });
  const target = { host: 'metadata.test', port: 80, trusted: false };
  await expect(dial(target, guard)).rejects.toMatchObject({ status: 403 });
  expect(above.heads).toEqual([]);
});

test('our own listener is never taken for a parent', async () => {
  const own: { host: string; port: number; role: 'proxy' }[] = [];
  const self = await origin(answering(OK));
  open.push({ close: () => self.server.close() });
  own.push({ host: '127.0.0.1', port: self.port, role: 'proxy' });
  const url = `http://127.0.0.1:${String(self.port)}`;
  const guard = createGuard({
    ...PUBLIC,
    ownAddresses: () => own,
    upstreamProxy: { url, noProxy: [] },
  });
  const target = { host: 'a.test', port: 80, trusted: false };
  await expect(dial(target, guard)).rejects.toMatchObject({ status: 508 });
});

test('exceptions from a parent, in the customary forms', () => {
  const made = parentProxy({
    url: 'https://p.corp',
    noProxy: ['corp.test', '.sub.test', '10.0.0.0/8', 'ported.test:8080', '*.star.test', ''],
  });
  expect(made).toMatchObject({ secure: true, host: 'p.corp', port: 443, authorization: null });
  const direct: [string, number][] = [
    ['corp.test', 1], ['a.corp.test', 1], ['a.sub.test', 1], ['10.9.8.7', 1], ['ported.test', 8080],
    ['a.star.test', 1], ['localhost', 1], ['127.0.0.1', 1], ['::1', 1],
  ]; // prettier-ignore
  for (const [host, port] of direct) expect(made.bypasses(host, port), host).toBe(true);
  const through: [string, number][] = [
    ['xcorp.test', 1],
    ['11.0.0.1', 1],
    ['ported.test', 80],
  ];
  for (const [host, port] of through) expect(made.bypasses(host, port), host).toBe(false);
});

test('credentials do not share connections; one credential does', async () => {
  const upstream = await origin(answering(OK));
  const proxy = await rig({ originPort: upstream.port });
  open.push(proxy, { close: () => upstream.server.close() });
  for (const token of ['a', 'a', 'b', 'a', 'b']) {
    await ask(proxy, `GET /fake/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  }
  expect(upstream.sockets.length).toBe(2);
  for (const seen of upstream.seen) {
    expect(new Set(seen.toString('latin1').match(/Bearer \w/g)).size).toBe(1);
  }
});

test('pools beyond the cap are closed, the least recently used first', async () => {
  const upstream = await origin(answering(OK));
  const proxy = await rig({ originPort: upstream.port, maxPools: 2 });
  open.push(proxy, { close: () => upstream.server.close() });
  for (const token of ['a', 'b', 'a', 'c', 'a']) {
    await ask(proxy, `GET /fake/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  }
  // a and b were open; c pushed b out, and a was never reopened.
  expect(upstream.sockets.length).toBe(3);
  const closed = upstream.sockets[1] as Socket;
  if (!closed.destroyed) await new Promise((resolve) => closed.once('close', resolve));
  expect(upstream.sockets[0]?.destroyed).toBe(false);
});
