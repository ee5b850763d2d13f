/** What every refusal says, whichever provider's shape surrounds it. */
import type { Refusal } from '../../src/core/provider.ts';
import type { JsonObject } from '../../src/core/units.ts';

/** The body's `ratelord` member: `{id, code, reason, rule?, pool?, retry_at?}`. */
export function ratelordMember(refusal: Refusal): JsonObject {
  return {
    id: refusal.id,
    code: refusal.code,
    reason: refusal.reason,
    ...(refusal.rule === undefined ? {} : { rule: refusal.rule }),
    ...(refusal.pool === undefined ? {} : { pool: refusal.pool.id }),
    ...(refusal.retryAt === null ? {} : { retry_at: new Date(refusal.retryAt).toISOString() }),
  };
}

/**
 * `Retry-After` (whole seconds, at least 1) and `retry-after-ms`; or `x-should-retry: false` when
 * waiting clears nothing, and besides them when the wait is longer than the caller would honour.
 */
export function retryFields(refusal: Refusal, patienceS: number): string[] {
  if (refusal.retryInMs === null) return ['x-should-retry', 'false'];
  const ms = Math.max(1, Math.ceil(refusal.retryInMs));
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  const fields = ['retry-after', String(seconds), 'retry-after-ms', String(ms)];
  if (ms > patienceS * 1000) fields.push('x-should-retry', 'false');
  return fields;
}
