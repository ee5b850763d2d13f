/**
 * The one table of stable codes: what a refusal, a failure or an API error is called, for programs.
 * A code never changes its meaning and is never reused; `docs/errors.md` has one section for each.
 *
 * `message` is a template: `{name}` is filled in by `errorMessage`.
 */
export interface ErrorSpec {
  /** HTTP status it is answered with; a provider's own shape may ask for another (GitHub: 403). */
  readonly status: number;
  readonly message: string;
}

const TABLE = {
  // Refused by governance.
  RL_QUOTA: { status: 429, message: 'quota `{pool}` has nothing left for this request' },
  RL_MAX_WAIT: { status: 429, message: 'the wait of {wait} is longer than the {max} allowed' },
  RL_RULE: { status: 429, message: 'rule `{rule}` refuses this request: {reason}' },
  RL_TOO_LARGE: {
    status: 429,
    message: 'this request needs {units} of `{pool}`, which never holds more than {limit}',
  },
  RL_UNPRICED: { status: 429, message: 'budget `{rule}` cannot count this request: {reason}' },
  RL_NEVER: { status: 429, message: 'waiting cannot clear this: {reason}' },
  RL_PROVIDER_DOWN: { status: 503, message: '`{provider}` is down or told everyone to wait' },
  // Refused at the door of the proxy.
  RL_AGENT: { status: 407, message: 'the agent must identify itself: {reason}' },
  RL_LOOP: { status: 508, message: 'the request came back to the proxy that sent it' },
  RL_HOST_DENIED: { status: 403, message: 'host `{host}` may not be reached through this proxy' },
  RL_UNKNOWN_MOUNT: { status: 404, message: 'no mount `{mount}`; the mounts are {mounts}' },
  RL_BAD_REQUEST: { status: 400, message: '{reason}' },
  RL_EXPECTATION: { status: 417, message: 'Expect `{value}` is not known; `100-continue` is' },
  RL_MISDIRECTED: { status: 421, message: 'Host `{host}` is not what the tunnel was opened for' },
  RL_HEADER_TOO_LARGE: { status: 431, message: 'the header fields are larger than {limit}' },
  // The proxy's own failure to reach the origin server.
  RL_UNREACHABLE: { status: 502, message: '`{host}` could not be reached: {reason}' },
  RL_TIMEOUT: { status: 504, message: '`{host}` did not answer within {limit}' },
  RL_TUNNELS: { status: 503, message: 'too many tunnels are open: at most {limit}' },
  RL_SHUTDOWN: { status: 503, message: 'ratelord is shutting down' },
  // The API.
  RL_INVALID: { status: 400, message: '`{member}`: {reason}' },
  RL_NOT_FOUND: { status: 404, message: 'no {what} `{id}`' },
  RL_UNKNOWN_ROUTE: { status: 404, message: 'no such route: `{method} {path}`; see /openapi.json' },
  RL_CONFLICT: { status: 409, message: '{reason}' },
  RL_MEDIA_TYPE: { status: 415, message: 'the content type must be application/json' },
  RL_CONTENT_TOO_LARGE: { status: 413, message: 'the request content is larger than {limit}' },
  RL_UNAUTHORIZED: {
    status: 401,
    message: 'this needs `Authorization: Bearer` with the API token',
  },
  RL_API_HOST: { status: 403, message: 'Host `{host}` is not a name of this API' },
  RL_API_ORIGIN: { status: 403, message: 'origin `{origin}` may not call this API' },
  RL_BUSY: { status: 503, message: 'too many event streams are open: at most {limit}' },
  RL_LEDGER: { status: 503, message: 'the ledger cannot be written: {reason}' },
  RL_INTERNAL: { status: 500, message: 'unexpected failure inside ratelord; its log names it' },
} as const satisfies Readonly<Record<string, ErrorSpec>>;

export type ErrorCode = keyof typeof TABLE;

export const ERRORS: Readonly<Record<ErrorCode, ErrorSpec>> = TABLE;

export const ERROR_CODES = Object.keys(TABLE) as readonly ErrorCode[];

/**
 * Codes that no answer carries: a line of the log, the reason for not starting, or the cause beside
 * a failure in the ledger.
 */
export const LOGGED_CODES = [
  'RL_DATA_IN_USE',
  'RL_DATA_KEY',
  'RL_DATA_UNUSABLE',
  'RL_LEDGER_DEGRADED',
  'RL_LEDGER_LOST',
  'RL_LEDGER_RECOVERED',
  'RL_LEDGER_SET_ASIDE',
  'RL_LEDGER_LISTENER',
  'RL_ADDRESS_FORBIDDEN',
  'RL_OWN_API',
  'RL_CONNECT_TIMEOUT',
  'RL_PARENT_PROXY',
] as const;

export type LoggedCode = (typeof LOGGED_CODES)[number];

/** The code's message with its placeholders filled; one that has no value stays as it is. */
export function errorMessage(
  code: ErrorCode,
  values: Readonly<Record<string, string | number>> = {},
): string {
  return ERRORS[code].message.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : String(value);
  });
}
