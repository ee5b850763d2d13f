/** Upgrades in front of a WebSocket origin, with a driver that records what the core is told. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type { ServerOptions, WebSocket } from 'ws';
import type { Claim } from '../../src/core/claim.ts';
import type { Effect, ForwardEffect, Input } from '../../src/core/engine.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { Provider, Refusal } from '../../src/core/provider.ts';
import type { Attendant, EngineDriver, Route, RoutingTable, Way } from '../../src/proxy/ports.ts';
import { createUpgradeHandler } from '../../src/proxy/upgrade/upgrade.ts';
import type { UpgradeDeps } from '../../src/proxy/upgrade/upgrade.ts';
import { createGuard, dial } from '../../src/proxy/upstream/dial.ts';
import { listen } from './connect-support.ts';

export const CLAIM: Claim = {
  provider: 'model',
  endpoint: 'realtime',
  scope: 'sentinel:unknown',
  draws: [],
  stream: true,
  inputBytes: 0,
};

export function provider(tapped: string[], observations: readonly Observation[] = []): Provider {
  return {
    id: 'model',
    hosts: ['api.test'],
    origin: 'https://api.test',
    bodyNeeds: () => 'none',
    credential: () => ({ in: 'field', name: 'authorization', scheme: 'any' }),
    classify: () => CLAIM,
    observe: () => [],
    responseTap: () => null,
    messageTap: () => ({
      message(text) {
        tapped.push(text);
        return text.includes('rate_limits') ? { observations, usage: null } : null;
      },
    }),
    problem: (refusal) => ({
      status: 429,
      fields: ['Content-Type', 'application/json', 'Retry-After', '7'],
      body: JSON.stringify({ error: { code: refusal.code } }),
    }),
  };
}

const REFUSAL: Refusal = {
  id: 'r-1',
  code: 'RL_QUOTA',
  reason: 'nothing left',
  retryInMs: 7000,
  retryAt: 7000,
  providerDown: false,
  claim: CLAIM,
  now: 0,
};

export type Decide = (key: number) => Effect | null;

export function forward(key: number, more: Partial<ForwardEffect> = {}): ForwardEffect {
  return {
    type: 'forward',
    key,
    id: 'f-1',
    decision: 'pass',
    waitedMs: 0,
    claim: CLAIM,
    warnings: [],
    quotaPolicyField: '',
    quotaField: '',
    ...more,
  };
}

export function refusal(key: number): Effect {
  return { type: 'respond', key, waitedMs: 0, refusal: REFUSAL };
}

export class RecordingDriver implements EngineDriver {
  readonly inputs: Input[] = [];
  readonly clock = { now: () => ({ wall: 1, mono: 1 }) };
  readonly attendants = new Map<number, Attendant>();
  private readonly decide: Decide;

  constructor(decide: Decide) {
    this.decide = decide;
  }

  step(input: Input): void {
    this.inputs.push(input);
    if (input.type !== 'arrived') return;
    const effect = this.decide(input.key);
    if (effect !== null) this.perform(effect);
  }

  perform(effect: Effect): void {
    if (effect.type !== 'append') this.attendants.get(effect.key)?.onEffect(effect);
  }

  attend(attendant: Attendant): number {
    const key = this.attendants.size + 1;
    this.attendants.set(key, attendant);
    return key;
  }

  leave(key: number): void {
    this.attendants.delete(key);
  }

  /** Types of what the core was told, with how it ended. */
  get story(): string[] {
    return this.inputs.map((one) => (one.type === 'ended' ? `ended ${one.ending}` : one.type));
  }
}

export interface Origin {
  readonly port: number;
  readonly server: Server;
  readonly sockets: Set<Socket>;
  /** Raw fields of every request, in order. */
  readonly heads: { url: string; fields: string[] }[];
  close(): void;
}

/** An HTTP server that keeps account of its sockets; `serve` makes it answer. */
export async function origin(serve: (server: Server) => void): Promise<Origin> {
  const server = createServer();
  const sockets = new Set<Socket>();
  const heads: Origin['heads'] = [];
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (req) => heads.push({ url: req.url ?? '', fields: req.rawHeaders }));
  serve(server);
  const port = await listen(server);
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port, server, sockets, heads, close };
}

export function webSockets(
  talk: (socket: WebSocket) => void,
  options: ServerOptions = {},
): (server: Server) => void {
  return (server) => {
    const wss = new WebSocketServer({ server, ...options });
    wss.on('connection', talk);
  };
}

export interface UpgradeBench {
  readonly port: number;
  readonly driver: RecordingDriver;
  readonly tapped: string[];
  readonly meter: string[];
  readonly sockets: Set<Socket>;
  readonly deps: UpgradeDeps;
  close(): void;
}

export interface UpgradeBenchOptions {
  readonly mode?: 'enforce' | 'observe';
  /** What `rate_limits` messages tell. */
  readonly told?: readonly Observation[];
  readonly originPort: number;
  readonly originHost?: string;
  readonly decide?: Decide;
  readonly way?: Way;
  readonly trusted?: boolean;
  readonly originCa?: readonly string[];
  readonly deps?: Partial<UpgradeDeps>;
  readonly upstreamProxy?: Parameters<typeof createGuard>[0]['upstreamProxy'];
}

function routesTo(options: UpgradeBenchOptions, model: Provider): RoutingTable {
  const scheme = options.originCa === undefined ? 'http' : 'https';
  const route: Route = {
    provider: model,
    scheme: 'https',
    host: 'api.test',
    port: 443,
    dial: {
      scheme,
      host: options.originHost ?? '127.0.0.1',
      port: options.originPort,
      pathPrefix: '/base',
      trusted: options.trusted ?? true,
      ca: options.originCa ?? [],
    },
  };
  return {
    governed: (_scheme, host) => (host === 'api.test' ? route : null),
    mount: (name, rest) => (name === 'model' ? { route, path: rest } : null),
    mounts: ['model'],
    mountFor: () => null,
    unlistedHosts: 'tunnel',
  };
}

export async function upgradeBench(options: UpgradeBenchOptions): Promise<UpgradeBench> {
  const tapped: string[] = [];
  const meter: string[] = [];
  const driver = new RecordingDriver(options.decide ?? ((key) => forward(key)));
  const guard = createGuard({
    ownAddresses: () => [],
    upstreamProxy: options.upstreamProxy ?? null,
    lookup: (_host, done) => {
      done(null, [{ address: '203.0.113.9', family: 4 }]);
    },
  });
  const routes = routesTo(options, provider(tapped, options.told));
  const deps: UpgradeDeps = {
    routes: () => routes,
    agents: { admit: (name) => ({ ok: true, agent: name ?? 'anyone', maxPriority: 'high' }) },
    hasher: { hash: (credential) => `hash of ${String(credential.length)}` },
    driver,
    dial: (target) => dial(target, guard),
    settings: { viaName: 'ratelord-test', mode: () => options.mode ?? 'enforce' },
    meter: {
      request: (id, decision) => void meter.push(`${id} ${decision}`),
      upstream: (id, status) => void meter.push(`${id} ${String(status)}`),
      overhead: () => undefined,
      malformed: (id, field) => void meter.push(`${id} malformed ${field}`),
    },
    ...options.deps,
  };
  const handle = createUpgradeHandler(deps);
  const server = createServer((_req, res) => res.end());
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const way = options.way ?? { kind: 'plain' };
  server.on('upgrade', (req, socket, head) => {
    handle(req, socket, head, way);
  });
  const port = await listen(server);
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port, driver, tapped, meter, sockets, deps, close };
}

/** Resolves with the next message as text. */
export async function message(socket: WebSocket): Promise<string> {
  const [content] = (await once(socket, 'message')) as [Buffer];
  return content.toString();
}
