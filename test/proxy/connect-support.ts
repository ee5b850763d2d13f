/** A proxy made of the CONNECT rooms alone, in front of a server that tells what reached it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAuthority } from '../../src/proxy/ca/authority.ts';
import { createConnectHandler } from '../../src/proxy/connect.ts';
import type { ConnectDeps, ConnectNotice } from '../../src/proxy/connect.ts';
import { createInside } from '../../src/proxy/inside.ts';
import type { RoutingTable, Route, Way } from '../../src/proxy/ports.ts';
import { createTunnels } from '../../src/proxy/tunnel.ts';
import type { Tunnels } from '../../src/proxy/tunnel.ts';
import { createGuard, dial } from '../../src/proxy/upstream/dial.ts';
import type { Guard } from '../../src/proxy/upstream/dial.ts';

export function listen(server: NetServer): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve((server.address() as AddressInfo).port);
    });
  });
}

export interface Bench {
  readonly port: number;
  readonly caFile: string;
  readonly notices: ConnectNotice[];
  readonly tunnelEvents: string[];
  readonly tunnels: Tunnels;
  readonly server: Server;
  close(): Promise<void>;
}

export interface BenchOptions {
  /** `host:port` pairs governed over TLS. */
  readonly governed?: readonly string[];
  /** Same, in plaintext. */
  readonly governedPlain?: readonly string[];
  readonly caHosts?: readonly string[];
  readonly unlisted?: 'tunnel' | 'deny';
  readonly names?: Readonly<Record<string, string>>;
  /** Lets tunnels reach loopback, where the tests' origins are. */
  readonly trusted?: boolean;
  readonly own?: () => readonly { host: string; port: number; role?: 'proxy' | 'api' }[];
  readonly upstreamProxy?: Parameters<typeof createGuard>[0]['upstreamProxy'];
  readonly mode?: 'enforce' | 'observe';
  readonly maxTunnels?: number;
  readonly idleMs?: number;
  readonly deps?: Partial<ConnectDeps>;
}

const EMPTY_ROUTE = {} as Route;

export function routingTable(options: BenchOptions): RoutingTable {
  const tls = new Set(options.governed ?? []);
  const plain = new Set(options.governedPlain ?? []);
  return {
    governed: (scheme, host, port) =>
      (scheme === 'https' ? tls : plain).has(`${host}:${String(port)}`) ? EMPTY_ROUTE : null,
    mount: () => null,
    mounts: [],
    mountFor: () => null,
    unlistedHosts: options.unlisted ?? 'tunnel',
  };
}

function guardOf(options: BenchOptions): Guard {
  return createGuard({
    ownAddresses: options.own ?? (() => []),
    upstreamProxy: options.upstreamProxy ?? null,
    lookup: (host, done) => {
      const address = options.names?.[host];
      if (address === undefined) done(Object.assign(new Error(host), { code: 'ENOTFOUND' }), []);
      else done(null, [{ address, family: address.includes(':') ? 6 : 4 }]);
    },
    connectTimeoutMs: 2000,
  });
}

/** What the inner server answers: how it was reached. */
function tell(way: Way, req: IncomingMessage): string {
  return JSON.stringify({ ...way, method: req.method, url: req.url });
}

export async function bench(options: BenchOptions = {}): Promise<Bench> {
  const dir = mkdtempSync(join(tmpdir(), 'ratelord-connect-'));
  const caHosts = options.caHosts ?? ['api.test'];
  const authority = openAuthority({ dir, hosts: caHosts, now: () => Date.now() });
  const inner = createInside({
    handle: (req, res, way) => {
      res.end(tell(way, req));
    },
    upgrade: (_req, socket) => {
      socket.destroy();
    },
  });
  const tunnelEvents: string[] = [];
  const notices: ConnectNotice[] = [];
  const guard = guardOf(options);
  const meter = { tunnel: (event: string) => void tunnelEvents.push(event) };
  const tunnels = createTunnels({
    dial: (target) => dial({ ...target, trusted: options.trusted ?? false }, guard),
    settings: { maxTunnels: options.maxTunnels ?? 10, tunnelIdleMs: options.idleMs ?? 60_000 },
    meter,
  });
  const routes = routingTable(options);
  const server = createServer((_req, res) => res.end('outer'));
  server.on(
    'connect',
    createConnectHandler({
      routes: () => routes,
      agents: { admit: (name) => ({ ok: true, agent: name ?? 'anyone', maxPriority: 'high' }) },
      authority,
      tunnels,
      meter,
      settings: { mode: () => options.mode ?? 'enforce' },
      accept: (socket, way) => {
        inner.accept(socket, way);
      },
      notice: (one) => notices.push(one),
      ...options.deps,
    }),
  );
  const port = await listen(server);
  return {
    port,
    caFile: authority.caFile,
    notices,
    tunnelEvents,
    tunnels,
    server,
    close: () =>
      new Promise((resolve) => {
        tunnels.close();
        inner.close();
        inner.destroy();
        server.closeAllConnections();
        server.close(() => {
          rmSync(dir, { recursive: true, force: true });
          resolve();
        });
      }),
  };
}

export interface Raw {
  readonly socket: Socket;
  /** Resolves with everything received once `text` is in it; rejects when the socket closes. */
  until(text: string): Promise<string>;
  /** Resolves with everything received when the peer has closed. */
  closed(): Promise<string>;
}

/** A client that sees bytes as they are. */
export function rawClient(port: number, send = ''): Raw {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let seen = '';
  let over = false;
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  socket.on('data', (chunk: Buffer) => {
    seen += chunk.toString('latin1');
    wake();
  });
  const gone = (): void => {
    over = true;
    wake();
  };
  socket.on('end', gone);
  socket.on('error', gone);
  socket.on('close', gone);
  if (send !== '') socket.write(send, 'latin1');
  const wait = (ready: () => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!ready() && !over) return;
        waiting.delete(look);
        if (ready()) resolve(seen);
        else reject(new Error(`closed after: ${seen}`));
      };
      waiting.add(look);
      look();
    });
  return {
    socket,
    until: (text) => wait(() => seen.includes(text)),
    closed: () => wait(() => over),
  };
}

/** Sends one CONNECT and resolves with the whole of what came, when the answer refuses. */
export function refused(port: number, authority: string, fields = ''): Promise<string> {
  const raw = rawClient(port, `CONNECT ${authority} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`);
  return raw.closed().finally(() => raw.socket.destroy());
}

/** Resolves when `ready` holds; fails the test after two seconds of looking. */
export async function eventually(ready: () => boolean): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (ready()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('it never came about');
}
