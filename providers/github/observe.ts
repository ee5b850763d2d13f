import type { Claim, PoolSpec } from '../../src/core/claim.ts';
import type { ResponseHead } from '../../src/core/head.ts';
import type { Observation, ThrottleObservation } from '../../src/core/observation.ts';
import { BUCKETS, UPLOAD_UNITS } from './buckets.ts';
import { readRateFields, saysQuota } from './fields.ts';
import type { RateFields } from './fields.ts';
import { memoOf } from './memo.ts';
import type { GithubMemo } from './memo.ts';
import { learn, primary } from './pools.ts';
import { quotaOf } from './quota.ts';
import { classifyRefusal, signedBySecondary } from './refusal.ts';

/** What the response's head says; what its content adds comes from the taps. */
export function observe(head: ResponseHead, claim: Claim): Observation[] {
  const seen: Observation[] = [];
  const memo = memoOf(claim);
  if (memo === null) return seen;
  const read = readRateFields(head);
  if (read.malformed !== null) {
    for (const field of read.malformed) seen.push({ kind: 'malformed', field });
  }
  if (saysQuota(read)) {
    memo.pools.unlimited = false;
    observeQuota(seen, head, read, memo);
  } else if (memo.route.endpoint === 'upload' && head.status >= 200 && head.status < 300) {
    // Seen in recorded traffic: uploads tell nothing and yet take two units of core.
    charge(seen, memo.primary.spec, UPLOAD_UNITS);
  }
  if (head.status === 401 && memo.authenticated) charge(seen, memo.primary.spec, 0);
  const refusal = refusalByHead(head, read, memo);
  if (refusal !== null) seen.push(refusal);
  return seen;
}

/**
 * A refusal whose content will not be read. Without a time to come back, or a quota that is used up,
 * a 403 may as well be about permissions.
 */
export function refusal(head: ResponseHead, claim: Claim): Observation[] {
  const memo = memoOf(claim);
  if (memo === null || (head.status !== 403 && head.status !== 429)) return [];
  const read = readRateFields(head);
  if (showsAddress(head, read, memo) || (read.remaining !== 0 && read.retryInMs < 0)) return [];
  const found = classifyRefusal(head.status, read, memo);
  return found === null ? [] : [found];
}

function observeQuota(
  seen: Observation[],
  head: ResponseHead,
  read: RateFields,
  memo: GithubMemo,
): void {
  if (head.status === 401 || showsAddress(head, read, memo)) return;
  const guess = memo.primary;
  const named = read.resource === '' ? null : primary(memo.pools, read.resource);
  if (read.resource !== '' && named === null) {
    seen.push({ kind: 'malformed', field: 'x-ratelimit-resource' });
    return;
  }
  const from = named ?? (guess.spec === null ? primary(memo.pools, 'core') : guess);
  if (from === null || from.spec === null) return;
  const free = isFree(head.status, memo);
  const { selfHosted } = memo.pools;
  seen.push(quotaOf(from.spec, read, { free, selfHosted, date: head.date }));
  if (free) {
    charge(seen, guess.spec ?? from.spec, 0);
  } else if (named !== null && named !== guess) {
    // Counted in another bucket than was drawn on: give that back, and know better next time.
    charge(seen, guess.spec, 0);
    const { endpoint } = memo.route;
    if (endpoint === 'rest' || endpoint === 'app') {
      learn(memo.pools, memo.method, memo.path, read.resource);
    }
  }
}

function charge(seen: Observation[], spec: PoolSpec | null, units: number): void {
  if (spec !== null) seen.push({ kind: 'charge', spec, units });
}

/**
 * Whether the answer was not counted: a 304 to an authorised request, `GET /rate_limit` (some
 * Enterprise Servers do count it), the redirect to an archive.
 * https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
 */
function isFree(status: number, memo: GithubMemo): boolean {
  if (status === 304) return memo.authenticated;
  if (memo.route.endpoint === 'rate_limit') return !memo.pools.selfHosted;
  return memo.route.freeRedirect && status === 302;
}

/**
 * Whether a refused credential's answer shows the address's anonymous bucket. A 401 always does; a
 * 403 does while GitHub refuses all authentication of a user after several bad tries.
 * https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api#failed-login-limit
 */
function showsAddress(head: ResponseHead, read: RateFields, memo: GithubMemo): boolean {
  if (head.status !== 403 || !memo.authenticated || memo.pools.selfHosted) return false;
  const bucket = BUCKETS.get(read.resource === '' ? 'core' : read.resource);
  return read.limit === bucket?.anonymousLimit;
}

/** The refusal that can be told without content; the rest is the refusal tap's. */
function refusalByHead(
  head: ResponseHead,
  read: RateFields,
  memo: GithubMemo,
): ThrottleObservation | null {
  if (head.status === 503) return overloaded(read);
  if (head.status !== 403 && head.status !== 429) return null;
  return memo.headOnly || signedBySecondary(read) ? classifyRefusal(head.status, read, memo) : null;
}

/** A lone 503 is weather; one that names a time speaks to everybody. */
function overloaded(read: RateFields): ThrottleObservation {
  const { retryInMs } = read;
  const base = { kind: 'throttled', class: 'overloaded', code: '503' } as const;
  return retryInMs < 0 ? { ...base, scope: 'request' } : { ...base, scope: 'provider', retryInMs };
}
