/** Bad moments of an origin server, by the clock. */
import type { DurationMs, MonoMs } from '../../core/units.ts';
import type { Random } from '../random.ts';
import type { SimRequest, SimResponse } from '../types.ts';

export type FailurePhase = {
  readonly from: MonoMs;
  readonly until: MonoMs;
  /** Of the requests that arrive meanwhile, 0…1. */
  readonly share: number;
  /** Whether what fails is judged and charged first. */
  readonly charged: boolean;
} & (
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly retryAfterMs: DurationMs | null;
      /** Adds `x-ratelimit-remaining` of a pool that is far from empty, as a secondary limit does. */
      readonly remaining: number | null;
    }
  /** The connection breaks off. */
  | { readonly kind: 'reset' }
  /** Nothing ever comes. */
  | { readonly kind: 'timeout' }
);

export function failingAt(
  phases: readonly FailurePhase[],
  at: MonoMs,
  _request: SimRequest,
  random: Random,
): FailurePhase | null {
  for (const phase of phases) {
    if (at >= phase.from && at < phase.until && (phase.share >= 1 || random.next() < phase.share)) {
      return phase;
    }
  }
  return null;
}

/** An answer of the load balancer's: it knows no quota. */
export function failureAnswer(
  failure: Extract<FailurePhase, { kind: 'status' }>,
  date: string,
): SimResponse {
  const fields = ['content-type', 'application/json', 'date', date];
  if (failure.retryAfterMs !== null) {
    fields.push('retry-after', String(Math.ceil(failure.retryAfterMs / 1000)));
  }
  if (failure.remaining !== null) {
    fields.push('x-ratelimit-remaining', String(failure.remaining));
  }
  const { status } = failure;
  const message = status === 503 ? 'Service Unavailable' : `status ${status}`;
  return {
    status,
    fields,
    body: JSON.stringify({ message, error: { message, type: 'server_error', code: null } }),
    by: 'origin',
  };
}
