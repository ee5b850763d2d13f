import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ServerOptions } from 'ws';
import { createInside } from '../../src/proxy/inside.ts';
import { createUpgradeHandler } from '../../src/proxy/upgrade/upgrade.ts';
import { bench, eventually, listen, rawClient } from './connect-support.ts';
import { message, origin, upgradeBench, webSockets } from './upgrade-support.ts';
import { forward, RecordingDriver, refusal } from './upgrade-support.ts';
import type { UpgradeBench, UpgradeBenchOptions } from './upgrade-support.ts';

const closing: (() => unknown)[] = [];
let dir = '';
let pem = { key: '', cert: '' };

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ratelord-upgrade-'));
  const key = join(dir, 'key.pem');
  const cert = join(dir, 'cert.pem');
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=api.test'],
      ...['-addext', 'subjectAltName=DNS:api.test'],
    ],
    { stdio: 'ignore' },
  );
  pem = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
});

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(options: UpgradeBenchOptions): Promise<UpgradeBench> {
  const made = await upgradeBench(options);
  closing.push(made.close);
  return made;
}

const LIMITS = '{"type":"rate_limits.updated","rate_limits":[]}';

async function talker(options: ServerOptions = {}): Promise<number> {
  const there = await origin(
    webSockets((socket) => {
      socket.send('{"type":"session.created"}');
      socket.send(LIMITS);
      socket.send(Buffer.from('audio'), { binary: true });
      socket.send(LIMITS, () => socket.close(1000));
    }, options),
  );
  closing.push(there.close);
  return there.port;
}

async function readAll(at: UpgradeBench): Promise<string[]> {
  const client = new WebSocket(`ws://127.0.0.1:${String(at.port)}/model/v1`);
  const seen: string[] = [];
  client.on('message', (content: Buffer) => seen.push(content.toString()));
  await once(client, 'close');
  return seen;
}

test.each([
  ['plain', {}],
  ['deflate', { perMessageDeflate: { threshold: 0 } }],
  [
    'deflate without takeover',
    { perMessageDeflate: { threshold: 0, serverNoContextTakeover: true } },
  ],
  ['deflate, small window', { perMessageDeflate: { threshold: 0, serverMaxWindowBits: 9 } }],
])('the origin’s text messages are read in passing: %s', async (_name, options) => {
  const at = await open({ originPort: await talker(options) });
  const seen = await readAll(at);
  expect(seen).toEqual(['{"type":"session.created"}', LIMITS, 'audio', LIMITS]);
  await eventually(() => at.driver.story.at(-1)?.startsWith('ended') === true);
  expect(at.tapped).toEqual(['{"type":"session.created"}', LIMITS, LIMITS]);
  // What a message tells comes after the head and before the end, however soon that is.
  expect(at.driver.story.at(-1)).toBe('ended complete');
  expect(at.driver.story.slice(0, 2)).toEqual(['arrived', 'head']);
});

test('what a message told is stepped as tapped, only when it told something', async () => {
  const told = { kind: 'malformed', field: 'x' } as const;
  const at = await open({ originPort: await talker(), told: [told] });
  await readAll(at);
  await eventually(() => at.driver.story.at(-1)?.startsWith('ended') === true);
  expect(at.driver.story).toEqual(['arrived', 'head', 'tapped', 'tapped', 'ended complete']);
});

test('frames that make no sense reach the client as they are', async () => {
  const there = await origin((server) => {
    server.on('upgrade', (_req, socket) => {
      socket.write('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      socket.end('no frames at all');
    });
  });
  closing.push(there.close);
  const at = await open({ originPort: there.port });
  const raw = rawClient(
    at.port,
    'GET /model/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  expect(await raw.closed()).toMatch(/\r\n\r\nno frames at all$/);
  raw.socket.destroy();
  expect(at.meter).toContain('model malformed websocket');
});

test('while observing, what would be refused is relayed all the same', async () => {
  const at = await open({
    originPort: await talker(),
    decide: refusal,
    mode: 'observe',
  });
  expect(await readAll(at)).toHaveLength(4);
  expect(at.meter).toContain('model pass');
});

async function tlsOrigin(): Promise<number> {
  const server = createTlsServer(pem);
  webSockets((socket) => {
    socket.on('message', (content) => {
      socket.send(content);
    });
  })(server);
  const port = await listen(server);
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return port;
}

test('an origin over TLS is verified by the name the client meant', async () => {
  const port = await tlsOrigin();
  const trusting = await open({ originPort: port, originCa: [pem.cert] });
  const client = new WebSocket(`ws://127.0.0.1:${String(trusting.port)}/model/v1`);
  await once(client, 'open');
  client.send('over TLS');
  expect(await message(client)).toBe('over TLS');
  client.terminate();
  const strict = await open({ originPort: port, originCa: [] });
  const refused = new WebSocket(`ws://127.0.0.1:${String(strict.port)}/model/v1`);
  refused.on('error', () => undefined);
  const [, response] = (await once(refused, 'unexpected-response')) as [unknown, IncomingMessage];
  expect(response.statusCode).toBe(502);
  response.destroy();
  expect(strict.driver.inputs.at(-1)).toMatchObject({
    ending: 'unreachable',
    error: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  });
});

test('through CONNECT, opened TLS and the upgrade, to the origin and back', async () => {
  const there = await origin(
    webSockets((socket) => {
      socket.on('message', (content) => {
        socket.send(content);
      });
    }),
  );
  closing.push(there.close);
  const driver = new RecordingDriver((key) => forward(key));
  const at = await upgradeBench({ originPort: there.port });
  closing.push(at.close);
  const inside = createInside({
    handle: (_req, res) => res.end(),
    upgrade: createUpgradeHandler({ ...at.deps, driver }),
  });
  const outer = await bench({
    governed: ['api.test:443'],
    deps: {
      accept: (socket, way) => {
        inside.accept(socket, way);
      },
    },
  });
  closing.push(async () => {
    inside.destroy();
    inside.close();
    await outer.close();
  });
  const raw = rawClient(outer.port, 'CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n');
  await raw.until('\r\n\r\n');
  raw.socket.removeAllListeners('data');
  const ca = readFileSync(outer.caFile, 'utf8');
  const client = new WebSocket('wss://api.test/v1/realtime', {
    createConnection: () => tlsConnect({ socket: raw.socket, servername: 'api.test', ca }),
  });
  await once(client, 'open');
  client.send('inside');
  expect(await message(client)).toBe('inside');
  expect(driver.inputs[0]).toMatchObject({
    head: { way: 'intercept', scheme: 'https', host: 'api.test', path: '/v1/realtime' },
  });
  expect(there.heads[0]?.url).toBe('/base/v1/realtime');
  client.terminate();
  await eventually(() => driver.story.at(-1)?.startsWith('ended') === true);
});
