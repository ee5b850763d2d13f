/**
 * What a request will be charged, as OpenAI does it: at admission, from an estimate. Recordings fit
 * prompt characters / 4 + a small constant, plus `max_tokens` when given, plus 16 per choice when
 * not (README.md, "Charging").
 */
import type { Draw } from '../../src/core/claim.ts';
import type { RequestFacts } from './request-body.ts';
import type { EndpointKind } from './endpoints.ts';
import type { ModelPools } from './pools.ts';

const TOKENS_PER_BYTE = 0.25;
const CONSTANT = 3;
const OUTPUT_WHEN_UNSAID = 16;
/** One 1024 × 1024 image in full detail. */
const TOKENS_PER_IMAGE = 765;
/**
 * Ceiling of the guess for a body that was not read. Such bodies are mostly embedded files, and a
 * guess above a quota's limit would refuse for good what the provider would have served.
 */
const UNREAD_MAX_TOKENS = 16_384;

export interface Charge {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Prompt bytes that explain `inputTokens`, 0 when they do not (images, state at the provider). */
  readonly inputBytes: number;
}

/**
 * @param bytesPerChar of the body as sent: above 1 when it holds more than ASCII
 * @param ratio input tokens per byte as learned; anything but a positive number means the default
 */
export function chargeOf(
  kind: EndpointKind,
  facts: RequestFacts,
  bytesPerChar: number,
  ratio: number,
): Charge {
  const bytes = Math.ceil(facts.promptText * bytesPerChar);
  const inputTokens =
    Math.ceil(bytes * (ratio > 0 && ratio < 4 ? ratio : TOKENS_PER_BYTE)) +
    CONSTANT +
    facts.promptTokens +
    facts.images * TOKENS_PER_IMAGE;
  const outputTokens =
    kind === 'embeddings' ? 0 : (facts.maxTokens ?? OUTPUT_WHEN_UNSAID) * facts.choices;
  const explained = facts.images === 0 && facts.promptTokens === 0 && !facts.serverState;
  return { inputTokens, outputTokens, inputBytes: explained ? bytes : 0 };
}

/** The same for a body too large, encoded, or absent. `contentLength` is `null` when chunked. */
export function chargeUnread(kind: EndpointKind, contentLength: number | null): Charge {
  const guess = Math.ceil((contentLength ?? 0) * TOKENS_PER_BYTE) + CONSTANT;
  return {
    inputTokens: Math.min(guess, UNREAD_MAX_TOKENS),
    outputTokens: kind === 'embeddings' ? 0 : OUTPUT_WHEN_UNSAID,
    inputBytes: 0,
  };
}

/** Requests, tokens, and whatever else answers for this model have shown. */
export function drawsOf(pools: ModelPools, tokens: number, images: number): readonly Draw[] {
  const draws: Draw[] = [pools.request, { spec: pools.tokens, units: tokens, sure: false }];
  for (const spec of pools.others) {
    const units = spec.unit === 'tokens' ? tokens : spec.unit === 'requests' ? 1 : images;
    if (units > 0) draws.push({ spec, units, sure: spec.unit === 'requests', ifKnown: true });
  }
  return draws;
}
