import type { Claim } from '../../src/core/claim.ts';
import type { ResponseHead } from '../../src/core/head.ts';
import type { ResponseTap } from '../../src/core/provider.ts';
import { collect } from './collect.ts';
import { readRateFields } from './fields.ts';
import { graphqlTap } from './graphql-tap.ts';
import { isRecord, parseJson, stringAt } from './json.ts';
import { memoOf } from './memo.ts';
import type { GithubMemo } from './memo.ts';
import { rateLimitTap } from './poll.ts';
import { classifyRefusal, signedBySecondary } from './refusal.ts';
import type { RefusalBody } from './refusal.ts';

/** Error bodies are short; what follows adds nothing. */
const REFUSAL_CHARS = 8192;

/** A reader where content can say more than the head: refusals, GraphQL, `GET /rate_limit`. */
export function responseTap(head: ResponseHead, claim: Claim): ResponseTap | null {
  const memo = memoOf(claim);
  if (memo === null || memo.headOnly) return null;
  if (head.status === 403 || head.status === 429) return refusalTap(head, memo);
  const { endpoint } = memo.route;
  if (endpoint === 'graphql' && head.status === 200) return graphqlTap(head, memo);
  if (endpoint !== 'rate_limit') return null;
  if (head.status === 200) return rateLimitTap(head, memo);
  return head.status === 404 && memo.pools.selfHosted ? switchedOffTap(memo) : null;
}

function refusalTap(head: ResponseHead, memo: GithubMemo): ResponseTap | null {
  const read = readRateFields(head);
  if (signedBySecondary(read)) return null;
  return collect(REFUSAL_CHARS, (text) => {
    const refusal = classifyRefusal(head.status, read, memo, refusalBody(text));
    return refusal === null ? [] : [refusal];
  });
}

/** `{"message", "documentation_url"}`; of anything else (an HTML page) the text is the message. */
export function refusalBody(text: string): RefusalBody {
  const body = parseJson(text);
  if (!isRecord(body)) return { message: text, documentationUrl: '' };
  return {
    message: stringAt(body, 'message'),
    documentationUrl: stringAt(body, 'documentation_url'),
  };
}

/** An Enterprise Server whose administrator set no limits answers so: nothing to govern there. */
function switchedOffTap(memo: GithubMemo): ResponseTap {
  return collect(REFUSAL_CHARS, (text) => {
    if (/^Rate limiting is not enabled/i.test(refusalBody(text).message)) {
      memo.pools.unlimited = true;
    }
    return [];
  });
}
