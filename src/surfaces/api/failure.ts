import { ERRORS, errorMessage, type ErrorCode } from '../../core/errors.ts';

export interface Detail {
  /** Path of the member, e.g. `0.headers`. */
  readonly member: string;
  readonly reason: string;
}

/** An answer other than the one asked for. Thrown inside routes, shaped in one place. */
export class ApiFailure extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: readonly Detail[];

  constructor(
    code: ErrorCode,
    values: Readonly<Record<string, string | number>> = {},
    details: readonly Detail[] = [],
  ) {
    super(errorMessage(code, values));
    this.name = 'ApiFailure';
    this.code = code;
    this.status = ERRORS[code].status;
    this.details = details;
  }
}

export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly request_id: string;
    readonly details?: readonly Detail[];
  };
}

export function errorBody(failure: ApiFailure, requestId: string): ErrorBody {
  return {
    error: {
      code: failure.code,
      message: failure.message,
      request_id: requestId,
      ...(failure.details.length > 0 && { details: failure.details }),
    },
  };
}
