/**
 * Relays one WebSocket through http-proxy-3's `ws()`, on an upstream socket that is owned here.
 *
 * What `ws()` (2.0.1) gets wrong is taken from it: it sees cleaned fields only, because it forwards
 * every one it is given; it does not dial, so a client that leaves before the 101 takes the upstream
 * socket along; answers other than 101 are written here, because it leaves the client hanging when
 * such an answer is cut short.
 */
import { Agent } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { RawFields } from '../../core/head.ts';
import type { Ending } from '../../core/engine.ts';
import type { DurationMs } from '../../core/units.ts';

export type RelayLibrary = Pick<typeof import('http-proxy-3'), 'createProxyServer'>;

/** Everything that a relay needs; both sockets are its own from now on. */
export interface Passage {
  readonly client: Socket;
  readonly upstream: Socket;
  /** What the client sent after its request. */
  readonly early: Buffer;
  readonly request: IncomingMessage;
  /** Origin-form. */
  readonly path: string;
  /** To send: Host, Upgrade and Connection included, everything else end-to-end. */
  readonly fields: RawFields;
  /** How long the origin may take to answer. */
  readonly answerMs: DurationMs;
  /** How long one side may outlive the other. */
  readonly lingerMs: DurationMs;
}

/** Told in this order: `switched` or `answered` or neither, `fromOrigin` after the first, `ended`. */
export interface RelayListener {
  /** The origin's 101. Returns the fields that the client is to get. */
  switched(head: IncomingMessage): RawFields;
  /** Another answer, to be relayed; `done` is called with its end. */
  answered(response: IncomingMessage, done: (ending: Ending) => void): void;
  /** Bytes from the origin, after they were handed on. */
  fromOrigin(chunk: Buffer): void;
  /** No answer came, and the client is still there to be told so. */
  unanswered(cause: 'timeout' | 'closed'): void;
  /** Both sockets are closed, or about to. */
  ended(ending: Ending, bytesUp: number, bytesDown: number): void;
}

let loaded: Promise<RelayLibrary> | undefined;

/** Loads the relay with the first WebSocket: a daemon without any does without. */
export function loadRelay(): Promise<RelayLibrary> {
  loaded ??= import('http-proxy-3');
  return loaded;
}

/** An agent that hands out one connected socket. */
class Handover extends Agent {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ keepAlive: false });
    this.#socket = socket;
  }

  override createConnection(): Duplex {
    return this.#socket;
  }
}

/** Starts the relay; returns at once. The client is to be paused, with nothing reading from it. */
export function relay(library: RelayLibrary, passage: Passage, listener: RelayListener): void {
  const { client, upstream } = passage;
  let bytesUp = 0;
  let bytesDown = 0;
  let state: 'asking' | 'switched' | 'answered' | 'over' = 'asking';
  let ending: Ending = 'complete';

  const end = (how: Ending): void => {
    if (state === 'over') return;
    state = 'over';
    clearTimeout(timer);
    listener.ended(how, bytesUp, bytesDown);
  };
  // Before the 101 an end is as good as a close: nobody is left to be switched over to.
  const clientLeft = (): void => {
    if (state !== 'asking') return;
    client.destroy();
    upstream.destroy();
    end('aborted');
  };
  const unanswered = (cause: 'timeout' | 'closed'): void => {
    if (state !== 'asking') return;
    listener.unanswered(cause);
    end('failed');
    upstream.destroy();
  };
  const timer = setTimeout(() => {
    unanswered('timeout');
  }, passage.answerMs);
  client.once('end', clientLeft);
  client.once('close', clientLeft);

  const asked = ask(library, passage, {
    switched(response) {
      if (state !== 'asking') return;
      state = 'switched';
      clearTimeout(timer);
      response.headers = grouped(listener.switched(response));
    },
    failed: () => {
      unanswered('closed');
    },
    open() {
      watch(client, upstream, passage.lingerMs, {
        up: (chunk) => {
          bytesUp += chunk.length;
        },
        down: (chunk) => {
          bytesDown += chunk.length;
          listener.fromOrigin(chunk);
        },
        broken: (how) => {
          ending = how;
        },
        closed: () => {
          end(ending);
        },
      });
    },
  });
  asked.once('response', (response) => {
    if (state !== 'asking') return;
    state = 'answered';
    clearTimeout(timer);
    response.on('data', (chunk: Buffer) => {
      bytesDown += chunk.length;
    });
    listener.answered(response, (how) => {
      upstream.destroy();
      end(how);
    });
  });
}

interface Answers {
  switched(response: IncomingMessage): void;
  /** No answer, or the upstream socket failed after it. */
  failed(): void;
  /** Bytes flow. */
  open(): void;
}

/** Sends the request through the library, which is left to relay the 101 and what follows it. */
function ask(library: RelayLibrary, passage: Passage, answers: Answers): ClientRequest {
  const proxy = library.createProxyServer({});
  let asked: ClientRequest | undefined;
  // Called before the library adds its own listeners, and before anything is sent.
  proxy.once('proxyReqWs', (request) => {
    asked = request;
    request.path = passage.path;
    for (const name of request.getHeaderNames()) request.removeHeader(name);
    const { fields } = passage;
    for (let i = 0; i + 1 < fields.length; i += 2) {
      request.appendHeader(fields[i] as string, fields[i + 1] as string);
    }
    request.once('upgrade', answers.switched);
  });
  proxy.once('open', answers.open);
  // The client's errors; `close` follows.
  proxy.on('error', () => undefined);
  const view = Object.create(passage.request, {
    headers: { value: { upgrade: 'websocket', connection: 'Upgrade' } },
    url: { value: '/' },
  }) as IncomingMessage;
  // Both are replaced: the agent brings the socket, and `passage` the path.
  const target = { protocol: 'http:', host: 'upstream', port: 80 };
  const agent = new Handover(passage.upstream);
  proxy.ws(view, passage.client, passage.early, { target, agent }, answers.failed);
  if (asked === undefined) throw new Error('http-proxy-3 sent no upgrade request');
  asked.removeAllListeners('response');
  return asked;
}

interface Watcher {
  up(chunk: Buffer): void;
  down(chunk: Buffer): void;
  /** One side broke off instead of ending. */
  broken(how: 'aborted' | 'truncated'): void;
  closed(): void;
}

/** Follows both sockets after the 101: counts, lets one outlive the other briefly, reports the end. */
function watch(client: Socket, upstream: Socket, lingerMs: DurationMs, watcher: Watcher): void {
  let linger: NodeJS.Timeout | undefined;
  let open = 2;
  let broken = false;
  // Of two sides that break off, the first tells how it ended; the other merely follows.
  const breaks = (how: 'aborted' | 'truncated'): void => {
    if (!broken) watcher.broken(how);
    broken = true;
  };
  const ending = (): void => {
    linger ??= setTimeout(() => {
      client.destroy();
      upstream.destroy();
    }, lingerMs);
  };
  const follow = (socket: Socket, how: 'aborted' | 'truncated'): void => {
    socket.once('end', () => {
      broken = true;
      ending();
    });
    socket.once('error', () => {
      breaks(how);
    });
    socket.once('close', () => {
      breaks(how);
      ending();
      if (--open > 0) return;
      clearTimeout(linger);
      watcher.closed();
    });
  };
  client.on('data', watcher.up);
  upstream.on('data', watcher.down);
  follow(client, 'aborted');
  follow(upstream, 'truncated');
}

/** The library writes fields from an object: duplicates become lists, order and case stay. */
function grouped(fields: RawFields): Record<string, string | string[]> {
  const made: Record<string, string | string[]> = {};
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    const before = made[name];
    made[name] =
      before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return made;
}
