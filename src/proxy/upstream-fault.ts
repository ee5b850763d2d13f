/** What the failure of a request that was sent on means: for the client, the ledger, a second try. */
import type { ErrorCode } from '../core/errors.ts';
import { dialFault } from './dial-fault.ts';

interface SocketFacts {
  readonly bytesRead?: number;
}

/**
 * Whether the origin closed a kept connection just as the request went out on it. A connection that
 * never carried a response was not kept, and closing it is an answer of sorts.
 */
export function isKeepAliveRace(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ECONNRESET' || code === 'EPIPE') return true;
  if (code !== 'UND_ERR_SOCKET') return false;
  const { socket } = error as Error & { socket?: SocketFacts | null };
  return (socket?.bytesRead ?? 0) > 0;
}

export interface ForwardFault {
  readonly code: ErrorCode;
  readonly values: Readonly<Record<string, string>>;
  readonly cause: string;
}

/** undici's codes in words; what they say of the origin is all that a client can use. */
const IN_WORDS: Readonly<Record<string, string>> = {
  UND_ERR_SOCKET: 'it closed the connection without an answer',
  UND_ERR_HEADERS_OVERFLOW: 'its header fields are larger than 64 KiB',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'its Content-Length is not valid',
};

export function forwardFault(error: Error, host: string): ForwardFault {
  const { code } = error as NodeJS.ErrnoException;
  // undici refuses to write it: a method or field that only the client can put right.
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') {
    return { code: 'RL_BAD_REQUEST', values: { reason: error.message }, cause: code };
  }
  if (code === undefined) {
    return { code: 'RL_UNREACHABLE', values: { host, reason: error.message }, cause: 'ERROR' };
  }
  const reason = IN_WORDS[code];
  if (reason !== undefined)
    return { code: 'RL_UNREACHABLE', values: { host, reason }, cause: code };
  return dialFault(error, host);
}
