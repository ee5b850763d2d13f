/** Reads permessage-deflate (RFC 7692) alongside the relay, which passes the bytes on as they are. */
import { constants, createInflateRaw } from 'node:zlib';
import { allFields } from '../../core/head.ts';
import type { RawFields } from '../../core/head.ts';

/**
 * How messages are compressed by what a 101 agreed to. The terms of permessage-deflate make no
 * difference to a reader that keeps the largest window and never starts a new one.
 */
export function compressionOf(fields: RawFields): 'none' | 'deflate' | 'unknown' {
  const agreed = allFields(fields, 'sec-websocket-extensions')
    .join(',')
    .split(',')
    .map((extension) => extension.trim())
    .filter((extension) => extension !== '');
  const [first] = agreed;
  if (first === undefined) return 'none';
  const name = first.split(';')[0]?.trim().toLowerCase();
  return agreed.length === 1 && name === 'permessage-deflate' ? 'deflate' : 'unknown';
}

export interface Inflater {
  /** Some payload of a compressed message, in order. */
  write(bytes: Buffer): void;
  /** The message is over: `done` gets its content, or `null` when it was larger than the cap. */
  end(done: (content: Buffer | null) => void): void;
  /** Calls back when everything handed over so far was read. */
  drained(done: () => void): void;
  close(): void;
}

/** RFC 7692 section 7.2.2: what the sender cut off the end of a message. */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/**
 * zlib works on its own threads; what waits for it is bounded by `queueBytes`, and beyond that (or
 * on corrupt input) `failed` is called once and nothing more is read.
 */
export function createInflater(
  capBytes: number,
  queueBytes: number,
  failed: (reason: string) => void,
): Inflater {
  const zlib = createInflateRaw({ flush: constants.Z_SYNC_FLUSH });
  const queue: (Buffer | ((content: Buffer | null) => void))[] = [];
  let queued = 0;
  let busy = false;
  let pieces: Buffer[] = [];
  let size = 0;
  let closed = false;
  let onDrained: (() => void) | null = null;

  function close(): void {
    if (closed) return;
    closed = true;
    queue.length = 0;
    pieces = [];
    zlib.close();
    onDrained?.();
    onDrained = null;
  }
  function fail(reason: string): void {
    if (closed) return;
    // Told before anybody who waits for the end goes on.
    failed(reason);
    close();
  }
  // One at a time, so that what zlib tells belongs to one message.
  function next(): void {
    busy = false;
    if (closed) return;
    const job = queue.shift();
    if (job === undefined) {
      onDrained?.();
      onDrained = null;
      return;
    }
    busy = true;
    if (typeof job !== 'function') {
      zlib.write(job, () => {
        queued -= job.length;
        next();
      });
      return;
    }
    zlib.write(TAIL);
    zlib.flush(constants.Z_SYNC_FLUSH, () => {
      if (closed) return;
      const content = size > capBytes ? null : Buffer.concat(pieces, size);
      pieces = [];
      size = 0;
      job(content);
      next();
    });
  }
  function push(job: Buffer | ((content: Buffer | null) => void)): void {
    queue.push(job);
    if (!busy) next();
  }

  zlib.on('error', () => fail('a compressed message is corrupt'));
  // A final block (RFC 7692 section 7.2.3.4 allows them) ends what zlib is willing to read.
  zlib.on('end', () => {
    fail('a compressed message ends its stream');
  });
  zlib.on('data', (bytes: Buffer) => {
    size += bytes.length;
    if (size <= capBytes) pieces.push(bytes);
    else pieces = [];
  });
  return {
    write(bytes) {
      if (closed) return;
      queued += bytes.length;
      if (queued > queueBytes) {
        fail('compressed messages arrive faster than they can be read');
        return;
      }
      push(bytes);
    },
    end(done) {
      if (!closed) push(done);
    },
    drained(done) {
      if (closed || !busy) {
        done();
        return;
      }
      onDrained = done;
    },
    close,
  };
}
