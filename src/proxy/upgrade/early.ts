/** Watches over a client that waits for its answer: whether it leaves, and what it says too early. */
import type { Socket } from 'node:net';

export interface Early {
  /** Stops watching; the socket is paused. Returns what the client sent, the first time. */
  release(): Buffer;
}

/** RFC 6455 section 4.1: a client sends nothing before the 101. Some do; not much of it is kept. */
const CAP_BYTES = 65_536;

/** @param gone called once, when the client leaves (or floods) before `release` */
export function holdEarly(client: Socket, head: Buffer, gone: () => void): Early {
  const chunks: Buffer[] = head.length > 0 ? [head] : [];
  let size = head.length;
  let released = false;
  const release = (): Buffer => {
    if (released) return Buffer.alloc(0);
    released = true;
    client.off('data', keep).off('end', left).off('close', left);
    client.pause();
    return Buffer.concat(chunks);
  };
  const left = (): void => {
    release();
    gone();
  };
  const keep = (chunk: Buffer): void => {
    chunks.push(chunk);
    size += chunk.length;
    if (size > CAP_BYTES) left();
  };
  client.on('data', keep);
  client.once('end', left);
  client.once('close', left);
  return { release };
}
