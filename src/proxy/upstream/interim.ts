/**
 * Takes `100 Continue` out of what an origin sends. Some origins send it although nobody expects it
 * (RFC 9110 section 15.2.1 allows that), and undici fails the request when they do.
 */
import type { Socket } from 'node:net';

const CR = 13;
const DIGIT_ONE = 0x31;
/** Offset of the status code's first digit in `HTTP/1.1 100 …`. */
const STATUS_AT = 9;
const MAX_HELD_BYTES = 65_536;

/**
 * Splits interim responses off the front of a response: `out` may be passed on, `rest` waits for
 * more bytes, `final` says that the final response has begun.
 */
export function sieve(bytes: Buffer): { out: Buffer | null; rest: Buffer | null; final: boolean } {
  const kept: Buffer[] = [];
  let at = 0;
  for (;;) {
    if (bytes.length - at < STATUS_AT + 3) {
      return { out: join(kept), rest: at < bytes.length ? bytes.subarray(at) : null, final: false };
    }
    const status = bytes.toString('latin1', at + STATUS_AT, at + STATUS_AT + 3);
    if (!status.startsWith('1') || status === '101') {
      kept.push(bytes.subarray(at));
      return { out: join(kept), rest: null, final: true };
    }
    const end = bytes.indexOf('\r\n\r\n', at, 'latin1');
    if (end < 0) return { out: join(kept), rest: bytes.subarray(at), final: false };
    if (status !== '100') kept.push(bytes.subarray(at, end + 4));
    at = end + 4;
  }
}

function join(parts: readonly Buffer[]): Buffer | null {
  const [first] = parts;
  return parts.length > 1 ? Buffer.concat(parts) : (first ?? null);
}

/**
 * Makes a socket's `read()` skip `100 Continue`. Relies on one request at a time being on it: a
 * response begins with the first bytes read after a request's head was written.
 */
export function skipContinue(socket: Socket): void {
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
  const write = socket.write.bind(socket) as (chunk: unknown, encoding?: unknown) => boolean;
  let fresh = false;
  let held: Buffer | null = null;

  socket.write = (chunk: unknown, encoding?: unknown): boolean => {
    // Heads are written as strings; so are chunk sizes, which begin with CR LF.
    if (typeof chunk === 'string' && chunk.charCodeAt(0) !== CR) fresh = true;
    return write(chunk, encoding);
  };

  socket.read = (size?: number): Buffer | null => {
    // Node itself calls `read(0)` to ask for more; without its size that would take data and drop it.
    const chunk = read(size);
    if (!fresh || chunk === null) return chunk;
    if (held === null && chunk.length > STATUS_AT && chunk[STATUS_AT] !== DIGIT_ONE) {
      fresh = false;
      return chunk;
    }
    const { out, rest, final } = sieve(held === null ? chunk : Buffer.concat([held, chunk]));
    held = rest;
    if (final) fresh = false;
    if (held !== null && held.length > MAX_HELD_BYTES) {
      socket.destroy(new Error('the origin sent too large an interim response'));
    }
    return out;
  };
}
