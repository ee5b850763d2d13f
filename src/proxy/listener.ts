/** HTTP servers as the proxy wants them, wired to its rooms. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ErrorCode } from '../core/errors.ts';
import { isClosing, lingerOnClose } from './linger.ts';
import { failureAnswer } from './own-answer.ts';
import { answer, answerError } from './raw-answer.ts';
import type { RequestHandler, UpgradeHandler, Way } from './ports.ts';

const MAX_HEADER_BYTES = 65_536;

function isWebSocket(req: IncomingMessage): boolean {
  return req.headers.upgrade?.toLowerCase() === 'websocket';
}

/** Also for the servers that take requests out of a CONNECT. */
export const SERVER_OPTIONS: ServerOptions = {
  maxHeaderSize: MAX_HEADER_BYTES,
  // Heads must come in time; contents may wait in a queue and then take as long as they take.
  headersTimeout: 60_000,
  requestTimeout: 0,
  // Longer than any client keeps an idle connection, so that it is the client who closes it.
  keepAliveTimeout: 120_000,
  noDelay: true,
  insecureHTTPParser: false,
  optimizeEmptyRequests: true,
  // Anything else that asks for an upgrade (h2c) is served as if it had not; Node before 24.9
  // hands all of them to the upgrade listener.
  shouldUpgradeCallback: isWebSocket,
};

export interface ListenerParts {
  readonly handle: RequestHandler;
  readonly upgrade: UpgradeHandler;
  /** Absent inside a CONNECT: a tunnel in a tunnel is refused. */
  readonly connect?: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** How this server's requests came in. */
  wayOf(req: IncomingMessage): Way;
}

const PLAIN: Way = { kind: 'plain' };

/** Node's codes for heads and messages it could not read. */
function codeOf(error: NodeJS.ErrnoException): ErrorCode {
  return error.code === 'HPE_HEADER_OVERFLOW' ? 'RL_HEADER_TOO_LARGE' : 'RL_BAD_REQUEST';
}

/** The response that a connection owes, of which its server tells nobody. */
function owedOn(socket: Duplex): ServerResponse | null {
  return (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage ?? null;
}

/** What could not be read came after a request that was: that one still gets its own response. */
function closeAfter(owed: ServerResponse, socket: Socket): void {
  if (isClosing(socket)) return;
  owed.shouldKeepAlive = false;
  lingerOnClose(socket);
  owed.once('finish', () => {
    socket.destroySoon();
  });
}

/** Answers what is not HTTP, or not well-formed, and closes. */
export function answerClientError(error: NodeJS.ErrnoException, duplex: Duplex): void {
  const socket = duplex as Socket;
  const busy = owedOn(socket);
  if (error.code !== 'ECONNRESET' && socket.writable && busy?.req.complete === true) {
    closeAfter(busy, socket);
    return;
  }
  // In the middle of a response, or with nobody there, there is nothing to be said.
  if (error.code === 'ECONNRESET' || !socket.writable || busy?.headersSent === true) {
    socket.destroy(error);
    return;
  }
  socket.on('error', () => undefined);
  const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const code = codeOf(error);
  const reason = late ? 'the request head took too long' : 'the request is not valid HTTP/1.1';
  const values = { reason, limit: '64 KiB' };
  const response = failureAnswer({ code, values }, '');
  answer(socket, late ? { ...response, status: 408 } : response);
}

/**
 * A connection that is about to change its protocol while a response is owed on it: the client
 * would take one for the other.
 */
function overtakes(socket: Duplex): boolean {
  return owedOn(socket) !== null || isClosing(socket as Socket);
}

/** Attaches the proxy's rooms to a server (`node:http` or `node:https`). */
export function wire(server: Server, parts: ListenerParts): void {
  const { handle, upgrade, connect } = parts;
  const onRequest: Parameters<typeof server.on<'request'>>[1] = (req, res) => {
    // RFC 9112 section 9.6: after a last response nothing more is processed.
    if (isClosing(req.socket)) req.resume();
    else handle(req, res, parts.wayOf(req));
  };
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  server.on('checkExpectation', onRequest);
  server.on('upgrade', (req, socket, head) => {
    if (overtakes(socket)) socket.destroy();
    else upgrade(req, socket, head, parts.wayOf(req));
  });
  server.on('connect', (req, socket, head) => {
    if (overtakes(socket)) {
      socket.destroy();
      return;
    }
    if (connect !== undefined) {
      connect(req, socket, head);
      return;
    }
    const reason = 'CONNECT inside a CONNECT is not served';
    answerError(socket as Socket, 'RL_BAD_REQUEST', { reason });
  });
  server.on('clientError', answerClientError);
}

/** The proxy's own listener. Not listening yet. */
export function createListener(parts: Omit<ListenerParts, 'wayOf'>): Server {
  const server = createServer(SERVER_OPTIONS);
  wire(server, { ...parts, wayOf: () => PLAIN });
  return server;
}

/** Port 0 takes a free one; the address really bound is returned. Rejects when it is taken. */
export function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve(server.address() as AddressInfo);
    });
  });
}
