/** Plain HTTP as a client without any settings speaks it, field by field. */
import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly text: string;
  json(): unknown;
  /** One field's value, or `''`. */
  field(name: string): string;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  /** The request target as it goes on the wire, when it is not the URL's own. */
  readonly target?: string;
  readonly signal?: AbortSignal;
}

const agent = new Agent({ keepAlive: false, maxSockets: Infinity });

/** Resolves when the whole answer is there; rejects when the connection breaks. */
export function call(url: string, options: CallOptions = {}): Promise<Answer> {
  const to = new URL(url);
  return new Promise((resolve, reject) => {
    const req = request(
      {
        agent,
        host: to.hostname,
        port: to.port,
        path: options.target ?? `${to.pathname}${to.search}`,
        method: options.method ?? 'GET',
        headers: headersOf(options),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      (res) => gather(res, resolve, reject),
    );
    req.on('error', reject);
    req.end(options.body);
  });
}

function headersOf(options: CallOptions): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    headers[name] = typeof value === 'string' ? value : [...value];
  }
  if (options.body !== undefined)
    headers['content-length'] = String(Buffer.byteLength(options.body));
  return headers;
}

function gather(
  res: IncomingMessage,
  resolve: (answer: Answer) => void,
  reject: (error: Error) => void,
): void {
  const chunks: Buffer[] = [];
  res.on('data', (chunk: Buffer) => chunks.push(chunk));
  res.on('error', reject);
  res.on('end', () => {
    const text = Buffer.concat(chunks).toString('utf8');
    resolve({
      status: res.statusCode ?? 0,
      headers: res.headers,
      rawHeaders: res.rawHeaders,
      text,
      json: () => JSON.parse(text) as unknown,
      field: (name) => String(res.headers[name] ?? ''),
    });
  });
}

export interface TunnelOptions {
  readonly proxyPort: number;
  /** `host:port` to open the tunnel for. */
  readonly authority: string;
  readonly proxyAuthorization?: string;
}

/** The status line's code and, for 200, the open tunnel. */
export function openTunnel(
  options: TunnelOptions,
): Promise<{ readonly status: number; readonly head: string; readonly socket: Socket }> {
  const socket = connectTcp(options.proxyPort, '127.0.0.1');
  const auth =
    options.proxyAuthorization === undefined
      ? ''
      : `Proxy-Authorization: ${options.proxyAuthorization}\r\n`;
  socket.write(
    `CONNECT ${options.authority} HTTP/1.1\r\nHost: ${options.authority}\r\n${auth}\r\n`,
  );
  return new Promise((resolve, reject) => {
    let head = '';
    const onData = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      socket.pause();
      resolve({ status: Number(head.slice(9, 12)), head, socket });
    };
    socket.on('data', onData);
    socket.once('error', reject);
  });
}

/** A request over TLS inside a tunnel, trusting only `caFile`. */
export async function callTls(
  options: TunnelOptions & { readonly caFile: string; readonly path: string } & CallOptions,
): Promise<Answer> {
  const { socket, status, head } = await openTunnel(options);
  if (status !== 200) throw new Error(`CONNECT was refused: ${head}`);
  const host = options.authority.replace(/:\d+$/, '');
  const secure = connectTls({ socket, servername: host, ca: readFileSync(options.caFile) });
  return new Promise((resolve, reject) => {
    secure.once('error', reject);
    const req = request(
      {
        createConnection: () => secure,
        host,
        port: 443,
        path: options.path,
        method: options.method ?? 'GET',
        headers: { host, ...headersOf(options) },
      },
      (res) =>
        gather(
          res,
          (answer) => {
            secure.destroy();
            resolve(answer);
          },
          reject,
        ),
    );
    req.on('error', reject);
    req.end(options.body);
  });
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
