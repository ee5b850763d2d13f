/** The price list: taken from the package as it computes, and silent about what it does not know. */
import { calcPrice, findProvider } from '@pydantic/genai-prices';
import { describe, expect, it } from 'vitest';
import { createPriceBook } from '../../src/compose/prices.ts';
import { wholeMicros } from '../../src/core/money.ts';
import { usage } from './llm-world.ts';

const NOW = Date.UTC(2026, 10, 21);
const SIZES = [0, 1, 1000, 128_001, 200_000, 200_001, 272_000, 300_000];

describe('the price book', () => {
  it.each(['openai', 'anthropic', 'google', 'mistral', 'deepseek'])(
    '%s: every model costs what the package says, cached input and long prompts too',
    (provider) => {
      const book = createPriceBook();
      const models = findProvider({ providerId: provider })?.models ?? [];
      const wrong: unknown[] = [];
      let priced = 0;
      for (const { id } of models) {
        const price = book.price(provider, id, NOW);
        if (price === null) continue;
        priced += 1;
        for (const input of SIZES) {
          const cached = Math.floor(input / 3);
          const use = { input_tokens: input, cache_read_tokens: cached, output_tokens: 777 };
          const said = calcPrice(use, id, { providerId: provider, timestamp: new Date(NOW) });
          const micros = wholeMicros((said?.total_price ?? NaN) * 1e6);
          const found = price.cost(usage(input, 777, cached));
          if (found !== micros) wrong.push([id, input, found, micros]);
        }
      }
      expect(wrong).toEqual([]);
      expect(priced).toBeGreaterThan(models.length * 0.6);
    },
  );

  it.each([
    ['openai', 'gpt-4o', 128_000],
    ['openai', 'gpt-4o-2024-08-06', 128_000],
    ['openai', 'nothing-like-it', null],
    ['openai', 'whisper-1', null],
    // Sound and pictures are dearer than text, and usage does not tell them apart.
    ['openai', 'gpt-audio', null],
    ['openai', 'gpt-image-1', null],
    ['openai', '', null],
    ['acme', 'gpt-4o', null],
  ])('%s %s: context %s', (provider, model, context) => {
    expect(createPriceBook().price(provider, model, NOW)?.contextTokens ?? null).toBe(context);
  });

  it('asks for prices as they were at that moment, and looks each model up but once', () => {
    const asked: unknown[] = [];
    const book = createPriceBook(() => ({
      ...({} as typeof import('@pydantic/genai-prices')),
      calcPrice(use, model, options) {
        asked.push([model, options?.timestamp?.getTime()]);
        return calcPrice(use, model, options);
      },
    }));
    for (let i = 0; i < 5; i++) book.price('openai', 'o3', NOW + i);
    book.price('openai', 'o3', NOW + 3_600_000);
    expect(asked).toEqual([
      ['o3', NOW],
      ['o3', NOW + 3_600_000],
    ]);
    // Its price was cut in 2025.
    const before = book.price('openai', 'o3', Date.UTC(2025, 4, 1))?.cost(usage(1000, 0));
    expect(before).toBe(10_000);
    expect(book.price('openai', 'o3', NOW)?.cost(usage(1000, 0))).toBe(2000);
  });
});
