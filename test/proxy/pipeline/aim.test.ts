import { afterAll, beforeAll, expect, test } from 'vitest';
import { answering, client, OK, origin, rig } from './rig.ts';
import type { Origin, Rig } from './rig.ts';

let upstream: Origin;
let proxy: Rig;

beforeAll(async () => {
  upstream = await origin(answering(OK));
  proxy = await rig({ originPort: upstream.port });
});
afterAll(async () => {
  await proxy.close();
  upstream.server.close();
});

async function ask(bytes: string, port = proxy.port): Promise<string> {
  const one = client(port);
  one.send(bytes);
  const text = await one.until(/\r\n\r\n/);
  one.socket.destroy();
  return text;
}

test('an unknown mount names the mounts', async () => {
  const text = await ask('GET /nope/x HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(text).toMatch(/^HTTP\/1\.1 404 /);
  expect(text).toContain('/fake');
  expect(text).toContain('/other');
});

test('the bare mount and its query reach the root', async () => {
  await ask('GET /fake HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(proxy.engine.arrived.at(-1)?.head.path).toBe('/');
  await ask('GET /fake?x=1 HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(proxy.engine.arrived.at(-1)?.head.path).toBe('/?x=1');
});

test('the path may name the agent', async () => {
  await ask('GET /@ci%2D7/fake/x HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(proxy.engine.arrived.at(-1)?.agent).toBe('ci-7');
  expect(proxy.engine.arrived.at(-1)?.head.path).toBe('/x');
  expect(await ask('GET /@/fake/x HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect(await ask('GET /@ci HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 404 /);
});

test('in absolute-form the URL wins over Host, in any spelling of it', async () => {
  await ask('GET http://ORIGIN.test.:80/abs HTTP/1.1\r\nHost: elsewhere\r\n\r\n');
  const last = proxy.engine.arrived.at(-1)?.head;
  expect(last).toMatchObject({ host: 'origin.test', path: '/abs', way: 'forward' });
  expect(upstream.text()).toMatch(/GET \/abs HTTP\/1\.1\r\nhost: origin\.test\r\n/);
  await ask('GET http://origin.test?q HTTP/1.1\r\nHost: elsewhere\r\n\r\n');
  expect(proxy.engine.arrived.at(-1)?.head.path).toBe('/?q');
});

test('inside a CONNECT, Host must be the authority that the tunnel was opened for', async () => {
  const way = {
    kind: 'inside',
    scheme: 'http',
    host: 'origin.test',
    port: 80,
    proxyAuthorization: `Basic ${Buffer.from('crawler:tok').toString('base64')}`,
  } as const;
  const port = await proxy.inside(way);
  expect(await ask('GET /in HTTP/1.1\r\nHost: Origin.test:80\r\n\r\n', port)).toMatch(/ 200 /);
  expect(proxy.engine.arrived.at(-1)?.agent).toBe('crawler');
  expect(await ask('GET /in HTTP/1.1\r\nHost: other.test\r\n\r\n', port)).toMatch(/ 421 /);
  expect(await ask('GET /in HTTP/1.1\r\nHost: origin.test:81\r\n\r\n', port)).toMatch(/ 421 /);
  expect(await ask('GET http://origin.test/in HTTP/1.1\r\nHost: x\r\n\r\n', port)).toMatch(/ 200 /);
  expect(await ask('GET http://other.test/in HTTP/1.1\r\nHost: x\r\n\r\n', port)).toMatch(/ 421 /);
  expect(await ask('GET https://origin.test/in HTTP/1.1\r\nHost: x\r\n\r\n', port)).toMatch(
    / 421 /,
  );
});

test('unlisted hosts are refused where the configuration says so', async () => {
  const strict = await rig({ unlistedHosts: 'deny' });
  const text = await ask('GET http://unlisted.test/ HTTP/1.1\r\nHost: x\r\n\r\n', strict.port);
  expect(text).toMatch(/^HTTP\/1\.1 403 /);
  expect(text).toContain('unlisted.test');
  await strict.close();
});

test('an unlisted host passes ungoverned', async () => {
  const before = proxy.engine.inputs.length;
  const open = await rig({
    guard: { lookup: (_name, done) => done(null, [{ address: '10.255.255.1', family: 4 }]) },
  });
  open.own.push({ host: '10.255.255.1', port: 80, role: 'api' });
  // The only address it has is one of ours: nothing is dialled, but the engine was not asked.
  const text = await ask('GET http://unlisted.test/ HTTP/1.1\r\nHost: x\r\n\r\n', open.port);
  expect(text).toMatch(/^HTTP\/1\.1 403 /);
  expect(text).not.toContain('x-ratelord-id');
  expect(open.engine.inputs).toEqual([]);
  expect(proxy.engine.inputs.length).toBe(before);
  await open.close();
});

test('Link and Location come back pointing at the mount', async () => {
  const paged = await origin(
    answering(
      'HTTP/1.1 302 Found\r\n' +
        'Link: <http://origin.test/items?page=2>; rel="next"; title="a <b>", </items?page=9>; rel="last"\r\n' +
        'Location: http://origin.test/moved?x=1\r\nContent-Location: http://origin.test/kept\r\nContent-Length: 0\r\n\r\n',
    ),
  );
  const through = await rig({ originPort: paged.port });
  const text = await ask(
    'GET /@ci/fake/items HTTP/1.1\r\nHost: localhost:1234\r\n\r\n',
    through.port,
  );
  expect(text).toContain(
    'Link: <http://localhost:1234/@ci/fake/items?page=2>; rel="next"; title="a <b>", ' +
      '<http://localhost:1234/@ci/fake/items?page=9>; rel="last"\r\n',
  );
  expect(text).toContain('Location: http://localhost:1234/@ci/fake/moved?x=1\r\n');
  expect(text).toContain('Content-Location: http://origin.test/kept\r\n');
  const forward = await ask(
    'GET http://origin.test/items HTTP/1.1\r\nHost: x\r\n\r\n',
    through.port,
  );
  expect(forward).toContain('Location: http://origin.test/moved?x=1\r\n');
  await through.close();
  paged.server.close();
});

test('Location elsewhere, or relative to the path, is left alone', async () => {
  const away = await origin((socket, text) => {
    const to = text.includes('/rel') ? 'next?page=2' : 'https://cdn.example/file';
    if (text.endsWith('\r\n\r\n')) {
      socket.end(`HTTP/1.1 302 Found\r\nLocation: ${to}\r\nContent-Length: 0\r\n\r\n`);
    }
  });
  const through = await rig({ originPort: away.port });
  const far = await ask('GET /fake/abs HTTP/1.1\r\nHost: a\r\n\r\n', through.port);
  expect(far).toContain('Location: https://cdn.example/file\r\n');
  const near = await ask('GET /fake/rel HTTP/1.1\r\nHost: a\r\n\r\n', through.port);
  expect(near).toContain('Location: next?page=2\r\n');
  await through.close();
  away.server.close();
});

test('a request that already came through is a loop', async () => {
  const text = await ask('GET /fake/ HTTP/1.1\r\nHost: a\r\nVia: 1.1 x, 1.1 rl-test-1\r\n\r\n');
  expect(text).toMatch(/^HTTP\/1\.1 508 /);
});

test('a target that is the proxy itself is a loop; the API is refused under any name', async () => {
  const target = `http://127.0.0.1:${String(proxy.port)}/fake/`;
  expect(await ask(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(/^HTTP\/1\.1 508 /);
  const api = await origin(answering(OK));
  proxy.own.push({ host: '127.0.0.1', port: api.port, role: 'api' });
  const names = [
    '127.0.0.1',
    'localhost',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    '[::]',
    '127.1',
    '2130706433',
  ];
  for (const name of names) {
    const text = await ask(`GET http://${name}:${String(api.port)}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(text, name).toMatch(/^HTTP\/1\.1 403 /);
  }
  expect(api.text()).toBe('');
  api.server.close();
});

test('loopback, link-local and metadata targets are refused', async () => {
  const secret = await origin(answering(OK));
  const port = String(secret.port);
  const hosts = [
    `127.0.0.1:${port}`,
    `[::1]:${port}`,
    '169.254.169.254',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '100.100.100.200',
    '224.0.0.1',
  ];
  for (const host of hosts) {
    const text = await ask(`GET http://${host}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(text, host).toMatch(/^HTTP\/1\.1 403 /);
  }
  expect(secret.text()).toBe('');
  secret.server.close();
});
