/** Answers other than 101 whose client does not stay to read them. */
import { connect } from 'node:net';
import type { Server } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { eventually } from './connect-support.ts';
import { origin, upgradeBench } from './upgrade-support.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const HANDSHAKE =
  'GET /model/v1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

function refusing(body: string, declared: number): (server: Server) => void {
  return (server) => {
    server.on('upgrade', (_req, socket) => {
      socket.resume().on('end', () => socket.destroy());
      socket.write(
        `HTTP/1.1 400 Bad Request\r\nContent-Length: ${String(declared)}\r\n\r\n${body}`,
      );
    });
  };
}

test.each([
  ['ends while the rest is awaited', 'abc', 1_000, 'end'],
  ['resets while the rest is awaited', 'abc', 1_000, 'reset'],
  ['ends without having read it', 'x'.repeat(8_000_000), 8_000_000, 'end'],
] as const)('a client that %s leaves nothing behind', async (_name, body, declared, how) => {
  const there = await origin(refusing(body, declared));
  closing.push(there.close);
  const at = await upgradeBench({ originPort: there.port });
  closing.push(at.close);
  const client = connect(at.port, '127.0.0.1');
  client.on('error', () => undefined);
  client.write(HANDSHAKE);
  await new Promise((resolve) => client.once('readable', resolve));
  if (how === 'end') client.end();
  else client.resetAndDestroy();
  await eventually(() => at.driver.story.length === 3);
  expect(at.driver.story).toEqual(['arrived', 'head', 'ended aborted']);
  await eventually(() => there.sockets.size === 0 && at.sockets.size === 0);
});
