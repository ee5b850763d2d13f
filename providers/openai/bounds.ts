/** The most a request can use, for budgets that must hold: what `charge.ts` guesses, bounded. */
import type { ClaimBounds } from '../../src/core/claim.ts';
import type { EndpointKind } from './endpoints.ts';
import type { RequestFacts } from './request-body.ts';

/**
 * Most output tokens of one answer, reasoning included, by the beginning of the model's name
 * (https://platform.openai.com/docs/models). Where a family differs, its largest.
 */
const OUTPUT_CAPS: readonly (readonly [prefix: string, tokens: number])[] = [
  ['gpt-4o-64k', 64_000],
  ['gpt-4o', 16_384],
  ['chatgpt-4o', 16_384],
  ['gpt-4.1', 32_768],
  ['gpt-4.5', 16_384],
  ['gpt-4-turbo', 4_096],
  ['gpt-3.5', 4_096],
  ['gpt-5', 128_000],
  ['o1', 100_000],
  ['o3', 100_000],
  ['o4', 100_000],
];

/** UTF-16 counts each character once or twice, UTF-8 takes up to three bytes for one counted once. */
const BYTES_PER_CHAR = 3;

/** @param chars length of the body's text */
export function boundsOf(
  kind: EndpointKind,
  facts: RequestFacts,
  contentLength: number | null,
  chars: number,
  model: string,
): ClaimBounds {
  // A token is at least a byte. Images and what the provider keeps weigh more than they show.
  const explained = facts.images === 0 && !facts.serverState;
  const outputTokens = kind === 'embeddings' ? 0 : facts.maxTokens;
  const modelOutputTokens = outputCap(model);
  return {
    ...(explained ? { inputTokens: contentLength ?? chars * BYTES_PER_CHAR } : {}),
    ...(outputTokens === null ? {} : { outputTokens }),
    ...(modelOutputTokens === undefined ? {} : { modelOutputTokens }),
    choices: facts.choices,
  };
}

function outputCap(model: string): number | undefined {
  const base = model.startsWith('ft:') ? model.slice(3) : model;
  return OUTPUT_CAPS.find(([prefix]) => base.startsWith(prefix))?.[1];
}
