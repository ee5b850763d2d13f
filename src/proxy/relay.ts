/** A response on its way from the origin to the client: written through, never piled up. */
import { STATUS_CODES } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Ending } from '../core/engine.ts';
import type { TextEdit } from '../core/provider.ts';
import { Dropped } from './dropped.ts';
import type { Feed } from './feed.ts';
import { latin1 } from './latin1.ts';
import { lingerOnClose } from './linger.ts';
import { dropField, siftResponse } from './response-fields.ts';
import type { SiftedResponse } from './response-fields.ts';
import type { UpstreamHandler } from './upstream/pools.ts';

/** The exchange, as its response sees it. */
export interface RelayHost {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** True once the exchange is over; whatever still comes is ignored. */
  readonly over: boolean;
  /**
   * A final head came: adds to its fields, and says who reads the content. `null`: the request will be
   * sent again, and nothing of this answer is passed on.
   */
  head(status: number, response: SiftedResponse): Readers | null;
  /** The response will not go on. Called before its last byte is handed to the client. */
  finish(ending: Ending, error?: string): void;
  /** No response came; may dispatch again. */
  failed(error: Error): void;
}

export interface Readers {
  readonly feed: Feed | null;
  readonly edit: TextEdit | null;
}

/** Small contents go out with their head in one write, as one string. */
const ONE_WRITE_BYTES = 4_096;
const NO_BODY: ReadonlySet<number> = new Set([204, 304]);
/** Interim responses are dropped while so much of them waits for a client that does not read. */
const MAX_INTERIM_BYTES = 65_536;

const ABORTED = new Error('the client left');

/**
 * The origin's own words, where they are ASCII: undici has read them as UTF-8, and Node writes no
 * more than Latin-1. Clients are told to ignore them (RFC 9112 section 4).
 */
function reasonFor(status: number, reason: string): string {
  return /^[\t\x20-\x7e]*$/.test(reason) ? reason : (STATUS_CODES[status] ?? '');
}

function flushLate(relay: Relay): void {
  relay.flush();
}

export class Relay implements UpstreamHandler {
  /** True once the request is being written: from then on the origin may have charged for it. */
  sent = false;
  bytesDown = 0;
  /** A parent proxy took the request in absolute-form. */
  throughParent = false;
  /** True once the final head came. */
  answered = false;
  private readonly host: RelayHost;
  private readonly res: ServerResponse;
  private abortUpstream: ((error?: Error) => void) | null = null;
  private resume: (() => void) | null = null;
  private paused = false;
  /** Something of the response was handed to the socket. */
  private wrote = false;
  /** Bytes that complete the content, -1 when that is not known. */
  private length = -1;
  /** This status or method has no content. */
  private empty = false;
  private trailers = false;
  private feed: Feed | null = null;
  private edit: TextEdit | null = null;
  private decoder: StringDecoder | null = null;
  private dropped: Dropped | null = null;

  constructor(host: RelayHost) {
    this.host = host;
    this.res = host.res;
  }

  abort(): void {
    this.abortUpstream?.(ABORTED);
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.host.over) {
      abort(ABORTED);
      return;
    }
    this.abortUpstream = abort;
    this.sent = true;
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, reason: string): boolean {
    const { host, res } = this;
    if (host.over) return true;
    if (status < 200) {
      this.interim(status, raw, reason);
      return true;
    }
    this.resume = resume;
    if (status === 407 && this.throughParent) {
      host.failed(new Error('the parent proxy refused our credentials'));
      this.abort();
      return true;
    }
    const response = siftResponse(raw);
    if (response.coded) {
      this.unfit('the origin applied a transfer coding other than chunked');
      return true;
    }
    this.answered = true;
    const readers = host.head(status, response);
    const empty = NO_BODY.has(status) || host.req.method === 'HEAD';
    if (readers === null) {
      this.dropped = new Dropped(() => this.abort());
      this.dropped.begin(empty ? 0 : response.contentLength);
      return true;
    }
    const { feed, edit } = readers;
    this.feed = feed;
    const { fields } = response;
    // RFC 9110 section 8.6 forbids it there, and old clients would wait for what it announces.
    if (status === 204 && response.contentLength >= 0) dropField(fields, 'content-length');
    this.empty = empty;
    if (edit !== null && !empty) {
      this.edit = edit;
      this.decoder = new StringDecoder('utf8');
      dropField(fields, 'content-length');
    } else if (!empty) {
      this.length = response.contentLength;
    }
    const chunked = !empty && this.length < 0 && host.req.httpVersionMinor === 1;
    // Node refuses to announce trailers where there can be none.
    if (response.trailer && !chunked) dropField(fields, 'trailer');
    this.trailers = chunked;
    try {
      res.writeHead(status, reasonFor(status, reason), fields);
    } catch {
      // A field that the origin's parser let through and Node's will not write.
      this.answered = false;
      this.unfit('the origin sent a head that cannot be passed on');
      return true;
    }
    // Content that came with the head goes out with it; otherwise the head goes alone.
    if (!empty) process.nextTick(flushLate, this);
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (this.dropped !== null) {
      this.dropped.data(chunk);
      return true;
    }
    if (this.host.over) return true;
    this.bytesDown += chunk.length;
    this.feed?.write(chunk);
    const { res } = this;
    if (this.edit !== null) return this.keep(res.write(this.edited(this.edit, chunk)));
    if (this.bytesDown === this.length) {
      // The end of the exchange is recorded before the client can have seen it: see onComplete,
      // which undici calls in this same turn.
      if (!this.wrote && chunk.length <= ONE_WRITE_BYTES) res.end(latin1(chunk), 'latin1');
      else res.end(chunk);
      this.wrote = true;
      return true;
    }
    this.wrote = true;
    return this.keep(res.write(chunk));
  }

  onComplete(trailers: Buffer[] | null): void {
    const { host, res } = this;
    this.dropped?.over();
    if (host.over || this.dropped !== null) return;
    host.finish('complete');
    if (!host.req.complete) this.closeAfter();
    if (res.writableEnded) return;
    if (trailers !== null && trailers.length > 0 && this.trailers) {
      const pairs: [string, string][] = [];
      for (let i = 0; i + 1 < trailers.length; i += 2) {
        pairs.push([latin1(trailers[i] as Buffer), latin1(trailers[i + 1] as Buffer)]);
      }
      res.addTrailers(pairs);
    }
    this.wrote = true;
    if (this.edit === null) res.end();
    else res.end(this.edit.write(this.decoder?.end() ?? '') + this.edit.end());
  }

  onError(error: Error): void {
    const { host } = this;
    this.dropped?.over();
    if (host.over || this.dropped !== null) return;
    if (!this.answered) {
      host.failed(error);
      return;
    }
    const { code } = error as NodeJS.ErrnoException;
    if (this.empty && code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
      // A 304 may declare the length it does not send (RFC 9110 section 8.6); undici does not know.
      this.onComplete(null);
      return;
    }
    host.finish('truncated', code ?? 'ERROR');
    // Only a broken connection tells the client that what it has is not whole.
    this.res.destroy();
  }

  flush(): void {
    if (this.wrote || this.res.destroyed) return;
    this.wrote = true;
    this.res.flushHeaders();
  }

  /** What the tap learned so far is asked for by whoever ends the exchange. */
  takeFeed(): Feed | null {
    const { feed } = this;
    this.feed = null;
    return feed;
  }

  /** The origin answered before the upload was through: nobody wants the rest of it. */
  private closeAfter(): void {
    const { socket } = this.host.req;
    lingerOnClose(socket);
    this.res.once('finish', () => {
      socket.destroySoon();
    });
  }

  private edited(edit: TextEdit, chunk: Buffer): string {
    this.wrote = true;
    const text = this.decoder?.write(chunk) ?? '';
    return text === '' ? '' : edit.write(text);
  }

  /** Passes the client's back pressure on to the origin. */
  private keep(flowing: boolean): boolean {
    if (!flowing && !this.paused) {
      this.paused = true;
      this.res.once('drain', () => {
        this.paused = false;
        this.resume?.();
      });
    }
    return flowing;
  }

  private unfit(reason: string): void {
    this.host.failed(new Error(reason));
    this.abort();
  }

  /** 1xx other than 100: only to clients that can know them, and only ahead of the final head. */
  private interim(status: number, raw: readonly Buffer[], reason: string): void {
    const { socket } = this.res;
    if (socket === null || this.res.headersSent || this.host.req.httpVersionMinor === 0) return;
    // undici takes any number for a status, and fails the request over this one in a moment.
    if (status < 100 || socket.writableLength > MAX_INTERIM_BYTES) return;
    const { fields } = siftResponse(raw);
    dropField(fields, 'content-length');
    let text = `HTTP/1.1 ${String(status)} ${reason}\r\n`;
    for (let i = 0; i < fields.length; i += 2) {
      text += `${fields[i] as string}: ${fields[i + 1] as string}\r\n`;
    }
    socket.write(`${text}\r\n`, 'latin1');
  }
}
