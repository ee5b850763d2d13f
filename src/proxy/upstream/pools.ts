/**
 * Connection pools to origin servers, one for each origin and credential: responses that an origin
 * or a middlebox queued wrongly on one connection can then never reach another's client
 * (response-queue poisoning, CVE-2026-48931).
 */
import type { Readable } from 'node:stream';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { Route } from '../ports.ts';
import { connectorFor } from './connector.ts';
import { parentFor } from './dial.ts';
import type { Guard } from './dial.ts';

/** A request as undici is given it. `fields` is flat and holds `Host` and, if known, the length. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly fields: readonly string[];
  readonly body: Buffer | Readable | null;
}

/** undici's legacy handler: the one that gives raw buffers, without an object of headers. */
export interface UpstreamHandler {
  /** Called just before the request is written. */
  onConnect(abort: (error?: Error) => void): void;
  /** Also for 1xx. False pauses the content until `resume`. */
  onHeaders(status: number, fields: Buffer[], resume: () => void, reason: string): boolean;
  /** False pauses. */
  onData(chunk: Buffer): boolean;
  onComplete(trailers: Buffer[] | null): void;
  onError(error: Error): void;
}

export interface Upstream {
  /**
   * Never throws; every failure ends in `onError`. Returns whether a parent proxy takes the request
   * in absolute-form: a 407 is then the parent's, not the origin's.
   */
  dispatch(
    route: Route,
    credential: string,
    request: UpstreamRequest,
    handler: UpstreamHandler,
  ): boolean;
  /** Waits for what is running. */
  close(): Promise<void>;
  /** Breaks off what is running. */
  destroy(): Promise<void>;
}

interface Line {
  readonly pool: Pool;
  /** Put before the path: `http://host:port` when a parent proxy takes absolute-form. */
  readonly prefix: string;
  /** For the parent proxy; `null` when it is told in a CONNECT, or there is none. */
  readonly authorization: string | null;
  usedAt: number;
}

export interface UpstreamOptions {
  readonly guard: Guard;
  /** Pools kept; the one unused for longest is closed when there are more. Default 512. */
  readonly maxPools?: number;
}

const MAX_HEADER_BYTES = 65_536;
/** How long an idle connection is kept when the origin does not say; undici's own default. */
const IDLE_MS = 4_000;

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function originOf(route: Route): string {
  const { scheme, host, port } = route.dial;
  return `${scheme}://${urlHost(host)}:${String(port)}`;
}

class Pools implements Upstream {
  private readonly lines = new Map<string, Line>();
  private readonly roots = new WeakMap<readonly string[], string>();
  private readonly guard: Guard;
  private readonly maxPools: number;
  private uses = 0;
  private rootSets = 0;

  constructor(options: UpstreamOptions) {
    this.guard = options.guard;
    this.maxPools = options.maxPools ?? 512;
  }

  dispatch(
    route: Route,
    credential: string,
    request: UpstreamRequest,
    handler: UpstreamHandler,
  ): boolean {
    const key = this.keyOf(route, credential);
    const line = this.lines.get(key) ?? this.open(key, route);
    line.usedAt = ++this.uses;
    const { prefix, authorization } = line;
    line.pool.dispatch(
      {
        method: request.method,
        path: prefix === '' ? request.path : prefix + request.path,
        headers:
          authorization === null
            ? (request.fields as string[])
            : [...request.fields, 'Proxy-Authorization', authorization],
        body: request.body,
      },
      handler as Dispatcher.DispatchHandler,
    );
    return prefix !== '';
  }

  private keyOf(route: Route, credential: string): string {
    const { scheme, host, port, trusted, ca } = route.dial;
    const trust = trusted ? '+' : '-';
    return `${credential} ${scheme} ${host} ${String(port)} ${route.host} ${trust}${this.rootsKey(ca)}`;
  }

  private rootsKey(ca: readonly string[]): string {
    if (ca.length === 0) return '';
    let key = this.roots.get(ca);
    if (key === undefined) {
      key = String(++this.rootSets);
      this.roots.set(ca, key);
    }
    return key;
  }

  private open(key: string, route: Route): Line {
    if (this.lines.size >= this.maxPools) this.evict();
    const { dial } = route;
    const spec = { ...dial, servername: route.host };
    const parent = parentFor(spec, this.guard);
    const origin = originOf(route);
    const pool = new Pool(origin, {
      connect: connectorFor(spec, this.guard),
      pipelining: 1,
      allowH2: false,
      // A long completion may think for minutes; whoever waits for it is the one to give up.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAliveTimeout: IDLE_MS,
    });
    const prefix =
      parent !== null && dial.scheme === 'http'
        ? `http://${urlHost(dial.host)}${dial.port === 80 ? '' : `:${String(dial.port)}`}`
        : '';
    const authorization = prefix === '' ? null : (parent?.authorization ?? null);
    const line: Line = { pool, prefix, authorization, usedAt: 0 };
    this.lines.set(key, line);
    return line;
  }

  private evict(): void {
    let oldest: string | null = null;
    let usedAt = Infinity;
    for (const [key, line] of this.lines) {
      if (line.usedAt < usedAt) {
        usedAt = line.usedAt;
        oldest = key;
      }
    }
    if (oldest === null) return;
    const line = this.lines.get(oldest);
    this.lines.delete(oldest);
    // What still runs on it finishes; nothing waits for that.
    line?.pool.close(() => undefined);
  }

  async close(): Promise<void> {
    const lines = [...this.lines.values()];
    this.lines.clear();
    await Promise.all(lines.map((line) => line.pool.close()));
  }

  async destroy(): Promise<void> {
    const lines = [...this.lines.values()];
    this.lines.clear();
    await Promise.all(lines.map((line) => line.pool.destroy()));
  }
}

export function createUpstream(options: UpstreamOptions): Upstream {
  return new Pools(options);
}
