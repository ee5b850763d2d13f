import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createInside } from '../../src/proxy/inside.ts';
import type { Inside } from '../../src/proxy/inside.ts';
import type { InsideWay } from '../../src/proxy/connect.ts';
import { eventually, listen, rawClient } from './connect-support.ts';
import type { Raw } from './connect-support.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const WAY: InsideWay = {
  kind: 'inside',
  scheme: 'http',
  host: 'api.test',
  port: 80,
  proxyAuthorization: undefined,
};

interface Rig {
  readonly inside: Inside;
  client(send: string): Raw;
  readonly accepted: Socket[];
}

async function rig(limits: Parameters<typeof createInside>[1] = {}): Promise<Rig> {
  const inside = createInside(
    {
      handle: (_req, res, way) => {
        res.end(way.kind === 'inside' ? way.host : 'outside');
      },
      upgrade: (_req, socket) => socket.destroy(),
    },
    limits,
  );
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    inside.accept(socket, WAY);
  });
  const port = await listen(server);
  closing.push(() => {
    inside.destroy();
    inside.close();
    server.close();
  });
  return {
    inside,
    accepted,
    client(send) {
      const raw = rawClient(port, send);
      closing.push(() => raw.socket.destroy());
      return raw;
    },
  };
}

test('every request of a connection carries its way in', async () => {
  const { client } = await rig();
  const raw = client('GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const seen = await raw.until('api.test');
  expect(seen).not.toContain('outside');
  await raw.until('\r\n\r\napi.testHTTP/1.1 200');
});

test('a head that does not come in time is 408', async () => {
  const { client } = await rig({ headersTimeout: 40, connectionsCheckingInterval: 20 });
  expect(await client('GET / HTTP/1.1\r\nHost:').closed()).toMatch(/^HTTP\/1\.1 408 /);
});

test('a CONNECT inside a CONNECT is refused', async () => {
  const { client } = await rig();
  const seen = await client('CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n').closed();
  expect(seen).toMatch(/^HTTP\/1\.1 400 /);
});

test('what is not HTTP is answered and closed', async () => {
  const { client } = await rig();
  expect(await client('NONSENSE\r\n\r\n').closed()).toMatch(/^HTTP\/1\.1 400 /);
});

test('closing lets go of idle connections at once', async () => {
  const { inside, client, accepted } = await rig();
  await client('GET / HTTP/1.1\r\nHost: x\r\n\r\n').until('api.test');
  inside.close();
  await eventually(() => accepted[0]?.destroyed === true);
});

test('destroying breaks off a connection that has said nothing', async () => {
  const { inside, client, accepted } = await rig();
  const raw = client('');
  await once(raw.socket, 'connect');
  await eventually(() => accepted.length === 1);
  inside.destroy();
  await raw.closed();
});
