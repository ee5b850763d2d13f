/** A proxy with a scripted engine, raw origins and raw clients, all on loopback. */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect } from 'node:net';
import type { Server as HttpServer } from 'node:http';
import type {
  ArrivedInput,
  Effect,
  EndedInput,
  Engine,
  HeadInput,
  Input,
  TappedInput,
} from '../../../src/core/engine.ts';
import type { Claim } from '../../../src/core/claim.ts';
import type { Provider, Refusal } from '../../../src/core/provider.ts';
import type { Entry } from '../../../src/core/ledger/entry.ts';
import { createDriver } from '../../../src/proxy/driver.ts';
import type { ClosableDriver } from '../../../src/proxy/driver.ts';
import { createExchangeHandler } from '../../../src/proxy/exchange.ts';
import { createListener, listen, SERVER_OPTIONS, wire } from '../../../src/proxy/listener.ts';
import type {
  AgentDirectory,
  ProxySettings,
  RequestHandler,
  Route,
  RoutingTable,
  Way,
} from '../../../src/proxy/ports.ts';
import { createGuard } from '../../../src/proxy/upstream/dial.ts';
import type { GuardOptions } from '../../../src/proxy/upstream/dial.ts';
import { createUpstream } from '../../../src/proxy/upstream/pools.ts';

export const CLAIM: Claim = {
  provider: 'fake',
  endpoint: 'rest',
  scope: 'sentinel:unknown',
  draws: [],
  stream: false,
  inputBytes: 0,
};

/** Does what the test tells it: passes by default. */
export class FakeEngine implements Engine {
  seq = 1;
  readonly inputs: Input[] = [];
  /** What becomes of an arrival: `null` = it waits until `release`. */
  verdict: (input: ArrivedInput) => Effect[] | null = (input) => [this.pass(input.key)];
  wake: number | null = null;
  onWoke: () => Effect[] = () => [];
  private readonly freed: Effect[] = [];

  pass(key: number, more: Partial<Extract<Effect, { type: 'forward' }>> = {}): Effect {
    return {
      type: 'forward',
      key,
      id: this.idOf(key),
      decision: 'pass',
      waitedMs: 0,
      claim: CLAIM,
      warnings: [],
      quotaPolicyField: '',
      quotaField: '',
      ...more,
    };
  }

  refuse(key: number, more: Partial<Refusal> = {}): Effect {
    const refusal: Refusal = {
      id: this.idOf(key),
      code: 'RL_QUOTA',
      reason: 'nothing left',
      retryInMs: 5_000,
      retryAt: 1_700_000_005_000,
      providerDown: false,
      claim: CLAIM,
      now: 1_700_000_000_000,
      ...more,
    };
    return { type: 'respond', key, waitedMs: 0, refusal };
  }

  /** `id-1` for the first to arrive, and so on. */
  private idOf(key: number): string {
    const at = this.arrived.findIndex((one) => one.key === key);
    return `id-${String(at + 1)}`;
  }

  /** Effects that the next step of any kind yields. */
  free(effect: Effect): void {
    this.freed.push(effect);
  }

  step(input: Input): readonly Effect[] {
    this.inputs.push(input);
    const effects: Effect[] = [];
    if (input.type === 'arrived') effects.push(...(this.verdict(input) ?? []));
    if (input.type === 'woke') effects.push(...this.onWoke());
    effects.push(...this.freed.splice(0));
    return effects;
  }

  wakeAt(): number | null {
    return this.wake;
  }

  get arrived(): ArrivedInput[] {
    return this.inputs.filter((one) => one.type === 'arrived');
  }
  get heads(): HeadInput[] {
    return this.inputs.filter((one) => one.type === 'head');
  }
  get tapped(): TappedInput[] {
    return this.inputs.filter((one) => one.type === 'tapped');
  }
  get ended(): EndedInput[] {
    return this.inputs.filter((one) => one.type === 'ended');
  }
}

export function fakeProvider(origin: string, more: Partial<Provider> = {}): Provider {
  return {
    id: 'fake',
    hosts: ['origin.test'],
    origin,
    bodyNeeds: () => 'none',
    credential: () => ({ in: 'field', name: 'authorization', scheme: 'any' }),
    classify: () => CLAIM,
    observe: () => [],
    responseTap: () => null,
    problem: (refusal) => ({
      status: refusal.providerDown ? 503 : 429,
      fields: ['Content-Type', 'application/json', 'Retry-After', '5'],
      body: JSON.stringify({ error: { message: refusal.reason }, ratelord: { id: refusal.id } }),
    }),
    ...more,
  };
}

export interface Origin {
  readonly port: number;
  readonly server: Server;
  /** Every byte each connection sent, in order of connecting. */
  readonly seen: Buffer[];
  readonly sockets: Socket[];
  text(): string;
}

/** A raw origin: `script` sees each connection's socket and what it has sent so far. */
export async function origin(
  script: (socket: Socket, text: string, connection: number) => void,
  host = '127.0.0.1',
): Promise<Origin> {
  const seen: Buffer[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const index = sockets.push(socket) - 1;
    seen.push(Buffer.alloc(0));
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      seen[index] = Buffer.concat([seen[index] as Buffer, chunk]);
      script(socket, seen[index].toString('latin1'), index);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return { port, server, seen, sockets, text: () => Buffer.concat(seen).toString('latin1') };
}

/** Answers with these bytes whatever comes, once a head was complete. */
export function answering(response: string | Buffer): (socket: Socket, text: string) => void {
  return (socket, text) => {
    if (text.includes('\r\n\r\n')) socket.write(response);
  };
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

export interface RigOptions {
  readonly provider?: Partial<Provider>;
  readonly originPort?: number;
  readonly originHost?: string;
  readonly pathPrefix?: string;
  readonly mode?: 'enforce' | 'observe';
  readonly unlistedHosts?: 'tunnel' | 'deny';
  readonly agents?: AgentDirectory;
  readonly bodyCapBytes?: number;
  readonly guard?: Partial<GuardOptions>;
  readonly listenHost?: string;
  readonly maxPools?: number;
  readonly scheme?: 'http' | 'https';
  readonly ca?: readonly string[];
  /** The canonical host that the origin stands for. */
  readonly meant?: string;
}

export interface Rig {
  readonly port: number;
  readonly host: string;
  readonly engine: FakeEngine;
  readonly driver: ClosableDriver;
  readonly server: HttpServer;
  readonly entries: Entry[];
  readonly metered: string[];
  readonly handle: RequestHandler;
  readonly own: { host: string; port: number; role?: 'proxy' | 'api' }[];
  /** A server whose requests come in the given way; returns its port. */
  inside(way: Way): Promise<number>;
  close(): Promise<void>;
}

function routesOf(options: RigOptions, provider: Provider): RoutingTable {
  const host = options.meant ?? 'origin.test';
  const scheme = options.scheme ?? 'http';
  const route: Route = {
    provider,
    scheme,
    host,
    port: scheme === 'https' ? 443 : 80,
    dial: {
      scheme,
      host: options.originHost ?? '127.0.0.1',
      port: options.originPort ?? 1,
      pathPrefix: options.pathPrefix ?? '',
      trusted: true,
      ca: options.ca ?? [],
    },
  };
  return {
    governed: (_scheme, name) => (name === host ? route : null),
    mount: (name, rest) => (name === 'fake' ? { route, path: rest } : null),
    mounts: ['fake', 'other'],
    mountFor: (url) => (url.hostname === host ? `/fake${url.pathname}${url.search}` : null),
    unlistedHosts: options.unlistedHosts ?? 'tunnel',
  };
}

export async function rig(options: RigOptions = {}): Promise<Rig> {
  const engine = new FakeEngine();
  const entries: Entry[] = [];
  const metered: string[] = [];
  let wall = 0;
  const driver = createDriver({
    engine,
    clock: { now: () => ({ wall: ++wall, mono: performance.now() }) },
    store: { append: (entry) => entries.push(entry) },
  });
  const own: Rig['own'] = [];
  const settings: ProxySettings = {
    ownAddresses: () => own,
    viaName: 'rl-test-1',
    upstreamProxy: null,
    mode: () => options.mode ?? 'enforce',
    bodyCapBytes: options.bodyCapBytes ?? 65_536,
    maxTunnels: 8,
    tunnelIdleMs: 1_000,
  };
  const guard = createGuard({ ownAddresses: () => own, upstreamProxy: null, ...options.guard });
  const upstream = createUpstream({
    guard,
    ...(options.maxPools === undefined ? {} : { maxPools: options.maxPools }),
  });
  const provider = fakeProvider('http://origin.test', options.provider);
  const routes = routesOf(options, provider);
  const handle = createExchangeHandler({
    driver,
    routes: () => routes,
    agents: options.agents ?? {
      admit: (name) => ({ ok: true, agent: name ?? 'sentinel:unknown', maxPriority: 'high' }),
    },
    hasher: { hash: (credential) => `h(${credential})` },
    meter: {
      request: (id, decision, waited) =>
        metered.push(`request ${id} ${decision} ${String(waited)}`),
      upstream: (id, status) => metered.push(`upstream ${id} ${String(status)}`),
      overhead: () => undefined,
      tunnel: () => undefined,
      malformed: (id, field) => metered.push(`malformed ${id} ${field}`),
    },
    settings,
    upstream,
  });
  const refuse = (_req: unknown, socket: { destroy(): void }): void => {
    socket.destroy();
  };
  const server = createListener({ handle, upgrade: refuse, connect: refuse });
  const servers: HttpServer[] = [server];
  const host = options.listenHost ?? '127.0.0.1';
  const { port } = await listen(server, host, 0);
  own.push({ host, port, role: 'proxy' });
  return {
    port,
    host,
    engine,
    driver,
    server,
    entries,
    metered,
    handle,
    own,
    async inside(way) {
      const { createServer: createHttp } = await import('node:http');
      const inner = createHttp(SERVER_OPTIONS);
      wire(inner, { handle, upgrade: refuse, wayOf: () => way });
      servers.push(inner);
      return (await listen(inner, '127.0.0.1', 0)).port;
    },
    async close() {
      driver.close();
      for (const one of servers) {
        one.close();
        one.closeAllConnections();
      }
      await upstream.destroy();
    },
  };
}

export interface Client {
  readonly socket: Socket;
  send(bytes: string | Buffer): void;
  /** Everything received so far. */
  text(): string;
  bytes(): Buffer;
  /** Resolves when what was received matches; rejects when the connection ends before. */
  until(pattern: RegExp): Promise<string>;
  /** Resolves with everything when the proxy closes. */
  closed(): Promise<string>;
}

export function client(port: number, host = '127.0.0.1'): Client {
  const socket = connect({ port, host, allowHalfOpen: true });
  let received: Buffer = Buffer.alloc(0);
  const text = (): string => received.toString('latin1');
  let over = false;
  const waiting = new Set<() => void>();
  const tell = (): void => {
    for (const check of [...waiting]) check();
  };
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    tell();
  });
  socket.on('error', () => undefined);
  const end = (): void => {
    over = true;
    tell();
  };
  socket.on('end', end).on('close', end);
  const wait = (done: () => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        if (done()) {
          waiting.delete(check);
          resolve(text());
        } else if (over) {
          waiting.delete(check);
          reject(new Error(`the connection ended with: ${text()}`));
        }
      };
      waiting.add(check);
      check();
    });
  return {
    socket,
    send: (bytes) => socket.write(bytes),
    text,
    bytes: () => received,
    until: (pattern) => wait(() => pattern.test(text())),
    closed: () => wait(() => over),
  };
}

/** Polls until it holds; the test's own time limit bounds it. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}
