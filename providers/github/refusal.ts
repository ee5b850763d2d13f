import type { PoolSpec } from '../../src/core/claim.ts';
import type { ThrottleObservation } from '../../src/core/observation.ts';
import type { RateFields } from './fields.ts';
import type { GithubMemo } from './memo.ts';
import { primary } from './pools.ts';

/** What a refusal's body said; `''` where it said nothing. */
export interface RefusalBody {
  readonly message: string;
  readonly documentationUrl: string;
}

const SILENT: RefusalBody = { message: '', documentationUrl: '' };

const SECONDARY = /\bsecondary rate\b/i;
const ABUSE = /\babuse detection\b/i;
const CONTENT = /\bblocked from content creation\b/i;
const SECONDARY_DOCS = /(secondary-rate-limits|#abuse-rate-limits)$/;
const RATE = /\brate[- ]?limit/i;
const PRIMARY = /^API rate limit (already )?exceeded/i;

/** How a message speaks of a limit; `null` when it is about something else. */
export function messageClass(body: RefusalBody): 'primary' | 'secondary' | null {
  const { message, documentationUrl } = body;
  if (SECONDARY.test(message) || ABUSE.test(message) || CONTENT.test(message)) return 'secondary';
  if (SECONDARY_DOCS.test(documentationUrl)) return 'secondary';
  return PRIMARY.test(message) ? 'primary' : null;
}

/**
 * Whether the head alone settles that a secondary limiter refused: other 403s (permissions, SSO, too
 * many bad credentials) carry neither field, and a primary refusal leaves no quota.
 */
export function signedBySecondary(read: RateFields): boolean {
  return read.limitedBy !== '' || (read.retryInMs >= 0 && read.remaining > 0);
}

/**
 * A 403 or 429 as a throttle; `null` when it is no limit. The status tells nothing: both kinds come
 * with both.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
 */
export function classifyRefusal(
  status: number,
  read: RateFields,
  memo: GithubMemo,
  body: RefusalBody = SILENT,
): ThrottleObservation | null {
  const said = messageClass(body);
  if (said === 'secondary') return secondary(read, memo, body);
  if (said === 'primary') return primaryRefusal(read, memo);
  if (signedBySecondary(read) || (read.retryInMs >= 0 && read.remaining < 0)) {
    return secondary(read, memo, body);
  }
  const surely = status === 429 || read.retryInMs >= 0 || !isOther(body);
  if (read.remaining === 0 && surely) return primaryRefusal(read, memo);
  return status === 429 ? secondary(read, memo, body) : null;
}

/**
 * A 403 with words of its own (permissions, SSO, too many bad credentials) that happened to take the
 * last unit is no limit. No field tells: those about permissions come with throttles, too
 * (octokit/plugin-throttling.js#218). What speaks of a limit was recognised before.
 * https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
 */
function isOther({ message, documentationUrl }: RefusalBody): boolean {
  if (message === '' || message.trimStart().startsWith('<')) return false;
  return !RATE.test(message) && !RATE.test(documentationUrl);
}

function primaryRefusal(read: RateFields, memo: GithubMemo): ThrottleObservation {
  const pool = (read.resource === '' ? null : primary(memo.pools, read.resource)) ?? memo.primary;
  return throttle('primary', pool.spec, read, 'API rate limit exceeded');
}

function secondary(read: RateFields, memo: GithubMemo, body: RefusalBody): ThrottleObservation {
  const creation = CONTENT.test(body.message);
  const spec = creation ? memo.pools.secondary.contentMinute : null;
  return throttle('secondary', spec, read, secondaryCode(read, body));
}

/** Fixed words or the limiter's name: a message may name users and addresses. */
function secondaryCode(read: RateFields, body: RefusalBody): string {
  if (read.limitedBy !== '') return read.limitedBy;
  if (CONTENT.test(body.message)) return 'content creation blocked';
  return ABUSE.test(body.message) ? 'abuse detection' : 'secondary rate limit';
}

/** A primary refusal stops one pool; a secondary one everything that this identity does. */
export function throttle(
  kind: 'primary' | 'secondary',
  spec: PoolSpec | null,
  read: RateFields,
  code: string,
): ThrottleObservation {
  const { retryInMs } = read;
  return {
    kind: 'throttled',
    class: kind,
    ...(spec === null ? {} : { spec }),
    scope: kind === 'primary' && spec !== null ? 'pool' : 'identity',
    ...(retryInMs < 0 ? {} : { retryInMs }),
    code,
  };
}
