/**
 * Prices of models by `@pydantic/genai-prices`, from the list that comes with the package: nothing is
 * fetched. What the list does not know is unpriced.
 */
import { createRequire } from 'node:module';
import type { ModelPrice as Rates, PriceCalculation } from '@pydantic/genai-prices';
import { wholeMicros, type ModelPrice, type PriceBook } from '../core/money.ts';
import { MINUTE, type EpochMs } from '../core/units.ts';

type Prices = typeof import('@pydantic/genai-prices');

const SOURCE = 'genai-prices';
/** Models looked up that are remembered; clients choose the names. */
const MAX_MODELS = 1000;
/** Prices begin at a day, some at an hour of the day: looked up again this often. */
const FRESH_MS = 15 * MINUTE;

interface Found {
  readonly slot: number;
  readonly price: ModelPrice | null;
}

/** Loading the list takes some 40 ms and 20 MB, so that waits for the first model that is named. */
export function createPriceBook(load: () => Prices = loadPrices): PriceBook {
  let prices: Prices | null = null;
  const models = new Map<string, Found>();
  return {
    price(provider, model, at) {
      const key = `${provider}|${model}`;
      const slot = Math.floor(at / FRESH_MS);
      const known = models.get(key);
      if (known?.slot === slot) return known.price;
      prices ??= load();
      if (models.size >= MAX_MODELS) models.clear();
      const price = lookUp(prices, provider, model, at);
      models.set(key, { slot, price });
      return price;
    },
  };
}

function loadPrices(): Prices {
  return createRequire(import.meta.url)('@pydantic/genai-prices') as Prices;
}

const ONE = { input_tokens: 1, cache_read_tokens: 0, output_tokens: 1 };

function lookUp(prices: Prices, provider: string, model: string, at: EpochMs): ModelPrice | null {
  const options = { providerId: provider, timestamp: new Date(at) };
  let found: PriceCalculation | null;
  try {
    found = prices.calcPrice(ONE, model, options);
  } catch {
    // The package throws on entries of its own list that lack a rate it needs.
    return null;
  }
  if (found === null) return null;
  const { input_mtok: input, cache_read_mtok: cached, output_mtok: output } = found.model_price;
  // Billed by the minute or the image: tokens say nothing of what it costs.
  if (input === undefined || billedOtherwise(found.model_price)) return null;
  const caps = { contextTokens: found.model.context_window ?? null, maxOutputTokens: null };
  const rates = { input, cached: cached ?? input, output: output ?? 0 };
  return { source: SOURCE, ...caps, cost: costBy(rates) };
}

/** Fees for a request, a duration or a page, and dearer tokens of sound and pictures. */
const OTHER_RATES = /^requests_|_hours$|_kpages$|_(audio|image|video)_/;

/** Usage as we read it does not show what such a model costs. */
function billedOtherwise(rates: Rates): boolean {
  for (const name in rates) {
    if (OTHER_RATES.test(name) && rates[name] !== undefined) return true;
  }
  return false;
}

/** USD per million tokens, which are micro-USD a token. */
interface TokenRates {
  readonly input: Rate;
  readonly cached: Rate;
  readonly output: Rate;
}

type Rate = NonNullable<Rates[string]>;

/**
 * As the package computes it. Its `calcPrice` looks the model up each time, which takes 15 µs, more
 * than a whole decision; a test holds the two against each other.
 */
function costBy({ input, cached, output }: TokenRates): ModelPrice['cost'] {
  return (usage) => {
    const { inputTokens, outputTokens } = usage;
    const cachedTokens = Math.min(usage.cachedTokens, inputTokens);
    return wholeMicros(
      (inputTokens - cachedTokens) * rateAt(input, inputTokens) +
        cachedTokens * rateAt(cached, inputTokens) +
        outputTokens * rateAt(output, inputTokens),
    );
  };
}

/** Beyond a number of input tokens some models are dearer, from their first token on. */
function rateAt(rate: Rate, inputTokens: number): number {
  if (typeof rate === 'number') return rate;
  let price = rate.base;
  for (const tier of rate.tiers) if (inputTokens > tier.start) price = tier.price;
  return price;
}
