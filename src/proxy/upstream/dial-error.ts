/**
 * Why no connection was made. `code`: `RL_ADDRESS_FORBIDDEN` (403), `RL_OWN_API` (403), `RL_LOOP`
 * (508), `RL_CONNECT_TIMEOUT` (504), `RL_PARENT_PROXY` (502), else the system's own, e.g.
 * `ECONNREFUSED` (502).
 */
export class DialError extends Error {
  readonly code: string;
  readonly status: 403 | 502 | 504 | 508;

  constructor(status: 403 | 502 | 504 | 508, code: string, message: string) {
    super(message);
    this.name = 'DialError';
    this.status = status;
    this.code = code;
  }
}
