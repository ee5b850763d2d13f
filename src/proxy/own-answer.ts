/** What ratelord answers by itself: refusals in the provider's shape, and its own failures. */
import { STATUS_CODES } from 'node:http';
import { errorMessage, ERRORS } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { Provider, Refusal } from '../core/provider.ts';
import type { DurationMs } from '../core/units.ts';

/** A whole response; framing and ratelord's fields are added when it is sent. */
export interface OwnAnswer {
  readonly status: number;
  readonly fields: string[];
  readonly body: string;
}

const PROBLEM_TYPE = 'application/problem+json';

/** RFC 9457: only those who ask for it by name get it, because SDKs read the provider's shape. */
export function wantsProblem(accept: string): boolean {
  return accept !== '' && accept.toLowerCase().includes(PROBLEM_TYPE);
}

function ratelordMember(refusal: Refusal): Record<string, unknown> {
  const member: Record<string, unknown> = {
    id: refusal.id,
    code: refusal.code,
    reason: refusal.reason,
  };
  if (refusal.rule !== undefined) member['rule'] = refusal.rule;
  if (refusal.pool !== undefined) member['pool'] = refusal.pool.id;
  if (refusal.retryAt !== null) member['retry_at'] = new Date(refusal.retryAt).toISOString();
  return member;
}

/** Registered by the IETF RateLimit fields draft; what has no type of its own is `about:blank`. */
const PROBLEM_BASE = 'https://iana.org/assignments/http-problem-types#';

function problemType(refusal: Refusal): string {
  if (refusal.providerDown) return `${PROBLEM_BASE}temporary-reduced-capacity`;
  return refusal.code === 'RL_QUOTA' || refusal.code === 'RL_MAX_WAIT'
    ? `${PROBLEM_BASE}quota-exceeded`
    : 'about:blank';
}

/** A refusal as the provider's SDKs expect it, or as a problem where the client asks for one. */
export function refusalAnswer(provider: Provider, refusal: Refusal, accept: string): OwnAnswer {
  const shaped = provider.problem(refusal);
  if (!wantsProblem(accept)) {
    return { status: shaped.status, fields: [...shaped.fields], body: shaped.body };
  }
  const fields: string[] = ['Content-Type', PROBLEM_TYPE];
  for (let i = 0; i < shaped.fields.length; i += 2) {
    const name = shaped.fields[i] as string;
    if (name.toLowerCase() !== 'content-type') fields.push(name, shaped.fields[i + 1] as string);
  }
  const body = JSON.stringify({
    type: problemType(refusal),
    title: STATUS_CODES[shaped.status] ?? 'Refused',
    status: shaped.status,
    detail: refusal.reason,
    ratelord: ratelordMember(refusal),
  });
  return { status: shaped.status, fields, body };
}

export interface Failure {
  readonly code: ErrorCode;
  readonly values: Readonly<Record<string, string | number>>;
  /** The decision's id, once there is one. */
  readonly id?: string | undefined;
}

/**
 * A failure of the proxy's own, or of the request. The body has `message` and `error.message`,
 * which between them every SDK knows how to show.
 */
export function failureAnswer(failure: Failure, accept: string): OwnAnswer {
  const { code, id } = failure;
  const { status } = ERRORS[code];
  const reason = errorMessage(code, failure.values);
  const ratelord = id === undefined ? { code, reason } : { id, code, reason };
  const title = STATUS_CODES[status] ?? 'Error';
  const fields = ['Content-Type', wantsProblem(accept) ? PROBLEM_TYPE : 'application/json'];
  if (status === 407) fields.push('Proxy-Authenticate', 'Basic realm="ratelord", charset="UTF-8"');
  const body = wantsProblem(accept)
    ? { type: 'about:blank', title, status, detail: reason, ratelord }
    : {
        message: reason,
        error: { message: reason, type: 'ratelord_error', param: null, code },
        ratelord,
      };
  return { status, fields, body: `${JSON.stringify(body)}\n` };
}

/** ratelord's own fields, appended in place. */
export function addOwnFields(
  fields: string[],
  id: string,
  decision: 'pass' | 'delay' | 'reject',
  waitedMs: DurationMs,
  attempts = 1,
): void {
  fields.push('x-ratelord-id', id, 'x-ratelord-decision', decision);
  if (waitedMs > 0) fields.push('x-ratelord-waited-ms', String(Math.round(waitedMs)));
  if (attempts > 1) fields.push('x-ratelord-attempts', String(attempts));
}
