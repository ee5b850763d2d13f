/** What clients and origins send that means to confuse: on one connection, and about framing. */
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { createListener, listen } from '../../../src/proxy/listener.ts';
import { answering, client, eventually, OK, origin, rig } from './rig.ts';
import type { Client, Origin, Rig, RigOptions } from './rig.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function upstream(script: Parameters<typeof origin>[0]): Promise<Origin> {
  const made = await origin(script);
  closing.push(() => {
    for (const socket of made.sockets) socket.destroy();
    made.server.close();
  });
  return made;
}

async function proxyTo(options: RigOptions): Promise<Rig> {
  const made = await rig(options);
  closing.push(made.close);
  return made;
}

function dial(port: number): Client {
  const made = client(port);
  closing.push(() => made.socket.destroy());
  return made;
}

/** What the client got, and what reached the origin, of one request. */
async function tried(bytes: string): Promise<{ text: string; sent: string }> {
  const there = await upstream(answering(OK));
  const at = await proxyTo({ originPort: there.port });
  const one = dial(at.port);
  one.send(bytes);
  const text = await one.until(/\r\n\r\n/);
  return { text, sent: there.text() };
}

describe('requests that two readers would read differently', () => {
  const chunked = '5\r\nhello\r\n0\r\n\r\n';
  test.each([
    ['gzip under chunked', 'Transfer-Encoding: gzip, chunked\r\n', 'HTTP/1.1', chunked],
    ['identity under chunked', 'Transfer-Encoding: identity, chunked\r\n', 'HTTP/1.1', chunked],
    [
      'two fields of codings',
      'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n',
      'HTTP/1.1',
      chunked,
    ],
    ['an empty coding', 'Transfer-Encoding: ,chunked\r\n', 'HTTP/1.1', chunked],
    ['another major version', '', 'HTTP/2.0', ''],
    ['a Host that is none', 'X: y\r\n', 'HTTP/1.1 ', ''],
  ])('%s', async (name, fields, version, body) => {
    const host = name.startsWith('a Host') ? 'a b' : 'a';
    const line = `POST /fake/x ${version.trim()}\r\n`;
    const { text, sent } = await tried(`${line}Host: ${host}\r\n${fields}\r\n${body}`);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(sent).toBe('');
  });

  test('a single chunked is understood, in any case', async () => {
    const { sent } = await tried(
      `POST /fake/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n${chunked}`,
    );
    expect(sent).toContain(chunked);
  });

  test('a fragment does not reach the origin', async () => {
    const { sent } = await tried('GET /fake/x#/../y HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(sent).toMatch(/^GET \/x HTTP/);
  });

  test('an empty Host is as good as none', async () => {
    const { text } = await tried('GET /fake/x HTTP/1.1\r\nHost: \r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });
});

test('rules see one spelling of a path, the origin the one that was written', async () => {
  const there = await upstream(answering(OK));
  const at = await proxyTo({ originPort: there.port });
  const one = dial(at.port);
  one.send('GET /fake/x/..//%61cme?q=%61 HTTP/1.1\r\nHost: a\r\n\r\n');
  await one.until(/ok$/);
  expect(at.engine.arrived[0]?.head.path).toBe('/acme?q=%61');
  expect(there.text()).toMatch(/^GET \/x\/\.\.\/\/%61cme\?q=%61 HTTP/);
});

describe('after what is the last response of a connection', () => {
  test('nothing more is served: the origin answered before the upload was through', async () => {
    const there = await upstream((socket, text) => {
      if (text.endsWith('first')) socket.write('HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n');
    });
    const at = await proxyTo({ originPort: there.port });
    const one = dial(at.port);
    one.send('POST /fake/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst');
    await one.until(/413[^]*\r\n\r\n/);
    one.send('last!GET /fake/SMUGGLED HTTP/1.1\r\nHost: a\r\n\r\n');
    one.socket.end();
    await one.closed();
    await once(one.socket, 'close');
    expect(at.engine.arrived).toHaveLength(1);
    expect(there.text()).not.toContain('SMUGGLED');
  });

  test('nothing more is served: the proxy refused the upload', async () => {
    const there = await upstream(answering(OK));
    const at = await proxyTo({ originPort: there.port });
    const one = dial(at.port);
    const rest = `${'x'.repeat(100_000)}GET /fake/SMUGGLED HTTP/1.1\r\nHost: a\r\n\r\n`;
    one.send(`POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${rest}`);
    one.socket.end();
    expect(await one.closed()).toMatch(/^HTTP\/1\.1 404 /);
    await once(one.socket, 'close');
    expect(at.engine.arrived).toEqual([]);
  });
});

describe('a response that is owed', () => {
  const LATE = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate';

  test.each([
    ['rubbish', 'Host: a\r\n', '\x01\x02 not http\r\n\r\n'],
    ['more after a close', 'Host: a\r\nConnection: close\r\n', 'GET / HTTP/1.1\r\n\r\n'],
  ])('is given before a connection is closed over %s', async (_name, fields, after) => {
    const there = await upstream(() => undefined);
    const at = await proxyTo({ originPort: there.port });
    const one = dial(at.port);
    one.send(`GET /fake/a HTTP/1.1\r\n${fields}\r\n`);
    await eventually(() => there.text().includes('\r\n\r\n'));
    one.send(after);
    await new Promise((resolve) => setTimeout(resolve, 20));
    there.sockets[0]?.write(LATE);
    const text = await one.closed();
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text.endsWith('late')).toBe(true);
  });

  test.each([
    ['a CONNECT', 'CONNECT other.test:443 HTTP/1.1\r\nHost: a\r\n\r\n'],
    [
      'an upgrade',
      'GET /fake/b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ],
  ])('is not overtaken by %s: the connection is broken off', async (_name, after) => {
    const seen: string[] = [];
    const server = createListener({
      handle: (req) => void seen.push(req.url ?? ''),
      upgrade: (req) => void seen.push(`upgrade ${req.url ?? ''}`),
      connect: (req) => void seen.push(`connect ${req.url ?? ''}`),
    });
    closing.push(() => server.close());
    const { port } = await listen(server, '127.0.0.1', 0);
    const one = dial(port);
    one.send(`GET /a HTTP/1.1\r\nHost: a\r\n\r\n${after}`);
    expect(await one.closed()).toBe('');
    expect(seen).toEqual(['/a']);
  });
});

describe('responses', () => {
  async function answered(response: string): Promise<string> {
    const there = await upstream(answering(Buffer.from(response, 'latin1')));
    const at = await proxyTo({ originPort: there.port });
    const one = dial(at.port);
    one.send('GET /fake/a HTTP/1.1\r\nHost: a\r\n\r\n');
    const text = await one.until(/\r\n\r\n(?:$|[^H])/);
    await eventually(() => at.engine.ended.length === 1);
    return text;
  }

  test('a transfer coding that would be lost is refused', async () => {
    const text = await answered(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 502 /);
  });

  test.each([
    ['UTF-8', 'G\xc3\xbcltig \xe2\x80\x94'],
    ['Latin-1', 'G\xfcltig'],
  ])('a reason phrase in %s does not cost the response', async (_name, reason) => {
    const text = await answered(`HTTP/1.1 200 ${reason}\r\nContent-Length: 2\r\n\r\nok`);
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test('a 204 announces no content', async () => {
    const text = await answered('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 204 /);
    expect(text).not.toMatch(/content-length/i);
  });

  test('a status below 100 is no interim response', async () => {
    const text = await answered('HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok');
    expect(text).toMatch(/^HTTP\/1\.1 502 /);
  });

  test('interim responses do not pile up for a client that does not read', async () => {
    const hint = `HTTP/1.1 103 Early Hints\r\nX-Pad: ${'p'.repeat(1_000)}\r\n\r\n`;
    const there = await upstream(answering(hint.repeat(20_000) + OK));
    const at = await proxyTo({ originPort: there.port });
    let accepted = 0;
    let most = 0;
    at.server.on('connection', (socket) => {
      const write = socket.write.bind(socket) as (...parts: unknown[]) => boolean;
      socket.write = (...parts: unknown[]): boolean => {
        accepted += 1;
        const flowing = write(...parts);
        most = Math.max(most, socket.writableLength);
        return flowing;
      };
    });
    const one = dial(at.port);
    one.socket.pause();
    one.send('GET /fake/a HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually(() => at.engine.ended.length === 1);
    expect(accepted).toBeGreaterThan(0);
    expect(most).toBeLessThan(100_000);
    one.socket.resume();
    expect(await one.until(/ok$/)).toContain('HTTP/1.1 200 OK');
  });
});

test('who must identify itself must do so for hosts that are not governed too', async () => {
  const agents = {
    admit: () => ({ ok: false, message: 'name the agent' }) as const,
  };
  const at = await proxyTo({ agents });
  const one = dial(at.port);
  one.send('GET http://elsewhere.test/ HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n');
  expect(await one.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 407 /);
});
