/** From a request to its claim. */
import type { Claim } from '../../src/core/claim.ts';
import type { RequestHead } from '../../src/core/head.ts';
import type { Estimates } from '../../src/core/provider.ts';
import { UNKNOWN } from '../../src/core/units.ts';
import { boundsOf } from './bounds.ts';
import { chargeOf, chargeUnread, drawsOf } from './charge.ts';
import type { Charge } from './charge.ts';
import { modelInQuery } from './endpoints.ts';
import type { Endpoint } from './endpoints.ts';
import { Memo } from './memo.ts';
import type { ModelPools } from './pools.ts';
import { patienceOf } from './problem.ts';
import { modelName, readRequestBody } from './request-body.ts';
import type { RequestFacts } from './request-body.ts';
import { mostFactor } from './tiers.ts';

export const ID = 'openai';

export type PoolsOf = (model: string) => ModelPools;

/** An endpoint that is charged: chat, completions, responses, embeddings, audio. */
export function classifyCharged(
  head: RequestHead,
  body: string | undefined,
  endpoint: Endpoint,
  poolsOf: PoolsOf,
  includeUsage: boolean,
  estimates: Estimates,
): Claim {
  const { kind } = endpoint;
  const facts = body === undefined ? null : readRequestBody(body);
  const pools = poolsOf(facts?.model ?? '');
  const stream = facts?.stream ?? false;
  const mayAsk =
    includeUsage &&
    stream &&
    facts?.usageAsked === false &&
    (kind === 'chat' || kind === 'completions');
  const shared = {
    provider: ID,
    endpoint: endpoint.name,
    model: pools.model,
    scope: pools.scope,
    stream,
    memo: new Memo(kind, pools, stream, patienceOf(head.fields), mayAsk, reported(head)),
  };
  if (kind === 'audio') return { ...shared, draws: audioDraws(pools), inputBytes: 0 };
  const charge = chargeFor(head, body, facts, endpoint, pools, estimates);
  const { inputTokens, outputTokens, inputBytes } = charge;
  const priceFactor = facts === null ? 1 : mostFactor(facts.tier);
  return {
    ...shared,
    draws: drawsOf(pools, inputTokens + outputTokens, facts?.images ?? 0),
    inputBytes,
    estimate: { inputTokens, outputTokens },
    ...(priceFactor === 1 ? {} : { priceFactor }),
    ...(facts === null || body === undefined
      ? {}
      : { bounds: boundsOf(kind, facts, head.contentLength, body.length, pools.model) }),
  };
}

/** Any other: nothing is drawn on, but for a Realtime handshake's model where that is known. */
export function classifyUncharged(
  head: RequestHead,
  body: string | undefined,
  endpoint: Endpoint,
  poolsOf: PoolsOf,
): Claim {
  const realtime = endpoint.kind === 'realtime';
  const told = body === undefined ? '' : readRequestBody(body).model;
  const pools = poolsOf(realtime ? modelName(modelInQuery(head.path)) : told);
  return {
    provider: ID,
    endpoint: endpoint.name,
    ...(pools.model === '' ? {} : { model: pools.model }),
    scope: pools.scope,
    draws: realtime ? [pools.requestIfKnown] : [],
    stream: false,
    inputBytes: 0,
    memo: new Memo(endpoint.kind, pools, false, patienceOf(head.fields), false, reported(head)),
  };
}

function chargeFor(
  head: RequestHead,
  body: string | undefined,
  facts: RequestFacts | null,
  { kind }: Endpoint,
  pools: ModelPools,
  estimates: Estimates,
): Charge {
  if (facts === null || body === undefined) return chargeUnread(kind, head.contentLength);
  const ratio = estimates.tokensPerByte(ID, pools.model);
  return chargeOf(kind, facts, bytesPerChar(head.contentLength, body.length), ratio);
}

function reported(head: RequestHead): boolean {
  return head.way === 'passive';
}

function audioDraws(pools: ModelPools): Claim['draws'] {
  return pools.scope === UNKNOWN ? [pools.requestIfKnown] : [pools.request];
}

function bytesPerChar(contentLength: number | null, chars: number): number {
  if (contentLength === null || chars === 0 || contentLength <= chars) return 1;
  return Math.min(4, contentLength / chars);
}
