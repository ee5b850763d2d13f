/** WebSocket handshakes are governed like any other request, and their frames are left alone. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { afterAll, expect, test } from 'vitest';
import { configFor } from './configs.ts';
import { cleanUp, eventually, startDaemon, undo } from './harness.ts';
import type { Origin } from './origins.ts';

afterAll(cleanUp);

/** Echoes, after one Realtime message about the limits. */
async function realtimeOrigin(): Promise<Origin & { readonly fields: string[][] }> {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  const fields: string[][] = [];
  sockets.on('connection', (socket, request) => {
    fields.push(request.rawHeaders);
    const rate_limits = [
      { name: 'requests', limit: 1_000, remaining: 999, reset_seconds: 0.06 },
      { name: 'tokens', limit: 50_000, remaining: 49_950, reset_seconds: 0.06 },
    ];
    socket.send(JSON.stringify({ type: 'rate_limits.updated', event_id: 'e1', rate_limits }));
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
  undo(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  const url = `http://127.0.0.1:${String(port)}`;
  return { url, seen: [], refused: 0, served: 0, fields };
}

test('through the gateway: governed, recorded, and read on the way', async () => {
  const origin = await realtimeOrigin();
  const daemon = await startDaemon({ config: configFor({ openai: origin }) });
  const base = daemon.proxy.replace('http', 'ws');
  const socket = new WebSocket(`${base}/@caller/openai/v1/realtime?model=gpt-realtime`, {
    headers: { authorization: 'Bearer sk-ws', 'proxy-authorization': 'Basic c2VjcmV0OnNlY3JldA==' },
  });
  undo(() => socket.terminate());
  const got: string[] = [];
  let decision: unknown;
  socket.on('upgrade', (response) => (decision = response.headers['x-ratelord-decision']));
  socket.on('message', (data: Buffer) => got.push(data.toString()));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  expect(decision).toBe('pass');
  const large = 'y'.repeat(100_000);
  socket.send('hello');
  socket.send(large);
  await eventually(
    () => got.length,
    (count) => count === 3,
  );
  expect(got[0]).toContain('rate_limits.updated');
  expect(got.slice(1)).toEqual(['hello', large]);
  const names = origin.fields[0]?.map((name) => name.toLowerCase()) ?? [];
  expect(names).not.toContain('proxy-authorization');
  expect(names.filter((name) => name.startsWith('x-ratelord'))).toEqual([]);
  const pools = await eventually(
    () => daemon.items('/v1/pools?provider=openai'),
    (items) => items.length >= 2,
  );
  const tokens = pools.find((pool) => pool['pool'] === 'tokens');
  expect(tokens).toMatchObject({ limit: 50_000, model: 'gpt-realtime' });
  socket.close();
  const settled = await eventually(
    () => daemon.items('/v1/events?type=usage_settled&agent=caller'),
    (events) => events.length === 1,
  );
  expect(settled[0]?.['payload']).toMatchObject({ status: 101 });
});

test('a handshake that policy refuses gets an answer and no socket', async () => {
  const origin = await realtimeOrigin();
  const daemon = await startDaemon({
    config: configFor({ openai: origin }),
    policy:
      'version: 1\nrules: [{ id: no-sockets, match: { path: "*/realtime" }, action: reject }]\n',
  });
  const base = daemon.proxy.replace('http', 'ws');
  const socket = new WebSocket(`${base}/openai/v1/realtime?model=gpt-realtime`);
  const status = await new Promise((resolve, reject) => {
    socket.once('unexpected-response', (request, response) => {
      resolve(response.statusCode);
      response.resume();
      request.destroy();
    });
    socket.once('open', () => reject(new Error('it was opened')));
    socket.on('error', () => undefined);
  });
  expect(status).toBe(429);
  expect(origin.fields).toEqual([]);
});
