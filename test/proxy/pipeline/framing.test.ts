import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

async function answerTo(bytes: string): Promise<string> {
  const one = client(proxy.port);
  one.send(bytes);
  const text = await one.until(/\r\n\r\n/);
  one.socket.destroy();
  return text;
}

describe('requests that two parsers could read differently', () => {
  const cases: [string, string, RegExp][] = [
    ['two Host fields', 'GET /fake/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'Content-Length with Transfer-Encoding',
      'POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    [
      'Transfer-Encoding in HTTP/1.0',
      'POST /fake/ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    [
      'two lengths',
      'POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd',
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a folded field',
      'GET /fake/ HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    ['bare line feeds', 'GET /fake/ HTTP/1.1\nHost: a\n\n', /^HTTP\/1\.1 400 /],
    ['no Host', 'GET /fake/ HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /^HTTP\/1\.1 400 /],
    ['an https:// target', 'GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', /CONNECT/],
    ['an ftp:// target', 'GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'a user in the target',
      'GET http://u:p@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    ['a bad authority', 'GET http://a b/ HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['`*` for GET', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'an unknown expectation',
      'GET /fake/ HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n',
      /^HTTP\/1\.1 417 /,
    ],
    [
      'a head above 64 KiB',
      `GET /fake/ HTTP/1.1\r\nHost: a\r\nX-Big: ${'x'.repeat(66_000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 /,
    ],
  ];
  for (const [name, bytes, expected] of cases) {
    test(name, async () => {
      const before = upstream.text().length;
      expect(await answerTo(bytes)).toMatch(expected);
      expect(upstream.text().length).toBe(before);
    });
  }

  test('none of them was judged or sent on', () => {
    expect(proxy.engine.inputs).toEqual([]);
  });
});

test('OPTIONS * is answered by the proxy itself', async () => {
  expect(await answerTo('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 204 /);
});

test('a head of almost 64 KiB passes in both directions', async () => {
  const big = 'y'.repeat(60_000);
  const wide = await origin(
    answering(`HTTP/1.1 200 OK\r\nX-Wide: ${big}\r\nContent-Length: 0\r\n\r\n`),
  );
  const through = await rig({ originPort: wide.port });
  const one = client(through.port);
  one.send(`GET /fake/ HTTP/1.1\r\nHost: a\r\nX-Big: ${big}\r\n\r\n`);
  const text = await one.until(/\r\n\r\n/);
  expect(text).toContain(`X-Wide: ${big}\r\n`);
  expect(wide.text()).toContain(`X-Big: ${big}\r\n`);
  one.socket.destroy();
  await through.close();
  wide.server.close();
});

test('two pipelined requests are answered in order', async () => {
  const slowFirst = await origin((socket, text) => {
    if (text.includes('/second')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2');
    else if (text.includes('/first')) {
      setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1'), 20);
    }
  });
  const through = await rig({ originPort: slowFirst.port });
  const one = client(through.port);
  one.send(
    'GET /fake/first HTTP/1.1\r\nHost: a\r\n\r\nGET /fake/second HTTP/1.1\r\nHost: a\r\n\r\n',
  );
  const text = await one.until(/\r\n\r\n2/);
  expect(text.indexOf('\r\n\r\n1')).toBeLessThan(text.indexOf('\r\n\r\n2'));
  expect(text.indexOf('\r\n\r\n1')).toBeGreaterThan(0);
  one.socket.destroy();
  await through.close();
  slowFirst.server.close();
});
