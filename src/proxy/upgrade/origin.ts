/** A connection to the origin server of one WebSocket, TLS included. */
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect, createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { DurationMs } from '../../core/units.ts';
import type { Route } from '../ports.ts';
import type { Dial } from '../tunnel.ts';
import { DialError } from '../upstream/dial-error.ts';

const contexts = new WeakMap<readonly string[], SecureContext>();

function contextFor(ca: readonly string[]): SecureContext {
  let context = contexts.get(ca);
  if (context === undefined) {
    context = createSecureContext(
      ca.length === 0 ? {} : { ca: [...getCACertificates('default'), ...ca] },
    );
    contexts.set(ca, context);
  }
  return context;
}

/**
 * Dials a route's origin at its checked address. Rejects with a `DialError` or the system's or TLS's
 * error; nothing is left open then.
 */
export async function openOrigin(route: Route, dial: Dial, timeoutMs: DurationMs): Promise<Socket> {
  const { scheme, host, port, trusted, ca } = route.dial;
  const socket = await dial({ host, port, trusted });
  return scheme === 'http' ? socket : secure(socket, route.host, contextFor(ca), timeoutMs);
}

function secure(
  raw: Socket,
  name: string,
  secureContext: SecureContext,
  timeoutMs: DurationMs,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      socket: raw,
      host: name,
      // RFC 6066 section 3: no literal addresses in SNI.
      servername: isIP(name) === 0 ? name : '',
      secureContext,
      ALPNProtocols: ['http/1.1'],
    });
    const timer = setTimeout(() => {
      failed(new DialError(504, 'RL_CONNECT_TIMEOUT', `no TLS handshake with \`${name}\` in time`));
    }, timeoutMs);
    const failed = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
      socket.destroy();
      raw.destroy();
    };
    const closed = (): void => {
      failed(new DialError(502, 'ECONNRESET', 'the origin closed during the TLS handshake'));
    };
    // Stays: an error without a listener would take the process down.
    socket.on('error', failed);
    socket.once('close', closed);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.off('close', closed);
      resolve(socket);
    });
  });
}
