/** Prices that a policy sets, from dollars as people write them. */
import { flatPrice, POLICY_PRICE, type PolicyPrice } from '../../core/money.ts';
import type { Matcher } from '../../core/policy/types.ts';
import { bad, good, shown, type Read } from '../scalars.ts';

/** Dearer than any model by far: whoever writes more has mistaken the unit. */
const MAX_RATE = 100_000;

/** USD for a million tokens, or for a request. */
export function readRate(value: unknown): Read<number> {
  const text = typeof value === 'string' ? /^\$?\s*(\d+(?:\.\d+)?)$/.exec(value.trim())?.[1] : null;
  const rate = typeof text === 'string' ? Number(text) : value;
  if (typeof rate !== 'number' || !Number.isFinite(rate) || rate < 0) {
    return bad(`${shown(value)} is no price: write dollars, like \`2.50\``);
  }
  if (rate > MAX_RATE) {
    return bad(`${shown(value)} is too dear: prices are in USD per million tokens`);
  }
  return good(rate);
}

export function readTokens(value: unknown): Read<number> {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return good(value);
  return bad(`${shown(value)} is no number of tokens: write one like \`4096\``);
}

export interface PriceParts {
  readonly input: number;
  readonly cached_input?: number | undefined;
  readonly output: number;
  readonly request?: number | undefined;
  readonly max_output?: number | undefined;
  readonly context?: number | undefined;
}

export function compilePrice(match: Matcher, parts: PriceParts): PolicyPrice {
  const rates = {
    input: parts.input,
    cachedInput: parts.cached_input ?? parts.input,
    output: parts.output,
    request: Math.round((parts.request ?? 0) * 1e6),
  };
  const caps = {
    contextTokens: parts.context ?? null,
    maxOutputTokens: parts.max_output ?? null,
  };
  return { match, price: flatPrice(POLICY_PRICE, rates, caps) };
}
