import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { skipContinue } from '../../../src/proxy/upstream/interim.ts';

const open: { close(): void }[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** A client socket, treated, and the origin's end of it. */
async function pair(): Promise<{ socket: Socket; origin: Socket }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [origin] = (await once(server, 'connection')) as [Socket];
  open.push({
    close() {
      socket.destroy();
      origin.destroy();
      server.close();
    },
  });
  skipContinue(socket);
  return { socket, origin };
}

async function readable(socket: Socket): Promise<void> {
  if (socket.readableLength === 0) await once(socket, 'readable');
}

it('asking for more takes nothing away: Node itself calls `read(0)`', async () => {
  const { socket, origin } = await pair();
  socket.on('readable', () => undefined);
  socket.write('GET / HTTP/1.1\r\n\r\n');
  origin.write('HTTP/1.1 200 OK\r\n\r\nabc');
  await readable(socket);
  expect(socket.read(0)).toBeNull();
  expect(String(socket.read())).toBe('HTTP/1.1 200 OK\r\n\r\nabc');
  origin.write('content');
  await readable(socket);
  expect(socket.read(0)).toBeNull();
  expect(String(socket.read())).toBe('content');
});

it('takes a 100 out, and nothing else', async () => {
  const { socket, origin } = await pair();
  socket.on('readable', () => undefined);
  socket.write('GET / HTTP/1.1\r\n\r\n');
  origin.write(
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
  );
  await readable(socket);
  expect(String(socket.read())).toBe('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n');
});
