/** Flat memory and back pressure, both ways. */
import { afterEach, expect, test } from 'vitest';
import { client, eventually, origin, rig } from './rig.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const MIB = 1_048_576;
const BLOCK = Buffer.alloc(MIB, 120);

/** Highest resident memory above the start while something runs, in MiB. */
async function growth(run: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage().rss;
  let highest = before;
  const timer = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage().rss);
  }, 10);
  await run();
  clearInterval(timer);
  return (highest - before) / MIB;
}

test('a long download runs in flat memory', async () => {
  const total = 256;
  const upstream = await origin((socket, text) => {
    if (!text.endsWith('\r\n\r\n')) return;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${String(total * MIB)}\r\n\r\n`);
    let left = total;
    const pump = (): void => {
      while (left > 0) {
        left -= 1;
        if (!socket.write(BLOCK)) break;
      }
      if (left > 0) socket.once('drain', pump);
    };
    pump();
  });
  const proxy = await rig({ originPort: upstream.port });
  open.push(proxy, { close: () => upstream.server.close() });
  const { connect } = await import('node:net');
  const socket = connect(proxy.port, '127.0.0.1');
  open.push({ close: () => socket.destroy() });
  let received = 0;
  socket.on('data', (chunk) => (received += chunk.length));
  const grown = await growth(async () => {
    socket.write('GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually(() => received > total * MIB);
  });
  expect(grown).toBeLessThan(128);
  expect(proxy.engine.ended[0]?.bytesDown).toBe(total * MIB);
});

test('a long upload runs in flat memory', async () => {
  const total = 256;
  let received = 0;
  const { createServer } = await import('node:http');
  const server = createServer((req, res) => {
    req.on('data', (chunk: Buffer) => (received += chunk.length));
    req.on('end', () => res.end('done'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const proxy = await rig({ originPort: port });
  open.push(proxy, { close: () => server.close() });
  const one = client(proxy.port);
  open.push({ close: () => one.socket.destroy() });
  const grown = await growth(async () => {
    one.send(`POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${String(total * MIB)}\r\n\r\n`);
    for (let i = 0; i < total; i++) {
      if (!one.socket.write(BLOCK))
        await new Promise((resolve) => one.socket.once('drain', resolve));
    }
    await one.until(/done/);
  });
  expect(received).toBe(total * MIB);
  expect(grown).toBeLessThan(128);
  expect(proxy.engine.ended[0]).toMatchObject({ ending: 'complete', bytesUp: total * MIB });
});

test('a client that does not read stops the origin', async () => {
  let written = 0;
  let stalled = false;
  const upstream = await origin((socket, text) => {
    if (!text.endsWith('\r\n\r\n')) return;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${String(512 * MIB)}\r\n\r\n`);
    const pump = (): void => {
      stalled = false;
      while (written < 512) {
        written += 1;
        if (!socket.write(BLOCK)) break;
      }
      stalled = true;
      socket.once('drain', pump);
    };
    pump();
  });
  const proxy = await rig({ originPort: upstream.port });
  open.push(proxy, { close: () => upstream.server.close() });
  const one = client(proxy.port);
  open.push({ close: () => one.socket.destroy() });
  one.send('GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n');
  await one.until(/200 OK/);
  one.socket.pause();
  // Kernel buffers take some; then nothing moves until the client reads again.
  let before = -1;
  while (before !== written) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  expect(stalled).toBe(true);
  expect(written).toBeLessThan(64);
  const at = written;
  one.socket.resume();
  await eventually(() => written > at + 8);
});

test('an origin that does not read stops the client', async () => {
  const upstream = await origin((socket) => socket.pause());
  const proxy = await rig({ originPort: upstream.port });
  open.push(proxy, { close: () => upstream.server.close() });
  const one = client(proxy.port);
  open.push({ close: () => one.socket.destroy() });
  one.send('POST /fake/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  let taken = 0;
  const size = Buffer.from(`${MIB.toString(16)}\r\n`);
  const pump = (): void => {
    while (taken < 512) {
      taken += 1;
      one.socket.write(size);
      one.socket.write(BLOCK);
      if (!one.socket.write('\r\n')) break;
    }
    one.socket.once('drain', pump);
  };
  pump();
  let before = -1;
  while (before !== taken) {
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  expect(taken).toBeLessThan(64);
});

test('the content of a waiting request is not read', async () => {
  const proxy = await rig({});
  open.push(proxy);
  proxy.engine.verdict = () => null;
  const one = client(proxy.port);
  open.push({ close: () => one.socket.destroy() });
  one.send(`POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${String(512 * MIB)}\r\n\r\n`);
  let taken = 0;
  const pump = (): void => {
    while (taken < 512) {
      taken += 1;
      if (!one.socket.write(BLOCK)) break;
    }
    one.socket.once('drain', pump);
  };
  pump();
  let before = -1;
  while (before !== taken) {
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  expect(proxy.engine.arrived.length).toBe(1);
  expect(taken).toBeLessThan(64);
});
