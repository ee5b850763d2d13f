/**
 * Closing a connection whose request is still being sent. Closed at once, the kernel would answer
 * the rest with a reset, which can destroy our response before the client has read it (RFC 9112
 * section 9.6): so our side is ended, and what still comes is read and thrown away for a while.
 */
import type { Socket } from 'node:net';

const LINGER_MS = 5_000;

const closing = new WeakSet<Socket>();

/** Whether its last response was begun: requests that still come on it are not served. */
export function isClosing(socket: Socket): boolean {
  return closing.has(socket);
}

/** Node's server calls `destroySoon` after a last response; on this socket it lingers instead. */
export function lingerOnClose(socket: Socket): void {
  closing.add(socket);
  socket.destroySoon = (): void => {
    if (socket.destroyed) return;
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    timer.unref();
    socket.once('end', () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(timer);
    });
  };
}
