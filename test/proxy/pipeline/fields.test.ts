import { afterEach, expect, test } from 'vitest';
import { answering, client, OK, origin, rig } from './rig.ts';
import type { Origin, Rig, RigOptions } from './rig.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function pair(response: string | Buffer, options: RigOptions = {}): Promise<[Rig, Origin]> {
  const upstream = await origin(answering(response));
  const proxy = await rig({ originPort: upstream.port, ...options });
  open.push(proxy, { close: () => upstream.server.close() });
  return [proxy, upstream];
}

async function ask(proxy: Rig, bytes: string, port = proxy.port): Promise<string> {
  const one = client(port);
  one.send(bytes);
  const text = await one.until(/\r\n\r\n/);
  one.socket.destroy();
  return text;
}

test('case, order and number of fields are kept both ways', async () => {
  const [proxy, upstream] = await pair(
    'HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nX-MiXed: 1\r\nset-cookie: b=2\r\nx-mixed: 2\r\n' +
      'Date: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok',
  );
  const text = await ask(
    proxy,
    'GET /fake/p HTTP/1.1\r\nX-One: 1\r\nHost: a\r\nx-oNE: 2\r\nAccept-Encoding: gzip\r\nX-One: 3\r\n\r\n',
  );
  expect(upstream.text()).toContain(
    'X-One: 1\r\nx-oNE: 2\r\nAccept-Encoding: gzip\r\nX-One: 3\r\n',
  );
  expect(text).toMatch(
    /^HTTP\/1\.1 200 Fine\r\nSet-Cookie: a=1\r\nX-MiXed: 1\r\nset-cookie: b=2\r\nx-mixed: 2\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Length: 2\r\n/,
  );
});

test('octets above 127 pass unchanged', async () => {
  const response = 'HTTP/1.1 200 OK\r\nX-B: \xe9\xff\r\nContent-Length: 0\r\n\r\n';
  const [proxy, upstream] = await pair(Buffer.from(response, 'latin1'));
  const one = client(proxy.port);
  one.send(Buffer.from('GET /fake/ HTTP/1.1\r\nHost: a\r\nX-A: \xe4\xfe\r\n\r\n', 'latin1'));
  await one.until(/\r\n\r\n/);
  one.socket.destroy();
  expect(one.text()).toContain('X-B: \xe9\xff\r\n');
  expect(upstream.text()).toContain('X-A: \xe4\xfe\r\n');
});

test('hop-by-hop and nominated request fields end here', async () => {
  const [proxy, upstream] = await pair(OK);
  await ask(
    proxy,
    'GET /fake/ HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Secret\r\nKeep-Alive: timeout=5\r\n' +
      'Proxy-Connection: keep-alive\r\nTE: trailers\r\nX-Secret: s\r\nConnection: x-other\r\n' +
      'X-Other: o\r\nProxy-Authorization: Basic YTpi\r\nx-ratelord-agent: me\r\nX-Stays: 1\r\n\r\n',
  );
  const sent = upstream.text();
  for (const gone of [
    'Secret',
    'Other',
    'Keep-Alive:',
    'Proxy-',
    'TE:',
    'ratelord-agent',
    'YTpi',
  ]) {
    expect(sent).not.toContain(gone);
  }
  expect(sent).toContain('X-Stays: 1\r\n');
});

test('hop-by-hop and nominated response fields end here, and nobody speaks in our name', async () => {
  const [proxy] = await pair(
    'HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=99\r\nX-Hop: 1\r\n' +
      'Upgrade: h2c\r\nx-ratelord-id: forged\r\nX-Stays: 1\r\nContent-Length: 2\r\n\r\nok',
  );
  const text = await ask(proxy, 'GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n');
  for (const gone of ['X-Hop', 'timeout=99', 'h2c', 'forged']) expect(text).not.toContain(gone);
  expect(text).toContain('X-Stays: 1\r\n');
  expect(text).toContain('x-ratelord-id: id-1\r\n');
});

test('what the decision says is added; the provider’s own fields stay', async () => {
  const [proxy] = await pair(
    'HTTP/1.1 200 OK\r\nRateLimit: "default";r=50\r\nContent-Length: 2\r\n\r\nok',
  );
  proxy.engine.verdict = ({ key }) => [
    proxy.engine.pass(key, {
      decision: 'delay',
      waitedMs: 1_234.4,
      warnings: ['rule `w` warns'],
      quotaPolicyField: '"ratelord";q=10;w=60',
      quotaField: '"ratelord";r=3;t=9',
    }),
  ];
  const text = await ask(proxy, 'GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(text).toContain('RateLimit: "default";r=50\r\n');
  expect(text).toContain('RateLimit: "ratelord";r=3;t=9\r\n');
  expect(text).toContain('RateLimit-Policy: "ratelord";q=10;w=60\r\n');
  expect(text).toContain('x-ratelord-decision: delay\r\n');
  expect(text).toContain('x-ratelord-waited-ms: 1234\r\n');
  expect(text).toContain('x-ratelord-warning: rule `w` warns\r\n');
});

test('the engine sees the head that is forwarded and the head that came back', async () => {
  const [proxy] = await pair(
    'HTTP/1.1 200 OK\r\nX-RateLimit-Remaining: 7\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok',
  );
  await ask(
    proxy,
    'GET /fake/repos/a/b?q=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sesame\r\nx-ratelord-agent: me\r\n\r\n',
  );
  const [arrived] = proxy.engine.arrived;
  expect(arrived?.credential).toBe('h(sesame)');
  expect(arrived?.agent).toBe('me');
  expect(arrived?.head).toMatchObject({
    method: 'GET',
    scheme: 'http',
    host: 'origin.test',
    port: 80,
    path: '/repos/a/b?q=1',
    contentLength: 0,
    way: 'gateway',
  });
  expect(arrived?.head.fields).not.toContain('x-ratelord-agent');
  const [head] = proxy.engine.heads;
  expect(head?.head.status).toBe(200);
  expect(head?.head.date).toBe(Date.UTC(2030, 0, 1));
  expect(head?.head.fields).toContain('X-RateLimit-Remaining');
});

test('Via is added to requests, and to responses of a proxy but not of a gateway', async () => {
  const [proxy, upstream] = await pair(OK);
  const gateway = await ask(proxy, 'GET /fake/ HTTP/1.1\r\nHost: a\r\nVia: 1.0 before\r\n\r\n');
  const forward = await ask(proxy, 'GET http://origin.test/ HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(upstream.text()).toContain('Via: 1.0 before\r\nVia: 1.1 rl-test-1\r\n');
  expect(gateway).not.toMatch(/^Via:/m);
  expect(forward).toContain('Via: 1.1 rl-test-1\r\n');
});

test('a configured path prefix is put before the path, unseen by the engine', async () => {
  const [proxy, upstream] = await pair(OK, { pathPrefix: '/api/v3' });
  await ask(proxy, 'GET /fake/user HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(upstream.text()).toMatch(/^GET \/api\/v3\/user HTTP/);
  expect(proxy.engine.arrived[0]?.head.path).toBe('/user');
});
