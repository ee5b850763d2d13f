/** Answers on a socket that has left the HTTP server: after a CONNECT or an upgrade request. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '../core/errors.ts';
import type { RawFields } from '../core/head.ts';
import { failureAnswer } from './own-answer.ts';
import type { Failure, OwnAnswer } from './own-answer.ts';

/** How long a client may take to close its side once it was told that this is the end. */
const LINGER_MS = 2_000;

/** Ends our side after what is queued, and the whole socket soon after, whatever the peer does. */
export function finish(socket: Socket): void {
  if (socket.destroyed) return;
  socket.end();
  // Unread bytes would turn the close into a reset, which discards the answer on its way.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once('end', () => {
    socket.destroySoon();
  });
  socket.once('close', () => {
    clearTimeout(timer);
  });
}

/** Writes a whole response with its framing and closes. */
export function answer(socket: Socket, response: OwnAnswer, more: RawFields = []): void {
  if (socket.destroyed) return;
  const { status, body } = response;
  const lines = [`HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? 'Unknown'}`];
  for (const fields of [response.fields, more]) {
    for (let i = 0; i + 1 < fields.length; i += 2) {
      lines.push(`${fields[i] as string}: ${fields[i + 1] as string}`);
    }
  }
  lines.push(`Content-Length: ${String(Buffer.byteLength(body))}`, 'Connection: close');
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  socket.write(body);
  finish(socket);
}

/** Answers with one of the table's errors. */
export function answerError(
  socket: Socket,
  code: ErrorCode,
  values: Failure['values'],
  more: RawFields = [],
): void {
  answer(socket, failureAnswer({ code, values }, ''), more);
}
