import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { connect as tlsConnect } from 'node:tls';
import { EnvHttpProxyAgent, ProxyAgent, request } from 'undici';
import { afterEach, expect, test } from 'vitest';
import { bench, eventually, listen, rawClient, refused } from './connect-support.ts';
import type { Bench, BenchOptions } from './connect-support.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(options: BenchOptions = {}): Promise<Bench> {
  const made = await bench({ governed: ['api.test:443'], ...options });
  closing.push(() => made.close());
  return made;
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function curl(at: Bench, args: readonly string[]): Promise<Ran> {
  const all = ['-sS', '--max-time', '5', '-x', `http://127.0.0.1:${String(at.port)}`, ...args];
  return new Promise((resolve) => {
    execFile('curl', all, { env: { PATH: process.env['PATH'] } }, (error, out, err) => {
      const code = typeof error?.code === 'number' ? error.code : 0;
      resolve({ code, out, err });
    });
  });
}

test('curl reaches the inner server through opened TLS, with its proxy user passed on', async () => {
  const at = await open();
  const ran = await curl(at, [
    '--cacert',
    at.caFile,
    '-U',
    'crawler:secret',
    'https://API.test/a?b',
  ]);
  expect(ran).toMatchObject({ code: 0 });
  expect(JSON.parse(ran.out)).toEqual({
    kind: 'inside',
    scheme: 'https',
    host: 'api.test',
    port: 443,
    proxyAuthorization: `Basic ${Buffer.from('crawler:secret').toString('base64')}`,
    method: 'GET',
    url: '/a?b',
  });
  expect(at.notices).toEqual([]);
});

test('keep-alive: one handshake serves several requests', async () => {
  const at = await open();
  const ran = await curl(at, [
    '--cacert',
    at.caFile,
    '-v',
    'https://api.test/1',
    'https://api.test/2',
  ]);
  expect(ran.out).toContain('"/1"');
  expect(ran.out).toContain('"/2"');
  expect(ran.err.match(/CONNECT api\.test:443 HTTP/g)).toHaveLength(1);
});

test('a client that does not know the CA is noticed once', async () => {
  const at = await open();
  for (let i = 0; i < 2; i++) expect((await curl(at, ['https://api.test/'])).code).toBe(60);
  await eventually(() => at.notices.length > 0);
  expect(at.notices).toEqual([
    { host: 'api.test', failure: 'untrusted', detail: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA' },
  ]);
});

test('a Node client that does not know the CA leaves, which is noticed too', async () => {
  const at = await open();
  const raw = rawClient(at.port, 'CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n');
  await raw.until('\r\n\r\n');
  raw.socket.removeAllListeners('data');
  const tls = tlsConnect({ socket: raw.socket, servername: 'api.test' });
  await new Promise((resolve) => tls.on('error', resolve));
  tls.destroy();
  raw.socket.destroy();
  await eventually(() => at.notices.length > 0);
  expect(at.notices.map((one) => one.failure)).toEqual(['left']);
});

test('SNI for another host gets the alert unrecognized_name', async () => {
  const at = await open();
  const ran = await curl(at, [
    '-k',
    '--connect-to',
    'other.test:443:api.test:443',
    'https://other.test/',
  ]);
  expect(ran.code).toBe(35);
  expect(ran.err).toMatch(/unrecognized name/i);
  await eventually(() => at.notices.length > 0);
  expect(at.notices).toEqual([
    { host: 'api.test', failure: 'name', detail: 'the client asked for `other.test`' },
  ]);
});

test('TLS without SNI gets 421', async () => {
  const at = await open();
  const raw = rawClient(at.port, 'CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n');
  await raw.until('\r\n\r\n');
  raw.socket.removeAllListeners('data');
  const tls = tlsConnect({ socket: raw.socket, servername: '', rejectUnauthorized: false });
  const seen = await new Promise<string>((resolve) => {
    tls.once('data', (chunk: Buffer) => resolve(chunk.toString()));
  });
  expect(seen).toMatch(/^HTTP\/1\.1 421 /);
  tls.destroy();
  expect(at.notices.map((one) => one.failure)).toEqual(['name']);
});

test('a client that speaks only HTTP/2 is told so by ALPN', async () => {
  const at = await open();
  const raw = rawClient(at.port, 'CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n');
  await raw.until('\r\n\r\n');
  raw.socket.removeAllListeners('data');
  const tls = tlsConnect({
    socket: raw.socket,
    servername: 'api.test',
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
  });
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => tls.on('error', resolve));
  expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
  await eventually(() => at.notices.length > 0);
  expect(at.notices.map((one) => one.failure)).toEqual(['alpn']);
});

test.each([
  ['no handshake', ''],
  ['half a handshake', '\x16\x03\x01\x02\x00'],
])('a slow client is closed: %s', async (_name, bytes) => {
  const at = await open({ deps: { handshakeTimeoutMs: 60 } });
  const raw = rawClient(at.port, `CONNECT api.test:443 HTTP/1.1\r\nHost: a\r\n\r\n${bytes}`);
  expect(await raw.closed()).toBe('HTTP/1.1 200 Connection Established\r\n\r\n');
  expect(at.notices.map((one) => one.failure)).toEqual(bytes === '' ? [] : ['timeout']);
});

test('a first byte that is neither TLS nor HTTP closes the connection', async () => {
  const at = await open();
  const raw = rawClient(at.port, 'CONNECT api.test:443 HTTP/1.1\r\nHost: a\r\n\r\n\x05\x01\x00');
  expect(await raw.closed()).toBe('HTTP/1.1 200 Connection Established\r\n\r\n');
});

test("undici's tunnelled plaintext reaches the inner server as http", async () => {
  const at = await open({ governedPlain: ['api.test:80'] });
  const agent = new EnvHttpProxyAgent({
    httpProxy: `http://127.0.0.1:${String(at.port)}`,
    proxyTunnel: true,
  });
  closing.push(() => agent.close());
  const response = await request('http://api.test/x', { dispatcher: agent });
  expect(await response.body.json()).toMatchObject({ scheme: 'http', port: 80, url: '/x' });
});

test("Node's own fetch, told of the proxy and the CA by its environment, gets through", async () => {
  const at = await open();
  const script = "fetch('https://api.test/f').then((r) => r.text()).then((t) => console.log(t))";
  const env = {
    NODE_USE_ENV_PROXY: '1',
    HTTPS_PROXY: `http://crawler@127.0.0.1:${String(at.port)}`,
    NODE_EXTRA_CA_CERTS: at.caFile,
  };
  const out = await new Promise<string>((resolve) => {
    execFile(process.execPath, ['-e', script], { env }, (error, stdout) => {
      resolve(error === null ? stdout : error.message);
    });
  });
  expect(JSON.parse(out)).toMatchObject({ kind: 'inside', scheme: 'https', port: 443, url: '/f' });
});

test('while observing, nobody is asked to identify themselves', async () => {
  const at = await open({
    mode: 'observe',
    deps: { agents: { admit: () => ({ ok: false, message: 'name a listed agent' }) } },
  });
  expect((await curl(at, ['--cacert', at.caFile, 'https://api.test/'])).code).toBe(0);
});

test("undici's ProxyAgent reaches the inner server through opened TLS", async () => {
  const at = await open();
  const ca = await import('node:fs').then((fs) => fs.readFileSync(at.caFile, 'utf8'));
  const agent = new ProxyAgent({
    uri: `http://me:you@127.0.0.1:${String(at.port)}`,
    requestTls: { ca },
  });
  closing.push(() => agent.close());
  const response = await request('https://api.test/x', { dispatcher: agent });
  expect(await response.body.json()).toMatchObject({
    scheme: 'https',
    proxyAuthorization: `Basic ${Buffer.from('me:you').toString('base64')}`,
  });
});

test('what is spoken decides: plaintext to a port governed for TLS stays a blind tunnel', async () => {
  const origin = createServer((_req, res) => res.end('the origin itself'));
  const port = await listen(origin);
  closing.push(() => origin.close());
  const at = await open({
    governed: [`api.test:${String(port)}`],
    names: { 'api.test': '127.0.0.1' },
    trusted: true,
  });
  const raw = rawClient(
    at.port,
    `CONNECT api.test:${String(port)} HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n`,
  );
  await raw.until('the origin itself');
  raw.socket.destroy();
});

test('a governed host on a port that is not listed is tunnelled', async () => {
  const origin = createServer((_req, res) => res.end('the origin itself'));
  const port = await listen(origin);
  closing.push(() => origin.close());
  const at = await open({ names: { 'api.test': '127.0.0.1' }, trusted: true });
  const ran = await curl(at, ['-p', `http://api.test:${String(port)}/`]);
  expect(ran.out).toBe('the origin itself');
  expect(at.tunnelEvents).toContain('opened');
});

test('a host that the CA does not cover is tunnelled, and that is told', async () => {
  const origin = createServer();
  const port = await listen(origin);
  closing.push(() => origin.close());
  const at = await open({
    governed: [`api.test:${String(port)}`],
    caHosts: ['other.test'],
    names: { 'api.test': '127.0.0.1' },
    trusted: true,
  });
  const raw = rawClient(at.port, `CONNECT api.test:${String(port)} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await raw.until(' 200 ');
  raw.socket.destroy();
  expect(at.notices.map((one) => one.failure)).toEqual(['uncovered']);
});

test.each([
  ['api.test', 'the port is missing'],
  ['api.test:', 'not a number'],
  ['api.test:0', 'not between'],
  ['api.test:65536', 'not between'],
  ['api.test:443:443', 'not a number'],
  ['user@api.test:443', 'not a valid name'],
  ['%61pi.test:443', 'not a valid name'],
  ['[::1:443', 'lacks its'],
  ['[api.test]:443', 'not a valid name'],
  ['[fe80::1%25eth0]:443', 'not a valid name'],
  ['api..test:443', 'not a valid name'],
])('CONNECT %s is refused', async (authority, why) => {
  const at = await open();
  const seen = await refused(at.port, authority);
  expect(seen).toMatch(/^HTTP\/1\.1 400 /);
  if (seen.includes('RL_BAD_REQUEST')) expect(seen).toContain(why);
});

test('content in a CONNECT, or a second Host, is refused', async () => {
  const at = await open();
  for (const fields of ['Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', 'Host: y\r\n']) {
    expect(await refused(at.port, 'api.test:443', fields)).toMatch(/^HTTP\/1\.1 400 /);
  }
});

test('an agent that is not admitted gets 407 with a challenge, governed or not', async () => {
  const at = await open({
    deps: {
      agents: {
        admit: (name, token) =>
          name === 'crawler' && token === 'right'
            ? { ok: true, agent: name, maxPriority: 'high' }
            : { ok: false, message: 'name a listed agent' },
      },
    },
  });
  for (const host of ['api.test:443', 'elsewhere.test:443']) {
    const seen = await refused(at.port, host);
    expect(seen).toMatch(/^HTTP\/1\.1 407 /);
    expect(seen).toContain('Proxy-Authenticate: Basic realm="ratelord"');
    expect(seen).toContain('"code":"RL_AGENT"');
  }
  const wrong = await curl(at, ['-U', 'crawler:wrong', '--cacert', at.caFile, 'https://api.test/']);
  expect(wrong.code).toBe(56);
  const right = await curl(at, ['-U', 'crawler:right', '--cacert', at.caFile, 'https://api.test/']);
  expect(right.code).toBe(0);
});

test('the canonical host decides: case, trailing dot', async () => {
  const at = await open({ governed: ['xn--bcher-kva.test:443'], caHosts: ['xn--bcher-kva.test'] });
  for (const host of ['XN--BCHER-KVA.Test', 'xn--bcher-kva.test.']) {
    const raw = rawClient(at.port, `CONNECT ${host}:443 HTTP/1.1\r\nHost: a\r\n\r\n\x05`);
    const seen = await raw.closed().catch((error: Error) => error.message);
    // Governed ones are answered before anything is dialled; a tunnel would fail to resolve.
    expect([seen, host]).toEqual(['HTTP/1.1 200 Connection Established\r\n\r\n', host]);
  }
});

test('NUL in a target never gets as far as a dial', async () => {
  const at = await open();
  const seen = await refused(at.port, 'api.test\x00.evil.test:443').catch((e: Error) => e.message);
  expect(seen).toMatch(/ 400 |closed after/);
  expect(at.tunnelEvents).toEqual([]);
});

test('a thousand connections opened and closed leave nothing behind', async () => {
  const at = await open();
  for (let i = 0; i < 1000; i++) {
    const raw = rawClient(at.port, 'CONNECT api.test:443 HTTP/1.1\r\nHost: a\r\n\r\n');
    await raw.until('\r\n\r\n');
    raw.socket.destroy();
  }
  let left = 1;
  await eventually(() => {
    at.server.getConnections((_error, count) => (left = count));
    return left === 0;
  });
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout');
  expect(timers.length).toBeLessThan(20);
});
