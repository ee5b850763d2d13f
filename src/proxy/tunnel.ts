/** Blind tunnels: bytes both ways, half-close kept, never looked at. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { HostPort } from './authority.ts';
import type { ProxyMeter, ProxySettings } from './ports.ts';
import { answerError } from './raw-answer.ts';
import { dialFault } from './dial-fault.ts';

/** Opens a connection to a checked address, through the parent proxy if there is one. */
export type Dial = (target: HostPort & { readonly trusted: boolean }) => Promise<Socket>;

export interface TunnelDeps {
  readonly dial: Dial;
  readonly settings: Pick<ProxySettings, 'maxTunnels' | 'tunnelIdleMs'>;
  readonly meter: Pick<ProxyMeter, 'tunnel'>;
}

export interface Tunnels {
  /**
   * Opens a tunnel for a client and answers it: 200, or 403, 502, 503, 504, 508.
   * @param head bytes the client sent early
   * @param answered whether the client was told 200 before; failures then close the socket
   */
  open(client: Socket, head: Buffer, target: HostPort, answered: boolean): void;
  /** Tunnels open or being opened. */
  readonly count: number;
  /** Breaks off every tunnel. */
  close(): void;
}

export const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

export function createTunnels(deps: TunnelDeps): Tunnels {
  const clients = new Set<Socket>();

  function open(client: Socket, head: Buffer, target: HostPort, answered: boolean): void {
    if (clients.size >= deps.settings.maxTunnels) {
      deps.meter.tunnel('denied');
      if (answered) client.destroy();
      else {
        const limit = deps.settings.maxTunnels;
        answerError(client, 'RL_TUNNELS', { limit }, ['Retry-After', '1']);
      }
      return;
    }
    clients.add(client);
    client.on('error', ignore);
    client.once('close', () => {
      clients.delete(client);
    });
    deps.dial({ ...target, trusted: false }).then(
      (upstream) => {
        upstream.on('error', ignore);
        if (client.destroyed || !clients.has(client)) {
          upstream.destroy();
          client.destroy();
          return;
        }
        deps.meter.tunnel('opened');
        client.once('close', () => deps.meter.tunnel('closed'));
        if (!answered) client.write(ESTABLISHED);
        if (head.length > 0) upstream.write(head);
        join(client, upstream, deps.settings.tunnelIdleMs);
      },
      (error: unknown) => {
        const fault = dialFault(error, target.host);
        if (fault.status === 403 || fault.status === 508) deps.meter.tunnel('denied');
        clients.delete(client);
        if (answered) client.destroy();
        else answerError(client, fault.code, fault.values);
      },
    );
  }

  return {
    open,
    get count() {
      return clients.size;
    },
    close() {
      for (const client of clients) client.destroy();
      clients.clear();
    },
  };
}

function ignore(): void {
  // An error is followed by `close`, where everything is torn down.
}

/**
 * Pipes two sockets into each other. An end on one side ends the other's writing only; the end of
 * one socket altogether ends both. Either side silent for `idleMs` breaks off both.
 */
function join(client: Socket, upstream: Socket, idleMs: number): void {
  client.pipe(upstream);
  upstream.pipe(client);
  closeAfter(client, upstream, idleMs);
  closeAfter(upstream, client, idleMs);
}

function closeAfter(one: Socket, other: Socket, idleMs: number): void {
  one.setTimeout(idleMs, () => {
    one.destroy();
    other.destroy();
  });
  one.once('close', (hadError) => {
    // A reset is told as one; after a clean end what was read may still be on its way out.
    if (hadError) breakOff(other);
    else if (one.readableEnded) other.destroySoon();
    else other.destroy();
  });
}

function breakOff(socket: Socket): void {
  // Only a plain TCP socket can be reset; one inside TLS (a secure parent proxy) is just closed.
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}
