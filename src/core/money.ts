/**
 * What requests cost, in micro-USD. A price comes from the policy, else from the price book; a model
 * that has neither is unpriced, which is something else than free.
 */
import type { Claim, Usage } from './claim.ts';
import type { Matcher } from './policy/types.ts';
import type { EpochMs, MicroUsd } from './units.ts';

/** Who says so, where the policy does. */
export const POLICY_PRICE = 'policy';

/** Prices of models. Implemented outside; the same question gets the same answer. */
export interface PriceBook {
  /** @param at prices change: those of that moment. `null` = no price is known */
  price(provider: string, model: string, at: EpochMs): ModelPrice | null;
}

export interface ModelPrice {
  /** Who says so: `policy`, or the name of the price list. */
  readonly source: string;
  /** Tokens of input and output that the model takes together; `null` = not known. */
  readonly contextTokens: number | null;
  /** Most output tokens of one answer, set by the policy; `null` = not set. */
  readonly maxOutputTokens: number | null;
  /** Integer, rounded up. More tokens never cost less. */
  cost(usage: Pick<Usage, 'inputTokens' | 'cachedTokens' | 'outputTokens'>): MicroUsd;
}

/**
 * A price by the policy. A dollar per million tokens is a micro-dollar per token, so rates need no
 * conversion.
 */
export interface PolicyPrice {
  /** Asks for `provider` and `model` alone. */
  readonly match: Matcher;
  readonly price: ModelPrice;
}

/** Flat rates in USD per million tokens; `request` in micro-USD for each request. */
export interface FlatRates {
  readonly input: number;
  readonly cachedInput: number;
  readonly output: number;
  readonly request: MicroUsd;
}

export function flatPrice(
  source: string,
  rates: FlatRates,
  caps: Pick<ModelPrice, 'contextTokens' | 'maxOutputTokens'>,
): ModelPrice {
  const { input, cachedInput, output, request } = rates;
  return {
    source,
    ...caps,
    cost({ inputTokens, cachedTokens, outputTokens }) {
      const cached = Math.min(cachedTokens, inputTokens);
      return wholeMicros(
        request + (inputTokens - cached) * input + cached * cachedInput + outputTokens * output,
      );
    },
  };
}

/** Rounded up, but for what binary fractions add. */
export function wholeMicros(micros: number): MicroUsd {
  return Math.max(0, Math.ceil(micros - 1e-6));
}

/** The first price of the policy that matches, else the book's. */
export function priceFor(
  prices: readonly PolicyPrice[] | undefined,
  book: PriceBook | undefined,
  provider: string,
  model: string,
  at: EpochMs,
): ModelPrice | null {
  for (const { match, price } of prices ?? []) {
    const fits = match.tests.every(({ key, test }) => test(key === 'provider' ? provider : model));
    if (fits) return price;
  }
  return model === '' ? null : (book?.price(provider, model, at) ?? null);
}

/** Prompts have been seen to weigh this many times the estimate, where nothing bounds them. */
const UNBOUNDED_INPUT_FACTOR = 4;

/**
 * The most a request can cost. Input: no text has more tokens than bytes; what is not all in the
 * request (images, state at the provider) fits the model's context. Output: what the request allows,
 * else what the policy says the model gives, else the model's documented cap, else its context.
 *
 * @returns `null` when nothing bounds its output
 */
export function costBound(price: ModelPrice, claim: Claim): MicroUsd | null {
  const { estimate, bounds } = claim;
  if (bounds?.cost !== undefined) return bounds.cost;
  if (estimate === undefined) return null;
  const context = price.contextTokens;
  const choices = bounds?.choices ?? 1;
  const mostInput = bounds?.inputTokens ?? context ?? estimate.inputTokens * UNBOUNDED_INPUT_FACTOR;
  const inputTokens = Math.max(context === null ? mostInput : Math.min(mostInput, context), 0);
  const each =
    bounds?.outputTokens ?? price.maxOutputTokens ?? bounds?.modelOutputTokens ?? context;
  if (each === null) return null;
  const outputTokens = (context === null ? each : Math.min(each, context)) * choices;
  return price.cost({ inputTokens, cachedTokens: 0, outputTokens });
}

/** `$0.05`, `$1,234.50`, `$0.000123`: at least cents, and as many digits as it takes. */
export function usdText(micros: MicroUsd): string {
  const [whole = '0', fraction = ''] = (Math.abs(micros) / 1e6).toFixed(6).split('.');
  const digits = fraction.replace(/0+$/, '').padEnd(2, '0');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${micros < 0 ? '-' : ''}$${grouped}.${digits}`;
}

/** An amount with its unit: `1200 tokens`, `$0.02`. */
export function amountText(units: number, unit: string): string {
  return unit === 'usd' ? usdText(units) : `${String(units)} ${unit}`;
}

/** The same where the unit was named before: `1200`, `$0.02`. */
export function unitsText(units: number, unit: string): string {
  return unit === 'usd' ? usdText(units) : String(units);
}
