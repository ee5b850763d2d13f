import type { ProblemResponse, Refusal } from '../../src/core/provider.ts';
import { MINUTE, SECOND } from '../../src/core/units.ts';
import type { EpochMs } from '../../src/core/units.ts';
import { ratelordMember, retryFields } from '../dialects/refusal-fields.ts';
import { BUCKETS } from './buckets.ts';
import { memoOf } from './memo.ts';

const DOCUMENTATION =
  'https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api';

/**
 * A refusal as GitHub's own SDKs know it: 403, a message that begins `API rate limit exceeded`, no
 * quota left, and the time to come back as the reset. GraphQL gets the same with an `errors` list:
 * octokit looks at `x-ratelimit-remaining` and at `errors[].type` there, whatever the status.
 *
 * What waiting cannot clear says none of that, since every SDK would come back at the reset.
 */
export function problem(refusal: Refusal): ProblemResponse {
  if (refusal.providerDown) {
    const retryInMs = refusal.retryInMs ?? MINUTE;
    const message = `GitHub cannot be asked now: ${refusal.reason}`;
    return response({ ...refusal, retryInMs }, 503, message, [], 'SERVICE_UNAVAILABLE');
  }
  if (refusal.retryInMs === null) {
    return response(refusal, 403, `refused by ratelord: ${refusal.reason}`, [], 'FORBIDDEN');
  }
  const message = `API rate limit exceeded for this request: ${refusal.reason}`;
  const quota = quotaFields(refusal, refusal.now + refusal.retryInMs);
  return response(refusal, 403, message, quota, 'RATE_LIMITED');
}

/** The reset is when the caller may come back: SDKs wait for it, and most of them a second longer. */
function quotaFields(refusal: Refusal, backAt: EpochMs): string[] {
  const { pool } = refusal;
  const limit = pool?.limit ?? 0;
  return [
    'x-ratelimit-limit',
    String(whole(limit)),
    'x-ratelimit-remaining',
    '0',
    'x-ratelimit-used',
    String(whole(pool?.used ?? limit)),
    'x-ratelimit-reset',
    String(whole(Math.ceil(backAt / SECOND))),
    'x-ratelimit-resource',
    bucketOf(refusal),
  ];
}

/** A bucket that SDKs know: that of the pool, or the one the request would have drawn on. */
function bucketOf(refusal: Refusal): string {
  const name = refusal.pool?.name ?? '';
  if (BUCKETS.has(name)) return name;
  return memoOf(refusal.claim)?.primary.spec?.name ?? 'core';
}

function whole(units: number): number {
  return Number.isFinite(units) ? Math.max(0, Math.round(units)) : 0;
}

function response(
  refusal: Refusal,
  status: number,
  message: string,
  quota: readonly string[],
  errorType: string,
): ProblemResponse {
  const graphql = refusal.claim.endpoint === 'graphql';
  return {
    status,
    // GitHub's SDKs wait for however long they are told: none has a limit of its own.
    fields: [
      'content-type',
      'application/json; charset=utf-8',
      ...quota,
      ...retryFields(refusal, Infinity),
    ],
    body: JSON.stringify({
      message,
      documentation_url: DOCUMENTATION,
      ...(graphql ? { errors: [{ type: errorType, message }] } : {}),
      ratelord: ratelordMember(refusal),
    }),
  };
}
