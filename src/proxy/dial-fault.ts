/** What a client is told of a connection that could not be made. */
import { ERRORS } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import { DialError } from './upstream/dial-error.ts';

export interface DialFault {
  readonly code: ErrorCode;
  readonly status: number;
  readonly values: Readonly<Record<string, string>>;
  /** Short cause for the ledger, e.g. `ECONNREFUSED`. */
  readonly cause: string;
}

const BY_STATUS = {
  403: 'RL_HOST_DENIED',
  502: 'RL_UNREACHABLE',
  504: 'RL_TIMEOUT',
  508: 'RL_LOOP',
} as const satisfies Readonly<Record<number, ErrorCode>>;

/** @param error what a dial was rejected with */
export function dialFault(error: unknown, host: string): DialFault {
  if (error instanceof DialError) {
    const code = BY_STATUS[error.status];
    const values = { host, reason: error.message, limit: 'the time allowed' };
    return { code, status: ERRORS[code].status, values, cause: error.code };
  }
  const cause = causeOf(error);
  return {
    code: 'RL_UNREACHABLE',
    status: ERRORS.RL_UNREACHABLE.status,
    values: { host, reason: cause },
    cause,
  };
}

/** The system's or TLS library's short code, else `ERROR`. */
function causeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error) {
    if (typeof error.code === 'string' && error.code !== '') return error.code;
  }
  return 'ERROR';
}
