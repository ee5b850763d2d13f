import { afterEach, describe, expect, test } from 'vitest';
import type { Socket } from 'node:net';
import { answering, client, eventually, origin, rig } from './rig.ts';
import type { Client, Origin, Rig, RigOptions } from './rig.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

type Script = (socket: Socket, text: string, connection: number) => void;

/** Runs the script once a connection's first head is complete. */
async function scripted(script: Script, options: RigOptions = {}): Promise<[Rig, Origin]> {
  const begun = new Set<number>();
  const upstream = await origin((socket, text, connection) => {
    if (begun.has(connection) || !text.includes('\r\n\r\n')) return;
    begun.add(connection);
    script(socket, text, connection);
  });
  const proxy = await rig({ originPort: upstream.port, ...options });
  open.push(proxy, { close: () => upstream.server.close() });
  return [proxy, upstream];
}

const GET = 'GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n';

function ask(proxy: Rig, bytes = GET): Client {
  const one = client(proxy.port);
  open.push({ close: () => one.socket.destroy() });
  one.send(bytes);
  return one;
}

const endings = (proxy: Rig): string[] => proxy.engine.ended.map((one) => one.ending);

test('trailers pass', async () => {
  const [proxy] = await scripted((socket) =>
    socket.write(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n',
    ),
  );
  const text = await ask(proxy).until(/0\r\nX-Sum: 42\r\n\r\n$/);
  expect(text).toContain('Trailer: X-Sum\r\n');
  expect(text.match(/Transfer-Encoding: chunked/gi)?.length).toBe(1);
  expect(endings(proxy)).toEqual(['complete']);
});

test('103 passes ahead of the response; an unasked 100 ends here', async () => {
  const [proxy] = await scripted((socket) => {
    socket.write(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n',
    );
    setTimeout(() => {
      socket.write(
        '\r\nHTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      );
    }, 5);
  });
  const text = await ask(proxy).until(/\r\n\r\nok/);
  expect(text).toMatch(
    /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
  );
  expect(text).not.toContain('100 Continue');
  expect(endings(proxy)).toEqual(['complete']);
});

test('content that looks like a 100 is content', async () => {
  const body = 'HTTP/1.1 100 Continue\r\n\r\n';
  const [proxy] = await scripted((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${String(body.length)}\r\n\r\n`);
    setTimeout(() => socket.write(body), 5);
  });
  const text = await ask(proxy).until(/100 Continue\r\n\r\n$/);
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
});

test('1xx are kept from HTTP/1.0 clients', async () => {
  const [proxy] = await scripted((socket) =>
    socket.write(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ),
  );
  const text = await ask(proxy, 'GET /fake/ HTTP/1.0\r\nHost: a\r\n\r\n').closed();
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/);
  expect(text).not.toContain('chunked');
});

describe('responses without content', () => {
  const cases: [string, string, string][] = [
    ['HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n'],
    ['HEAD of something chunked', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 10\r\n\r\n'],
    ['an empty 200', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ];
  for (const [name, method, response] of cases) {
    test(name, async () => {
      const upstream = await origin(answering(response));
      const proxy = await rig({ originPort: upstream.port });
      open.push(proxy, { close: () => upstream.server.close() });
      const request = `${method} /fake/ HTTP/1.1\r\nHost: a\r\n\r\n`;
      const one = ask(proxy, request);
      const text = await one.until(/\r\n\r\n/);
      expect(text.slice(0, 12)).toBe(response.slice(0, 12));
      if (response.includes('5000')) expect(text).toContain('Content-Length: 5000\r\n');
      await eventually(() => proxy.engine.ended.length === 1);
      expect(text).toMatch(/\r\n\r\n$/);
      // And the connection goes on.
      one.send(request);
      await one.until(/\r\n\r\n[^]*\r\n\r\n/);
      expect(endings(proxy)[0]).toBe('complete');
    });
  }
});

describe('an origin that breaks off breaks the client’s connection', () => {
  const cut: [string, string][] = [
    ['declared length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'],
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
    ['inside a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc'],
  ];
  for (const [name, response] of cut) {
    for (const how of ['FIN', 'RST'] as const) {
      test(`${name}, ${how}`, async () => {
        const [proxy] = await scripted((socket) => {
          socket.write(response);
          setTimeout(() => (how === 'FIN' ? socket.end() : socket.resetAndDestroy()), 5);
        });
        const text = await ask(proxy).closed();
        expect(text).toContain('abc');
        expect(text).not.toMatch(/\r\n0\r\n\r\n$/);
        expect(endings(proxy)).toEqual(['truncated']);
        expect(proxy.engine.ended[0]?.error).toBeTruthy();
      });
    }
  }
});

test('content that ends with the connection is whole', async () => {
  const [proxy] = await scripted((socket) => {
    socket.end('HTTP/1.1 200 OK\r\n\r\nto the end');
  });
  const text = await ask(proxy).until(/0\r\n\r\n$/);
  expect(text).toContain('to the end');
  expect(endings(proxy)).toEqual(['complete']);
});

test('coded content passes as it is', async () => {
  const { gzipSync } = await import('node:zlib');
  const coded = gzipSync('x'.repeat(1_000));
  const [proxy] = await scripted((socket) => {
    socket.write(
      `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${String(coded.length)}\r\n\r\n`,
    );
    socket.write(coded);
  });
  const one = ask(proxy);
  await eventually(() => one.bytes().includes(coded));
  expect(one.text()).toContain('Content-Encoding: gzip\r\n');
});

test('the head goes out before there is content, and events as they come', async () => {
  let stream: Socket | null = null;
  const [proxy] = await scripted((socket) => {
    stream = socket;
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
  });
  const one = ask(proxy);
  await one.until(/text\/event-stream\r\n[^]*\r\n\r\n/);
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    (stream as unknown as Socket).write(`${event.length.toString(16)}\r\n${event}\r\n`);
    await one.until(new RegExp(event.trim()));
  }
  (stream as unknown as Socket).write('0\r\n\r\n');
  await one.until(/0\r\n\r\n$/);
  expect(proxy.engine.ended[0]).toMatchObject({ ending: 'complete', bytesDown: 18 });
});

test('a client that leaves takes the origin’s connection with it', async () => {
  const gone: string[] = [];
  const [proxy] = await scripted((socket) => {
    socket.once('close', () => gone.push('closed'));
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
  });
  const one = ask(proxy);
  await one.until(/abc/);
  one.socket.destroy();
  await eventually(() => gone.length === 1 && proxy.engine.ended.length === 1);
  expect(proxy.engine.ended[0]).toMatchObject({ ending: 'aborted', bytesDown: 3 });
});

test('a client that leaves before the head, too', async () => {
  let closed = false;
  const [proxy, upstream] = await scripted((socket) => socket.once('close', () => (closed = true)));
  const one = ask(proxy);
  await eventually(() => upstream.text().includes('\r\n\r\n'));
  one.socket.destroy();
  await eventually(() => closed && proxy.engine.ended.length === 1);
  expect(endings(proxy)).toEqual(['aborted']);
});

test('an answer to half an upload is passed on, and the connection closed', async () => {
  const [proxy] = await scripted((socket) => {
    socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig');
  });
  const one = ask(
    proxy,
    'POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome of it',
  );
  await one.until(/\r\n\r\nbig/);
  one.send('more of it, which nobody wants');
  await one.closed();
  expect(one.text()).toMatch(/^HTTP\/1\.1 413 /);
  expect(endings(proxy)).toEqual(['complete']);
});

test('a kept connection that the origin closes is replaced, if the request may be repeated', async () => {
  let connections = 0;
  const upstream = await origin((socket, text, connection) => {
    connections = Math.max(connections, connection + 1);
    const asked = text.match(/ HTTP\/1\.1\r\n/g)?.length ?? 0;
    // The first connection answers once and then hangs up on whatever comes.
    if (connection === 0 && asked > 1) socket.resetAndDestroy();
    else if (text.endsWith('\r\n\r\n'))
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const proxy = await rig({ originPort: upstream.port });
  open.push(proxy, { close: () => upstream.server.close() });
  const one = ask(proxy);
  await one.until(/ok$/);
  one.send(GET);
  await one.until(/ok[^]*ok$/);
  expect(connections).toBe(2);
  expect(endings(proxy)).toEqual(['complete', 'complete']);
});

test('a request with content is not sent twice', async () => {
  const upstream = await origin((socket, text) => {
    const asked = text.match(/ HTTP\/1\.1\r\n/g)?.length ?? 0;
    if (asked > 1) socket.resetAndDestroy();
    else if (text.endsWith('\r\n\r\n'))
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const proxy = await rig({ originPort: upstream.port });
  open.push(proxy, { close: () => upstream.server.close() });
  const one = ask(proxy);
  await one.until(/ok$/);
  one.send('POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx');
  await one.until(/HTTP\/1\.1 502 /);
  expect(upstream.sockets.length).toBe(1);
  expect(endings(proxy)).toEqual(['complete', 'failed']);
});
