/** Makes the sockets that undici sends requests on: dialled through the guard, TLS where due. */
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls, createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { buildConnector } from 'undici';
import { secureParent } from './connect-through.ts';
import { DialError, dial, dialDirect, dialParent, judgeForParent, parentFor } from './dial.ts';
import type { DialTarget, Guard } from './dial.ts';
import { skipContinue } from './interim.ts';

/** One origin server, as it is reached. */
export interface OriginSpec extends DialTarget {
  readonly scheme: 'http' | 'https';
  /** Name asked for in the TLS handshake and looked for in the certificate. */
  readonly servername: string;
  /** PEM roots trusted besides the usual ones. */
  readonly ca: readonly string[];
}

function contextFor(spec: OriginSpec): SecureContext {
  return spec.ca.length === 0
    ? createSecureContext({})
    : createSecureContext({ ca: [...getCACertificates('default'), ...spec.ca] });
}

async function connectPlain(spec: OriginSpec, guard: Guard): Promise<Socket> {
  const parent = parentFor(spec, guard);
  if (parent === null) return dialDirect(spec, guard);
  await judgeForParent(spec, guard);
  const socket = await dialParent(parent, guard);
  return parent.secure ? secureParent(socket, parent) : socket;
}

/** TLS handshakes to one origin: the context and the session tickets are kept. */
class Handshakes {
  private readonly spec: OriginSpec;
  private readonly timeoutMs: number;
  private context: SecureContext | null = null;
  private session: Buffer | undefined = undefined;

  constructor(spec: OriginSpec, timeoutMs: number) {
    this.spec = spec;
    this.timeoutMs = timeoutMs;
  }

  shake(raw: Socket): Promise<Socket> {
    const { spec } = this;
    this.context ??= contextFor(spec);
    const named = isIP(spec.servername) === 0;
    const socket = connectTls({
      socket: raw,
      host: spec.servername,
      // RFC 6066 section 3: no literal addresses in SNI.
      servername: named ? spec.servername : '',
      secureContext: this.context,
      ALPNProtocols: ['http/1.1'],
      ...(this.session === undefined ? {} : { session: this.session }),
    });
    socket.on('session', (session) => {
      this.session = session;
    });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const message = `no TLS handshake with \`${spec.servername}\` in time`;
        socket.destroy(new DialError(504, 'RL_CONNECT_TIMEOUT', message));
      }, this.timeoutMs);
      const failed = (error: Error): void => {
        clearTimeout(timer);
        this.session = undefined;
        reject(error);
      };
      const closed = (): void => {
        failed(new DialError(502, 'ECONNRESET', 'the origin closed during the TLS handshake'));
      };
      socket.once('error', failed);
      socket.once('close', closed);
      socket.once('secureConnect', () => {
        clearTimeout(timer);
        socket.off('error', failed).off('close', closed);
        resolve(socket);
      });
    });
  }
}

/** undici's `connect` option for one origin. */
export function connectorFor(spec: OriginSpec, guard: Guard): buildConnector.connector {
  const handshakes = new Handshakes(spec, guard.connectTimeoutMs);
  const open =
    spec.scheme === 'http'
      ? () => connectPlain(spec, guard)
      : async () => handshakes.shake(await dial(spec, guard));
  return (_options, callback) => {
    open().then(
      (socket) => {
        skipContinue(socket);
        callback(null, socket);
      },
      (error: unknown) => {
        callback(error instanceof Error ? error : new Error(String(error)), null);
      },
    );
  };
}
