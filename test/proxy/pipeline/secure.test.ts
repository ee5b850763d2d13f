/** TLS origins, directly and through a parent. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createServer as createSecure } from 'node:https';
import type { Server } from 'node:https';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { issueGeneration, issueLeaf, makeLeafKey } from '../../../src/proxy/ca/certificates.ts';
import { client, rig } from './rig.ts';
import type { Rig, RigOptions } from './rig.ts';

let server: Server;
let port: number;
let root: string;
let handshakes = 0;
const asked: (string | false | null)[] = [];
const open: { close(): unknown }[] = [];

beforeAll(async () => {
  const now = Date.now();
  const made = issueGeneration(['origin.test'], now);
  const key = makeLeafKey();
  const signer = { certificatePem: made.intermediatePem, key: made.intermediateKey };
  const leaf = issueLeaf('origin.test', signer, key, now);
  root = made.rootPem;
  server = createSecure(
    {
      cert: `${leaf.pem}\n${made.intermediatePem}`,
      key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    },
    (_req, res) => res.end('secure'),
  );
  server.on('secureConnection', (socket) => {
    handshakes += 1;
    asked.push(socket.servername);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function secureRig(options: RigOptions = {}): Promise<Rig> {
  const made = await rig({ originPort: port, scheme: 'https', ca: [root], ...options });
  open.push(made);
  return made;
}

async function ask(proxy: Rig): Promise<string> {
  const one = client(proxy.port);
  one.send('GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n');
  const text = await one.until(/\r\n\r\n[^]+/);
  one.socket.destroy();
  return text;
}

test('the certificate must be that of the host that is meant, under a trusted root', async () => {
  const proxy = await secureRig();
  const before = handshakes;
  expect(await ask(proxy)).toMatch(/^HTTP\/1\.1 200 [^]*secure/);
  expect(await ask(proxy)).toMatch(/^HTTP\/1\.1 200 /);
  // Dialled as 127.0.0.1, asked for by its own name, and kept.
  expect(asked.at(-1)).toBe('origin.test');
  expect(handshakes - before).toBe(1);

  expect(await ask(await secureRig({ ca: [] }))).toMatch(/^HTTP\/1\.1 502 /);
  const other = await secureRig({ meant: 'other.test' });
  expect(await ask(other)).toMatch(/^HTTP\/1\.1 502 /);
  expect(other.engine.ended[0]).toMatchObject({
    ending: 'unreachable',
    error: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
});

test('an origin that does not speak TLS is a 502, one that hangs a 504', async () => {
  const dumb = createServer((socket: Socket) => socket.end('what?\r\n'));
  const mute = createServer((socket: Socket) => {
    socket.on('error', () => undefined);
    socket.resume();
  });
  for (const one of [dumb, mute]) {
    await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
    open.push({ close: () => one.close() });
  }
  const at = (one: typeof dumb): number => (one.address() as AddressInfo).port;
  expect(await ask(await secureRig({ originPort: at(dumb) }))).toMatch(/^HTTP\/1\.1 502 /);
  const hanging = await secureRig({ originPort: at(mute), guard: { connectTimeoutMs: 40 } });
  expect(await ask(hanging)).toMatch(/^HTTP\/1\.1 504 /);
});

test('through a parent, by CONNECT', async () => {
  const heads: string[] = [];
  const parent = createServer((socket: Socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (chunk: Buffer) => {
      heads.push(chunk.toString('latin1'));
      const onward = connect(port, '127.0.0.1');
      onward.on('error', () => undefined);
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
  });
  await new Promise<void>((resolve) => parent.listen(0, '127.0.0.1', resolve));
  open.push({ close: () => parent.close() });
  const url = `http://me:secret@127.0.0.1:${String((parent.address() as AddressInfo).port)}`;
  const proxy = await secureRig({
    originHost: 'origin.test',
    originPort: 443,
    guard: {
      lookup: (_name, done) => done(null, [{ address: '203.0.113.1', family: 4 }]),
      upstreamProxy: { url, noProxy: [] },
    },
  });
  expect(await ask(proxy)).toMatch(/^HTTP\/1\.1 200 [^]*secure/);
  expect(heads).toEqual([
    'CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\n' +
      `Proxy-Authorization: Basic ${Buffer.from('me:secret').toString('base64')}\r\n\r\n`,
  ]);
});

test('a mount that leads back to the proxy itself ends in 508', async () => {
  const proxy = await rig({ originPort: 1 });
  open.push(proxy);
  // A second proxy whose origin is the first, and which the first believes to be elsewhere.
  const second = await rig({ originPort: proxy.port });
  open.push(second);
  second.own.push({ host: '127.0.0.1', port: proxy.port, role: 'proxy' });
  expect(await ask(second)).toMatch(/^HTTP\/1\.1 508 /);
  expect(second.engine.ended[0]?.ending).toBe('unreachable');
});
