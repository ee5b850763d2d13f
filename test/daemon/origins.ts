/** Origins on loopback that keep limits of their own, and count whom they refused. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { undo } from './harness.ts';

export interface Seen {
  readonly at: number;
  readonly method: string;
  readonly url: string;
  readonly host: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface Origin {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly seen: Seen[];
  /** Requests that it refused because a limit was passed. */
  refused: number;
  served: number;
}

export type Reply = (req: IncomingMessage, res: ServerResponse, body: string) => void;

/** Listens on a port of the system's choosing until the test's end. */
export async function listenOrigin(reply: (origin: Origin) => Reply): Promise<Origin> {
  const server: Server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
  const origin: Origin = {
    url: `http://127.0.0.1:${String(port)}`,
    seen: [],
    refused: 0,
    served: 0,
  };
  const answer = reply(origin);
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const { method = '', url = '', rawHeaders } = req;
      const host = req.headers.host ?? '';
      origin.seen.push({ at: Date.now(), method, url, host, rawHeaders, body });
      answer(req, res, body);
    });
  });
  undo(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return origin;
}

export function sendJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body);
  res.writeHead(status, {
    ...headers,
    'content-type': headers['content-type'] ?? 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
  });
  res.end(text);
}

/** A window of fixed length, opened by the first request that counts. */
export class FixedWindow {
  readonly limit: number;
  readonly #lengthMs: number;
  used = 0;
  #endsAt = 0;

  constructor(limit: number, lengthMs: number) {
    this.limit = limit;
    this.#lengthMs = lengthMs;
  }

  /** Takes units, or says no and takes none. */
  take(units: number): boolean {
    this.#roll();
    if (this.used + units > this.limit) return false;
    if (this.used === 0 && units > 0) this.#endsAt = Date.now() + this.#lengthMs;
    this.used += units;
    return true;
  }

  #roll(): void {
    if (this.used > 0 && Date.now() >= this.#endsAt) this.used = 0;
  }

  get remaining(): number {
    this.#roll();
    return Math.max(0, this.limit - this.used);
  }

  /** End in whole seconds, floored; of an unused window, what it would be. */
  get resetS(): number {
    this.#roll();
    return Math.floor((this.used === 0 ? Date.now() + this.#lengthMs : this.#endsAt) / 1000);
  }

  get secondsLeft(): number {
    this.#roll();
    const left = this.used === 0 ? this.#lengthMs : this.#endsAt - Date.now();
    return Math.max(0, Math.ceil(left / 1000));
  }
}

/** Refills continuously: `limit` units in `windowMs`. */
export class Refilling {
  readonly limit: number;
  readonly #windowMs: number;
  #level: number;
  #at = performance.now();

  constructor(limit: number, windowMs: number, level = limit) {
    this.limit = limit;
    this.#windowMs = windowMs;
    this.#level = level;
  }

  get level(): number {
    const now = performance.now();
    this.#level = Math.min(
      this.limit,
      this.#level + ((now - this.#at) / this.#windowMs) * this.limit,
    );
    this.#at = now;
    return this.#level;
  }

  has(units: number): boolean {
    return this.level >= units;
  }

  take(units: number): void {
    this.#level = this.level - units;
  }

  /** Time until it is full again, milliseconds. */
  get fullInMs(): number {
    return Math.max(0, ((this.limit - this.level) / this.limit) * this.#windowMs);
  }

  /** Time until `units` are there, milliseconds. */
  inMs(units: number): number {
    return Math.max(0, ((units - this.level) / this.limit) * this.#windowMs);
  }
}
