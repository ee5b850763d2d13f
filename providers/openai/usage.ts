/** Usage objects of the several endpoints, in one shape. */
import type { Usage } from '../../src/core/claim.ts';
import type { JsonRecord } from './seek.ts';
import { asRecord, countMember } from './seek.ts';

/** Chat, completions, embeddings: `prompt_tokens` …; Responses, audio: `input_tokens` …. */
export function readUsage(usage: JsonRecord): Usage | null {
  if (typeof usage['prompt_tokens'] === 'number') {
    return {
      inputTokens: countMember(usage, 'prompt_tokens'),
      cachedTokens: countMember(asRecord(usage['prompt_tokens_details']), 'cached_tokens'),
      outputTokens: countMember(usage, 'completion_tokens'),
      reasoningTokens: countMember(
        asRecord(usage['completion_tokens_details']),
        'reasoning_tokens',
      ),
    };
  }
  if (typeof usage['input_tokens'] === 'number') {
    return {
      inputTokens: countMember(usage, 'input_tokens'),
      cachedTokens: countMember(asRecord(usage['input_tokens_details']), 'cached_tokens'),
      outputTokens: countMember(usage, 'output_tokens'),
      reasoningTokens: countMember(asRecord(usage['output_tokens_details']), 'reasoning_tokens'),
    };
  }
  return null;
}

export function isUsage(value: JsonRecord): boolean {
  return typeof value['prompt_tokens'] === 'number' || typeof value['input_tokens'] === 'number';
}
