/** Tells by its first byte what a client speaks inside a CONNECT, and leaves that byte in place. */
import type { Socket } from 'node:net';

export type Spoken =
  | 'tls'
  | 'plain' // HTTP without TLS: Node's fetch tunnels `http://` URLs
  | 'garbage'
  | 'gone'; // the client left without a word

/** Content type of a TLS handshake record (RFC 8446 section 5.1). */
const TLS_HANDSHAKE = 0x16;

function spokenBy(first: number): Spoken {
  if (first === TLS_HANDSHAKE) return 'tls';
  // Methods are tokens; every registered one begins with a capital letter (RFC 9110 section 16.1).
  return first >= 0x41 && first <= 0x5a ? 'plain' : 'garbage';
}

/**
 * Calls `done` once, when the first byte is there or the client has left. Nothing is consumed.
 * @param head what the CONNECT's parser had read beyond the request
 * @returns stops listening; `done` is not called any more. The caller bounds the time.
 */
export function sniff(socket: Socket, head: Buffer, done: (spoken: Spoken) => void): () => void {
  const stop = (): void => {
    socket.off('readable', look);
    socket.off('end', gone);
    socket.off('close', gone);
  };
  const gone = (): void => {
    stop();
    done('gone');
  };
  const look = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    stop();
    socket.unshift(chunk);
    done(spokenBy(chunk[0] as number));
  };
  if (head.length > 0) {
    socket.unshift(head);
    done(spokenBy(head[0] as number));
    return () => undefined;
  }
  if (socket.destroyed) {
    done('gone');
    return () => undefined;
  }
  socket.on('readable', look);
  socket.on('end', gone);
  socket.on('close', gone);
  return stop;
}
