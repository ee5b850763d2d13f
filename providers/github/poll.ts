import type { ResponseHead } from '../../src/core/head.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { PollRequest, ResponseTap } from '../../src/core/provider.ts';
import { collect } from './collect.ts';
import { isBucketName, LATEST_S } from './fields.ts';
import { countAt, isRecord, parseJson } from './json.ts';
import type { GithubMemo } from './memo.ts';
import { layoutOf } from './route.ts';
import { primary } from './pools.ts';
import { quotaOf } from './quota.ts';

/** GitHub refuses requests without a User-Agent. */
const FIELDS = ['accept', 'application/vnd.github+json', 'user-agent', 'ratelord'] as const;

/**
 * Free in the primary quota. https://docs.github.com/en/rest/rate-limit/rate-limit
 * @param host where it will be sent; an Enterprise Server has its API below `/api/v3`.
 */
export function poll(host = 'api.github.com'): PollRequest {
  const prefix = layoutOf(host) === 'self' ? '/api/v3' : '';
  return { method: 'GET', path: prefix + '/rate_limit', fields: FIELDS };
}

const ANSWER_CHARS = 65_536;

/** `resources.*` of `GET /rate_limit` as quota observations; old servers have only `rate`. */
export function rateLimitTap(head: ResponseHead, memo: GithubMemo): ResponseTap {
  return collect(ANSWER_CHARS, (text) => {
    const body = parseJson(text);
    if (!isRecord(body)) return [{ kind: 'malformed', field: 'rate_limit' }];
    const { resources, rate } = body;
    const entries = isRecord(resources) ? Object.entries(resources) : [['core', rate] as const];
    const seen: Observation[] = [];
    for (const [name, figures] of entries) seen.push(resource(head, memo, name, figures));
    return seen;
  });
}

function resource(
  head: ResponseHead,
  memo: GithubMemo,
  name: string,
  figures: unknown,
): Observation {
  const from = isBucketName(name) ? primary(memo.pools, name) : null;
  if (from === null || from.spec === null || !isRecord(figures)) {
    return { kind: 'malformed', field: 'rate_limit' };
  }
  const told = {
    limit: countAt(figures, 'limit'),
    remaining: countAt(figures, 'remaining'),
    used: countAt(figures, 'used'),
    reset: countAt(figures, 'reset'),
  };
  if (told.limit < 0 || told.remaining < 0 || told.reset > LATEST_S) {
    return { kind: 'malformed', field: 'rate_limit.' + name };
  }
  const { selfHosted } = memo.pools;
  return quotaOf(from.spec, told, { free: !selfHosted, selfHosted, date: head.date });
}
