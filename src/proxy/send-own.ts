/** Sends what ratelord answers by itself, and leaves the connection in a state both sides agree on. */
import { STATUS_CODES } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { lingerOnClose } from './linger.ts';
import type { OwnAnswer } from './own-answer.ts';

/** Unread content up to this is read and dropped to keep the connection; above, it is closed. */
const MAX_DROPPED_BYTES = 65_536;

/**
 * Whether content is still to come that is not worth reading. `awaited`: the client waits for a 100
 * that it will not get, and may or may not send its content now (RFC 9110 section 10.1.1).
 */
function mustClose(req: IncomingMessage, awaited: boolean): boolean {
  if (awaited) return true;
  // A message without content is not `complete` yet when it is answered at once.
  if (req.complete) return false;
  const length = req.headers['content-length'];
  if (length === undefined) return req.headers['transfer-encoding'] !== undefined;
  return Number(length) > MAX_DROPPED_BYTES;
}

export function sendOwn(
  req: IncomingMessage,
  res: ServerResponse,
  answer: OwnAnswer,
  awaited: boolean,
): void {
  if (res.destroyed || res.headersSent) {
    res.destroy();
    return;
  }
  const { status, fields, body } = answer;
  fields.push('Content-Length', String(Buffer.byteLength(body)));
  if (mustClose(req, awaited)) {
    fields.push('Connection', 'close');
    lingerOnClose(req.socket);
  }
  res.writeHead(status, STATUS_CODES[status] ?? 'Error', fields);
  res.end(body);
}
