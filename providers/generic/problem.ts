/** Refusals for clients nobody knows: plain JSON with a `message`, where most look for one. */
import type { ProblemResponse, Refusal } from '../../src/core/provider.ts';
import { ratelordMember, retryFields } from '../dialects/refusal-fields.ts';

/** SDKs of this generator's make ignore a longer wait and hammer; nobody else reads the field. */
const PATIENCE_S = 60;

export function genericProblem(refusal: Refusal): ProblemResponse {
  const down = refusal.providerDown;
  const title = down ? 'provider unavailable' : 'rate limit reached';
  return {
    status: down ? 503 : 429,
    fields: ['content-type', 'application/json', ...retryFields(refusal, PATIENCE_S)],
    body: JSON.stringify({
      message: `${title} (refused by ratelord): ${refusal.reason}`,
      ratelord: ratelordMember(refusal),
    }),
  };
}
