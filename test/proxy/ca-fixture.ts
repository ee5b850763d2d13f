/** A directory, a TLS origin on loopback and a CONNECT proxy that leads every name to it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer as createProxy } from 'node:http';
import { createServer as createOrigin } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import { createPrivateKey } from 'node:crypto';
import { issueLeaf, makeLeafKey } from '../../src/proxy/ca/certificates.ts';

export interface TemporaryDirectory extends Disposable {
  readonly path: string;
}

export function temporaryDirectory(): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), 'ratelord-ca-'));
  return {
    path,
    [Symbol.dispose]: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** The one file in `dir` that ends so. */
export function fileIn(dir: string, ending: string): string {
  const names = readdirSync(dir).filter((name) => name.endsWith(ending));
  const [name] = names;
  if (name === undefined || names.length > 1) throw new Error(`${names.length} files *${ending}`);
  return join(dir, name);
}

export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** A leaf for any name at all, signed with the key in `dir`: what a thief of the key could make. */
export function stolenLeaf(dir: string, host: string): Credentials {
  const intermediate = readFileSync(fileIn(dir, '.key').replace(/\.key$/, '.pem'), 'utf8');
  const key = createPrivateKey(readFileSync(fileIn(dir, '.key')));
  const leafKey = makeLeafKey();
  const leaf = issueLeaf(host, { certificatePem: intermediate, key }, leafKey, Date.now());
  return {
    cert: leaf.pem + intermediate,
    key: leafKey.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

export interface Origin extends AsyncDisposable {
  readonly port: number;
  readonly proxyUrl: string;
  /** `Host` fields of the requests that came through TLS. */
  readonly hosts: string[];
  /** Raw `Proxy-Authorization` of each CONNECT. */
  readonly credentials: (string | undefined)[];
}

/** What git asks first of a smart HTTP remote: one branch. */
const GIT_REFS = (() => {
  const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;
  const ref = `${'1'.repeat(40)} refs/heads/main\0agent=test\n`;
  return `${line('# service=git-upload-pack\n')}0000${line(ref)}0000`;
})();

/** Serves `contexts(host)` by SNI, and `bare` to clients that send none (to an IP address). */
export async function startOrigin(
  contexts: (host: string) => SecureContext,
  bare: Credentials,
): Promise<Origin> {
  const hosts: string[] = [];
  const credentials: (string | undefined)[] = [];
  const origin = createOrigin(
    {
      ...bare,
      SNICallback: (name, done) => {
        done(null, contexts(name));
      },
    },
    (request, response) => {
      hosts.push(request.headers.host ?? '');
      const forGit = request.url?.includes('service=git-upload-pack') === true;
      response.setHeader('connection', 'close');
      response.setHeader(
        'content-type',
        forGit ? 'application/x-git-upload-pack-advertisement' : 'application/json',
      );
      response.end(forGit ? GIT_REFS : '{"login":"octocat"}');
    },
  );
  // A refused handshake ends in an error here; that is the point of half of the cases.
  origin.on('tlsClientError', () => undefined);
  origin.on('secureConnection', (socket: Socket) => socket.on('error', () => undefined));
  const port = await listen(origin);
  const proxy = createProxy();
  const sockets = new Set<Socket>();
  proxy.on('connect', (request, socket: Socket, head: Buffer) => {
    credentials.push(request.headers['proxy-authorization']);
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    for (const each of [socket, upstream]) {
      sockets.add(each);
      each.on('error', () => {
        upstream.destroy();
        socket.destroy();
      });
      each.on('close', () => sockets.delete(each));
    }
  });
  const proxyPort = await listen(proxy);
  return {
    port,
    proxyUrl: `http://127.0.0.1:${proxyPort}`,
    hosts,
    credentials,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      origin.closeAllConnections();
      proxy.closeAllConnections();
      await Promise.all([close(origin), close(proxy)]);
    },
  };
}

export interface ClientResult {
  readonly code: number;
  readonly output: string;
}

/** Runs a client to its end. A client that is not there answers with code 127. */
export function runClient(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<ClientResult> {
  return new Promise((resolve) => {
    execFile(file, args, { env, timeout: 20_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 127;
      resolve({ code, output: stdout + stderr });
    });
  });
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
