/** Refusals in OpenAI's error shape, so that its SDKs raise their own error and honour the wait. */
import type { RawFields } from '../../src/core/head.ts';
import type { ProblemResponse, Refusal } from '../../src/core/provider.ts';
import { formatGoDuration } from '../dialects/go-duration.ts';
import { ratelordMember, retryFields } from '../dialects/refusal-fields.ts';

/** openai-python gives up by itself above 120 s; the other SDKs ignore more than 60 s and hammer. */
const PYTHON_PATIENCE_S = 120;
const PATIENCE_S = 60;

/** The longest wait, in seconds, that the caller's SDK honours. */
export function patienceOf(fields: RawFields): number {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (name.length === 16 && name.toLowerCase() === 'x-stainless-lang') {
      return fields[i + 1] === 'python' ? PYTHON_PATIENCE_S : PATIENCE_S;
    }
    if (name.length === 10 && name.toLowerCase() === 'user-agent') {
      if (/^(?:Async)?(?:Azure)?OpenAI\/Python/.test(fields[i + 1] as string)) {
        return PYTHON_PATIENCE_S;
      }
    }
  }
  return PATIENCE_S;
}

export function openaiProblem(refusal: Refusal, patienceS: number): ProblemResponse {
  const down = refusal.providerDown;
  return {
    status: down ? 503 : 429,
    fields: ['content-type', 'application/json', ...retryFields(refusal, patienceS)],
    body: JSON.stringify({
      error: {
        message: messageOf(refusal),
        type: down ? 'service_unavailable_error' : typeOf(refusal),
        param: null,
        code: down ? 'server_is_overloaded' : 'rate_limit_exceeded',
      },
      ratelord: ratelordMember(refusal),
    }),
  };
}

function messageOf(refusal: Refusal): string {
  const model = refusal.claim.model;
  const about = model === undefined || model === '' ? '' : ` for ${model}`;
  const what = refusal.providerDown ? 'Provider unavailable' : 'Rate limit reached';
  const start = `${what}${about} (refused by ratelord): ${refusal.reason}.`;
  // Clients that read no fields look for this phrase.
  return refusal.retryInMs === null
    ? `${start} Waiting will not clear it.`
    : `${start} Please try again in ${formatGoDuration(Math.max(1, refusal.retryInMs))}.`;
}

function typeOf(refusal: Refusal): string {
  return refusal.pool !== undefined && refusal.pool.unit.endsWith('tokens') ? 'tokens' : 'requests';
}
