import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';

export interface ApiListener {
  readonly host: string;
  readonly port: number;
  /** Base URL without a trailing slash. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Binds the API's port at once and loads the API itself (Fastify, zod: 100 ms and 30 MB) at its
 * first request, so that a daemon nobody looks at starts quickly and stays small.
 *
 * Rejects with the system's error when the address cannot be bound.
 */
export async function listenApi(
  address: { readonly host: string; readonly port: number },
  load: () => Promise<FastifyInstance>,
): Promise<ApiListener> {
  let app: FastifyInstance | null = null;
  let loading: Promise<FastifyInstance> | null = null;
  const ready = (): Promise<FastifyInstance> =>
    (loading ??= load().then(async (loaded) => {
      await loaded.ready();
      app = loaded;
      return loaded;
    }));
  const server = createServer((request, response) => {
    if (app !== null) app.routing(request, response);
    else ready().then((loaded) => loaded.routing(request, response), failWith(request, response));
  });
  await bind(server, address);
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : address.port;
  return {
    host: address.host,
    port,
    url: `http://${urlHost(address.host)}:${String(port)}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      // Ends the event streams; requests under way may finish, idle connections may not stay.
      if (loading !== null)
        await loading.then(
          (loaded) => loaded.close(),
          () => undefined,
        );
      server.closeIdleConnections();
      const hurry = setTimeout(() => server.closeAllConnections(), 1000);
      await closed;
      clearTimeout(hurry);
    },
  };
}

async function bind(server: Server, address: { readonly host: string; readonly port: number }) {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** An address one can call: a wildcard is called on loopback. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function failWith(request: IncomingMessage, response: ServerResponse) {
  return (): void => {
    request.resume();
    response.writeHead(500, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        error: { code: 'RL_INTERNAL', message: 'the API could not be loaded', request_id: '' },
      }),
    );
  };
}
