/** The HTTP server behind CONNECT: it listens nowhere and is handed connections. */
import { createServer } from 'node:http';
import type { ServerOptions } from 'node:http';
import type { Socket } from 'node:net';
import type { InsideWay } from './connect.ts';
import { SERVER_OPTIONS, wire } from './listener.ts';
import type { ListenerParts } from './listener.ts';
import type { Way } from './ports.ts';

export interface Inside {
  /** Takes a connection, TLS taken off; its requests are handled as having come in by `way`. */
  accept(socket: Socket, way: InsideWay): void;
  /** Closes idle connections now; the others when their response is through. */
  close(): void;
  /** Breaks off what is still open. */
  destroy(): void;
}

/** @param limits replace those of `SERVER_OPTIONS` */
export function createInside(
  parts: Pick<ListenerParts, 'handle' | 'upgrade'>,
  limits: Pick<ServerOptions, 'headersTimeout' | 'connectionsCheckingInterval'> = {},
): Inside {
  const ways = new WeakMap<Socket, InsideWay>();
  const open = new Set<Socket>();
  const server = createServer({ ...SERVER_OPTIONS, ...limits });
  wire(server, {
    handle: parts.handle,
    upgrade: parts.upgrade,
    wayOf(req): Way {
      const way = ways.get(req.socket);
      if (way === undefined) throw new Error('a connection came from nowhere');
      return way;
    },
  });
  // Node starts its watch over slow heads (`headersTimeout`) when a server begins to listen.
  server.emit('listening');
  return {
    accept(socket, way) {
      ways.set(socket, way);
      open.add(socket);
      socket.once('close', () => {
        open.delete(socket);
      });
      server.emit('connection', socket);
    },
    close() {
      server.closeIdleConnections();
      server.close();
    },
    destroy() {
      for (const socket of open) socket.destroy();
    },
  };
}
