/** The proxy's rooms, connected: one listener in front, one server for what is inside a CONNECT. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Config } from '../config/config.ts';
import { createConnectHandler, type ConnectNotice } from '../proxy/connect.ts';
import { createExchangeHandler } from '../proxy/exchange.ts';
import { createInside } from '../proxy/inside.ts';
import { createListener, listen } from '../proxy/listener.ts';
import type {
  AgentDirectory,
  Authority,
  CredentialHasher,
  EngineDriver,
  ProxyMeter,
  ProxySettings,
  RoutingTable,
} from '../proxy/ports.ts';
import { createTunnels } from '../proxy/tunnel.ts';
import { createGuard, dial } from '../proxy/upstream/dial.ts';
import { createUpstream, type Upstream } from '../proxy/upstream/pools.ts';
import { createUpgradeHandler } from '../proxy/upgrade/upgrade.ts';
import { callUrl } from '../surfaces/cli/address.ts';
import { bindFault, StartError } from './start-error.ts';

const BODY_CAP_BYTES = 1024 * 1024;
const MAX_TUNNELS = 256;
const TUNNEL_IDLE_MS = 10 * 60_000;

export interface ProxyParts {
  readonly config: Config;
  readonly routes: RoutingTable;
  readonly agents: AgentDirectory;
  readonly hasher: CredentialHasher;
  readonly driver: EngineDriver;
  readonly meter: ProxyMeter;
  readonly authority: Authority;
  notice(text: string): void;
}

export interface RunningProxy {
  readonly url: string;
  readonly upstream: Upstream;
  readonly routes: RoutingTable;
  /** Another listener of ours that must not be reached through the proxy. */
  own(address: { readonly host: string; readonly port: number }): void;
  /** Stops accepting, gives what is under way so long, then breaks it off. */
  close(graceMs: number): Promise<void>;
}

export async function openProxy(parts: ProxyParts): Promise<RunningProxy> {
  const { config } = parts;
  const own: { host: string; port: number; role: 'proxy' | 'api' }[] = [];
  const upstreamProxy = parentOf(config);
  const settings: ProxySettings = {
    ownAddresses: () => own,
    viaName: `ratelord-${randomBytes(4).toString('hex')}`,
    upstreamProxy,
    mode: () => config.mode,
    bodyCapBytes: BODY_CAP_BYTES,
    maxTunnels: MAX_TUNNELS,
    tunnelIdleMs: TUNNEL_IDLE_MS,
  };
  const guard = createGuard({ ownAddresses: () => own, upstreamProxy });
  const upstream = createUpstream({ guard });
  const routes = (): RoutingTable => parts.routes;
  const shared = { ...parts, routes, settings };
  const handle = createExchangeHandler({ ...shared, upstream });
  const upgrade = createUpgradeHandler({ ...shared, dial: (target) => dial(target, guard) });
  const tunnels = createTunnels({ ...shared, dial: (target) => dial(target, guard) });

  const inside = createInside({ handle, upgrade });
  const silent = new Set<Socket>();
  const connect = createConnectHandler({
    ...shared,
    tunnels,
    silent,
    accept: (socket, way) => inside.accept(socket, way),
    notice: (notice) => parts.notice(tlsText(notice)),
  });
  const server = createListener({ handle, upgrade, connect });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const { host, port } = config.listen;
  const bound = await listen(server, host, port).catch((error: unknown) => {
    throw new StartError(bindFault(error, config.listen, 'listen'));
  });
  own.push({ host: bound.address, port: bound.port, role: 'proxy' });

  return {
    url: callUrl({ host, port: bound.port }),
    upstream,
    routes: parts.routes,
    own(address) {
      own.push({ ...address, role: 'api' });
    },
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const closeIdle = (): void => {
        for (const socket of silent) socket.destroy();
        server.closeIdleConnections();
        inside.close();
      };
      tunnels.close();
      closeIdle();
      const hurry = setTimeout(() => {
        inside.destroy();
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      const idle = setInterval(closeIdle, 50);
      await closed;
      clearTimeout(hurry);
      clearInterval(idle);
      await upstream.destroy();
    },
  };
}

function parentOf(config: Config): ProxySettings['upstreamProxy'] {
  if (config.upstreamProxy === null) return null;
  const url = config.upstreamProxy.url.reveal();
  if (!url.ok) throw new StartError(`upstream_proxy: ${url.message}`);
  return { url: url.value, noProxy: config.upstreamProxy.noProxy };
}

function tlsText(notice: ConnectNotice): string {
  return `TLS with a client for ${notice.host} failed (${notice.failure}): ${notice.detail}`;
}
