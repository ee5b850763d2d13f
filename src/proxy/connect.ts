/**
 * CONNECT: opens what is governed, tunnels the rest.
 *
 *     authority ─► admission ─┬─ not governed ──────────────► tunnel | 403
 *                             └─ governed ─► 200 ─► sniff ─┬─ TLS ──► handshake ─► accept (https)
 *                                                          ├─ HTTP ─────────────► accept (http)
 *                                                          └─ what is governed otherwise: tunnel
 */
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContext } from 'node:tls';
import { allFields } from '../core/head.ts';
import type { DurationMs } from '../core/units.ts';
import { parseAuthority } from './authority.ts';
import type { HostPort } from './authority.ts';
import { openTls } from './intercept.ts';
import type { TlsFailure } from './intercept.ts';
import type {
  AgentDirectory,
  Authority,
  ProxyMeter,
  ProxySettings,
  RoutingTable,
  Way,
} from './ports.ts';
import { proxyUser } from './proxy-user.ts';
import { answerError } from './raw-answer.ts';
import { sniff } from './sniff.ts';
import { ESTABLISHED } from './tunnel.ts';
import type { Tunnels } from './tunnel.ts';

/** TLS with a client could not be opened; told once a host and failure. */
export interface ConnectNotice {
  readonly host: string;
  readonly failure: TlsFailure;
  /** For people; holds nothing secret. */
  readonly detail: string;
}

export type InsideWay = Extract<Way, { kind: 'inside' }>;

export interface ConnectDeps {
  routes(): RoutingTable;
  readonly agents: AgentDirectory;
  readonly authority: Authority;
  readonly tunnels: Tunnels;
  readonly meter: Pick<ProxyMeter, 'tunnel'>;
  readonly settings: Pick<ProxySettings, 'mode'>;
  /** Hands a connection, TLS taken off, to the HTTP server that knows its requests by `way`. */
  accept(socket: Socket, way: InsideWay): void;
  notice(notice: ConnectNotice): void;
  /** From the 200 to the end of the handshake; default 10 s. */
  readonly handshakeTimeoutMs?: DurationMs;
  /** Filled with tunnels in which nothing was said yet: a stopping daemon need not wait for them. */
  readonly silent?: Set<Socket>;
}

type ConnectHandler = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_NOTICES = 1_000;
const NOTHING = Buffer.alloc(0);

/** Listener for an HTTP server's `connect` event. */
export function createConnectHandler(deps: ConnectDeps): ConnectHandler {
  const notice = onceEach((one) => {
    deps.notice(one);
  });
  return (req, duplex, head) => {
    if (!(duplex instanceof Socket)) throw new TypeError('a CONNECT needs a socket');
    const client = duplex;
    // Whatever goes wrong is followed by `close`, which every later owner listens to.
    client.on('error', () => undefined);
    const fault = headFault(req);
    const authority = parseAuthority(req.url ?? '', null);
    if (fault !== null || !authority.ok) {
      const reason = fault ?? (authority.ok ? '' : `bad CONNECT target: ${authority.reason}`);
      return answerError(client, 'RL_BAD_REQUEST', { reason });
    }
    const target = authority.value;
    const proxyAuthorization = req.headers['proxy-authorization'];
    const user = proxyUser(proxyAuthorization);
    const admitted = deps.agents.admit(user?.name, user?.token);
    // Observing changes nothing, so it refuses nobody either.
    if (!admitted.ok && deps.settings.mode() === 'enforce') {
      deps.meter.tunnel('denied');
      return answerError(client, 'RL_AGENT', { reason: admitted.message });
    }
    const governed = governance(deps, target, notice);
    if (governed.https || governed.http) {
      open(deps, client, head, { target, proxyAuthorization, governed, notice });
    } else if (deps.routes().unlistedHosts === 'deny') {
      deps.meter.tunnel('denied');
      answerError(client, 'RL_HOST_DENIED', { host: target.host });
    } else {
      deps.tunnels.open(client, head, target, false);
    }
  };
}

/** Fields that make two readers of one request disagree where it ends or whom it is for. */
function headFault(req: IncomingMessage): string | null {
  const fields = req.rawHeaders;
  if (allFields(fields, 'host').length > 1) return 'the request has more than one Host';
  // RFC 9110 section 9.3.6: content in a CONNECT has no meaning; RFC 9112 section 6.3 leaves it out.
  const framed = allFields(fields, 'transfer-encoding').length > 0;
  return framed || allFields(fields, 'content-length').length > 0
    ? 'a CONNECT request has no content'
    : null;
}

interface Governed {
  readonly https: boolean;
  readonly http: boolean;
}

function governance(
  deps: ConnectDeps,
  { host, port }: HostPort,
  notice: (one: ConnectNotice) => void,
): Governed {
  const routes = deps.routes();
  const https = routes.governed('https', host, port) !== null;
  const covered = https && deps.authority.covers(host);
  if (https && !covered) {
    const detail = 'the local CA does not cover it: it is tunnelled and not governed';
    notice({ host, failure: 'uncovered', detail });
  }
  return { https: covered, http: routes.governed('http', host, port) !== null };
}

interface Opening {
  readonly target: HostPort;
  readonly proxyAuthorization: string | undefined;
  readonly governed: Governed;
  notice(one: ConnectNotice): void;
}

function open(deps: ConnectDeps, client: Socket, head: Buffer, opening: Opening): void {
  const { host } = opening.target;
  let handshaking = false;
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    if (handshaking) {
      opening.notice({ host, failure: 'timeout', detail: 'the TLS handshake took too long' });
    }
    client.destroy();
  }, deps.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS);
  const over = (): void => clearTimeout(deadline);
  client.once('close', over);
  client.write(ESTABLISHED);
  deps.silent?.add(client);
  sniff(client, head, (spoken) => {
    deps.silent?.delete(client);
    if (spoken === 'tls' && opening.governed.https) {
      handshaking = true;
      // Being closed for being late is not leaving.
      const notice = (one: ConnectNotice): void => {
        if (!late) opening.notice(one);
      };
      intercept(deps, client, { ...opening, notice }, over);
      return;
    }
    over();
    client.off('close', over);
    if (spoken === 'garbage' || spoken === 'gone') client.destroy();
    else if (spoken === 'plain' && opening.governed.http) {
      deps.accept(client, wayInside(opening, 'http'));
    } else if (deps.routes().unlistedHosts === 'deny') client.destroy();
    else deps.tunnels.open(client, NOTHING, opening.target, true);
  });
}

function wayInside(opening: Opening, scheme: 'http' | 'https'): InsideWay {
  const { target, proxyAuthorization } = opening;
  return { kind: 'inside', scheme, host: target.host, port: target.port, proxyAuthorization };
}

function intercept(deps: ConnectDeps, client: Socket, opening: Opening, over: () => void): void {
  const { host } = opening.target;
  let context: SecureContext;
  try {
    context = deps.authority.secureContext(host);
  } catch (error) {
    const detail = error instanceof Error ? error.message : 'the local CA is unusable';
    opening.notice({ host, failure: 'failed', detail });
    client.destroy();
    return;
  }
  openTls(client, host, context, (result) => {
    over();
    if (!result.ok) {
      opening.notice({ host, failure: result.failure, detail: result.detail });
      return;
    }
    const { socket } = result;
    // Node's clients finish the handshake and then leave, when they do not trust the certificate.
    socket.once('close', () => {
      if (socket.bytesRead > 0) return;
      const detail = 'the client left right after the handshake; it may not trust the CA';
      opening.notice({ host, failure: 'left', detail });
    });
    deps.accept(socket, wayInside(opening, 'https'));
  });
}

function onceEach(tell: (notice: ConnectNotice) => void): (notice: ConnectNotice) => void {
  const told = new Set<string>();
  return (notice) => {
    const key = `${notice.failure} ${notice.host}`;
    if (told.has(key) || told.size >= MAX_NOTICES) return;
    told.add(key);
    tell(notice);
  };
}
