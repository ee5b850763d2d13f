import type { ResponseHead } from '../../src/core/head.ts';
import type { Observation, ThrottleObservation } from '../../src/core/observation.ts';
import type { ResponseTap } from '../../src/core/provider.ts';
import { SECOND } from '../../src/core/units.ts';
import { LATEST_S, readRateFields } from './fields.ts';
import { countAt, isRecord, parseJson, stringAt } from './json.ts';
import type { JsonRecord } from './json.ts';
import { scanMembers } from './members.ts';
import type { GithubMemo } from './memo.ts';
import { quotaOf } from './quota.ts';
import { messageClass, throttle } from './refusal.ts';

const VALUE_CHARS = 16_384;
/** One answer holds one list of errors; a few more hits are tolerated, a flood is not read. */
const MOST_VALUES = 8;

/**
 * GraphQL answers 200 whatever happened. Refusals stand in `errors`, which may follow `data`; what
 * the query cost stands in `data.rateLimit`, when the query asked for it.
 * https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
 */
export function graphqlTap(head: ResponseHead, memo: GithubMemo): ResponseTap {
  const refusals: ThrottleObservation[] = [];
  const told: Observation[] = [];
  let values = 0;
  const scanner = scanMembers(['errors', ...memo.rateLimitKeys], VALUE_CHARS, (name, json) => {
    if (++values > MOST_VALUES) return;
    const value = parseJson(json);
    if (Array.isArray(value)) {
      const refusal = refusals.length === 0 ? refusalIn(value, head, memo) : null;
      if (refusal !== null) refusals.push(refusal);
    } else if (name !== 'errors' && isRecord(value) && told.length === 0) {
      told.push(...rateLimitIn(value, head, memo));
    }
  });
  return {
    write(text) {
      scanner.write(text);
    },
    end() {
      return { observations: [...told, ...refusals], usage: null };
    },
  };
}

/**
 * The type's spelling changed over time: `RATE_LIMITED`, then `RATE_LIMIT` with the code
 * `graphql_rate_limit`. `x-ratelimit-remaining` need not be 0: the query may cost more than is left.
 */
function refusalIn(
  errors: readonly unknown[],
  head: ResponseHead,
  memo: GithubMemo,
): ThrottleObservation | null {
  for (const error of errors) {
    if (!isRecord(error)) continue;
    const type = stringAt(error, 'type');
    const said = messageClass({ message: stringAt(error, 'message'), documentationUrl: '' });
    const read = readRateFields(head);
    if (said === 'secondary') {
      return throttle('secondary', null, read, read.limitedBy || 'secondary rate limit');
    }
    const typed = type === 'RATE_LIMITED' || type === 'RATE_LIMIT';
    if (typed || stringAt(error, 'code') === 'graphql_rate_limit' || said === 'primary') {
      return throttle('primary', memo.primary.spec, read, typed ? type : 'graphql_rate_limit');
    }
  }
  return null;
}

function rateLimitIn(value: JsonRecord, head: ResponseHead, memo: GithubMemo): Observation[] {
  const { spec } = memo.primary;
  if (spec === null) return [];
  const seen: Observation[] = [];
  const told = {
    limit: countAt(value, 'limit'),
    remaining: countAt(value, 'remaining'),
    used: countAt(value, 'used'),
    reset: resetOf(value['resetAt']),
  };
  if (told.limit >= 0 || told.remaining >= 0 || told.used >= 0) {
    const { selfHosted } = memo.pools;
    seen.push(quotaOf(spec, told, { free: false, selfHosted, date: head.date }));
  }
  const cost = countAt(value, 'cost');
  if (cost >= 0 && !memo.dryRun) seen.push({ kind: 'charge', spec, units: cost });
  return seen;
}

/** An ISO 8601 time in the schema, epoch seconds in the documents: whole seconds, −1 when neither. */
function resetOf(value: unknown): number {
  const at = typeof value === 'string' ? Date.parse(value) / SECOND : value;
  return typeof at === 'number' && at >= 0 && at <= LATEST_S ? Math.floor(at) : -1;
}
