/** What requests cost, what may be spent, and what nobody knows. */
import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/config/policy/load.ts';
import { problemText } from '../../src/config/problem.ts';
import type { Claim } from '../../src/core/claim.ts';
import { expand } from '../../src/core/ledger/expand.ts';
import type { LedgerEvent } from '../../src/core/ledger/event.ts';
import { costBound, flatPrice, priceFor, usdText } from '../../src/core/money.ts';
import { decisionOf } from '../../src/query/decision.ts';
import { explainText } from '../../src/query/explain.ts';
import { LlmWorld, PRICES, usage } from './llm-world.ts';
import { policy } from './policy-builder.ts';

const RATES = { input: 2.5, cachedInput: 1.25, output: 10, request: 0 };
const UNKNOWN_CAPS = { contextTokens: null, maxOutputTokens: null };

describe('a price', () => {
  it('counts cached input as cached, and rounds up to whole micro-dollars', () => {
    const price = flatPrice('t', RATES, UNKNOWN_CAPS);
    expect(price.cost(usage(1000, 100))).toBe(3500);
    expect(price.cost(usage(1000, 100, 400))).toBe(3000);
    expect(price.cost(usage(1, 0))).toBe(3);
    expect(price.cost(usage(0, 0))).toBe(0);
    expect(flatPrice('t', { ...RATES, request: 7 }, UNKNOWN_CAPS).cost(usage(0, 1))).toBe(17);
  });

  it.each([
    [0, '$0.00'],
    [50_000, '$0.05'],
    [123, '$0.000123'],
    [1_234_500_000, '$1,234.50'],
    [-20_000, '-$0.02'],
  ])('%d is written %s', (micros, text) => {
    expect(usdText(micros)).toBe(text);
  });
});

describe('the most a request can cost', () => {
  const claim = (bounds: NonNullable<Claim['bounds']>): Claim => ({
    provider: 'llm',
    endpoint: 'chat',
    scope: '',
    draws: [],
    stream: false,
    inputBytes: 0,
    estimate: { inputTokens: 100, outputTokens: 16 },
    bounds,
  });
  const caps = (contextTokens: number | null, maxOutputTokens: number | null = null) =>
    flatPrice(
      't',
      { input: 1, cachedInput: 0, output: 1000, request: 0 },
      {
        contextTokens,
        maxOutputTokens,
      },
    );

  it.each([
    ['what it allows', { inputTokens: 40, outputTokens: 5 }, caps(null), 40 + 5000],
    ['each of its choices', { inputTokens: 40, outputTokens: 5, choices: 3 }, caps(null), 15_040],
    [
      'what it allows before the policy’s cap',
      { inputTokens: 0, outputTokens: 5 },
      caps(null, 2),
      5000,
    ],
    [
      'the policy’s cap before the model’s',
      { inputTokens: 0, modelOutputTokens: 9 },
      caps(null, 2),
      2000,
    ],
    ['the model’s cap', { inputTokens: 0, modelOutputTokens: 9 }, caps(50), 9000],
    ['the model’s context', { inputTokens: 0 }, caps(50), 50_000],
    [
      'a context smaller than what it allows',
      { inputTokens: 70, outputTokens: 80 },
      caps(50),
      50_050,
    ],
    ['a context where the input is not known', { outputTokens: 0 }, caps(50), 50],
    ['four times the estimate where nothing is', { outputTokens: 0 }, caps(null), 400],
  ])('%s', (_what, bounds, price, most) => {
    expect(costBound(price, claim(bounds))).toBe(most);
  });

  it('is not known when nothing bounds the answer', () => {
    expect(costBound(caps(null), claim({ inputTokens: 1 }))).toBeNull();
  });
});

describe('prices of the policy', () => {
  const { prices } = policy(`
prices:
  - { match: { provider: llm, model: 'm-*' }, input: 1, cached_input: 0.1, output: 2, request: 0.001 }
  - { match: { model: local-* }, input: 0, output: 0, max_output: 500 }
`);

  it('outrank the list, and price what the list does not know', () => {
    const of = (provider: string, model: string) => priceFor(prices, PRICES, provider, model, 0);
    expect(of('llm', 'm-1')?.cost(usage(1000, 1000, 1000))).toBe(1000 + 100 + 2000);
    expect(of('llm', 'mini')?.source).toBe('list');
    expect(of('any', 'local-7b')).toMatchObject({ source: 'policy', maxOutputTokens: 500 });
    expect(of('any', 'm-1')).toBeNull();
    expect(of('llm', '')).toBeNull();
  });

  it.each([
    ['prices: [{ match: { model: x }, input: 1 }]', 'prices[0].output: a value is missing'],
    ['prices: [{ match: { model: x }, input: cheap, output: 1 }]', '`cheap` is no price'],
    ['prices: [{ match: { model: x }, input: -1, output: 1 }]', '`-1` is no price'],
    ['prices: [{ match: { model: x }, input: 2500000, output: 1 }]', 'USD per million tokens'],
    ['prices: [{ match: { modle: x }, input: 1, output: 1 }]', '`modle`'],
    ['prices: [{ match: { model: x }, input: 1, outputs: 1, output: 1 }]', '`output`?'],
    [
      'prices: [{ match: { model: x }, input: 1, output: 1, max_output: 0 }]',
      'no number of tokens',
    ],
    ['limits: [{ id: l, quota: 1 usd / 1d, unpriced: pas }]', '`pass`?'],
    ['limits: [{ id: l, quota: 1 tokens / 1d, unpriced: pass }]', 'is about money'],
  ])('%s', (text, message) => {
    const result = parsePolicy('p.yaml', text);
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.problems.map(problemText).join('\n')).toContain(message);
  });
});

const BUDGET = policy('limits: [{ id: day, quota: 0.05 usd / 1d, window: fixed }]');
const figures = (world: LlmWorld) => world.pool('day').figures(world.now.wall);

describe('a budget', () => {
  it('sets aside the most it can cost, and then charges what it did', () => {
    const world = new LlmWorld(BUDGET);
    const { key } = world.ask({ inputTokens: 1000, max: 1000 });
    expect(figures(world)).toMatchObject({ reserved: 12_500, remaining: 50_000 });
    world.answer(key, usage(1000, 100, 400));
    expect(figures(world)).toMatchObject({ reserved: 0, used: 3000, remaining: 47_000 });
  });

  it('keeps the most when nobody says what was used, and nothing for an error', () => {
    const world = new LlmWorld(BUDGET);
    world.answer(world.ask({ max: 1000 }).key, null);
    expect(figures(world).used).toBe(10_250);
    world.answer(world.ask({ max: 1000 }).key, null, 'aborted');
    expect(figures(world).used).toBe(20_500);
    world.answer(world.ask({ max: 1000 }).key, null, 'complete', 500);
    world.answer(world.ask({ max: 1000 }).key, null, 'unreachable', 0);
    expect(figures(world).used).toBe(20_500);
  });

  it.each(['fixed', 'rolling'])(
    '%s: the next waits while what is set aside may come back',
    (kind) => {
      const text = `limits: [{ id: day, quota: 0.05 usd / 1d, window: ${kind} }]`;
      const world = new LlmWorld(policy(text));
      world.answer(world.ask({ max: 100 }).key, usage(100, 10));
      const ask = () => world.ask({ max: 1500, maxWaitMs: 60_000 });
      const running = [ask(), ask(), ask()];
      expect(running.map(({ effects }) => effects[0]?.type)).not.toContain('respond');
      const waits = ask();
      expect(waits.effects).toEqual([]);
      world.pass(500);
      const freed = world.answer(running[0]?.key ?? 0, usage(100, 10));
      expect(freed).toMatchObject([{ type: 'forward', key: waits.key }]);
    },
  );

  it.each(['fixed', 'rolling'])(
    '%s: who waited for what was then spent is refused at once',
    (kind) => {
      const text = `limits: [{ id: day, quota: 0.05 usd / 1d, window: ${kind} }]`;
      const world = new LlmWorld(policy(text));
      const ask = () => world.ask({ max: 1500, maxWaitMs: 60_000 });
      const running = [ask(), ask(), ask()];
      const waits = ask();
      expect(waits.effects).toEqual([]);
      world.pass(500);
      const answers = running.map(({ key }) => world.answer(key, usage(100, 1500)));
      expect(answers.flat()).toMatchObject([
        { type: 'respond', key: waits.key, waitedMs: 500, refusal: { code: 'RL_QUOTA' } },
      ]);
    },
  );

  it('refuses what could cost more than all of it', () => {
    const world = new LlmWorld(BUDGET);
    const { effects } = world.ask({ max: 6000 });
    expect(effects).toMatchObject([{ type: 'respond', refusal: { code: 'RL_TOO_LARGE' } }]);
    expect(JSON.stringify(effects)).toContain(
      'it may cost $0.06025 and `day` never holds more than $0.05',
    );
  });

  it('refuses a model without a price, and says so, unless the policy lets it pass', () => {
    const world = new LlmWorld(BUDGET);
    const { effects } = world.ask({ model: 'x-1' });
    expect(effects).toMatchObject([
      { type: 'respond', refusal: { code: 'RL_UNPRICED', rule: 'day', retryInMs: null } },
    ]);
    expect(JSON.stringify(effects)).toContain('`x-1` is unpriced');
    const lax = new LlmWorld(policy('limits: [{ id: day, quota: 1 usd / 1d, unpriced: pass }]'));
    const { key, effects: passed } = lax.ask({ model: 'x-1' });
    expect(passed[0]?.type).toBe('forward');
    lax.answer(key, usage(10, 10));
    const events = lax.entries.flatMap(expand);
    expect(decided(events)).toMatchObject({
      rules: [{ rule: 'day', effect: 'skipped', detail: '`x-1` is unpriced' }],
    });
    expect(settled(events)).toMatchObject({ cost_micro_usd: null, cost_usd: null, unpriced: true });
    expect([...lax.governor.totals.unpriced]).toEqual([['llm|x-1', 1]]);
    expect(lax.governor.totals.cost.size).toBe(0);
  });

  it('that is new refuses those who wait already and cannot be counted', () => {
    const world = new LlmWorld(policy('limits: [{ id: one, quota: 1 request / 1h }]'));
    world.answer(world.ask({ model: 'x-1' }).key, usage(1, 1));
    const waiting = world.ask({ model: 'x-1', maxWaitMs: 7_200_000 });
    expect(waiting.effects).toEqual([]);
    const step = { type: 'policy', at: world.now, policy: BUDGET } as const;
    const told = world.governor.step(step).filter(({ type }) => type !== 'append');
    expect(told).toMatchObject([
      { type: 'respond', key: waiting.key, refusal: { code: 'RL_UNPRICED', rule: 'day' } },
    ]);
  });

  it('counts afresh when its policy counts something else under its name', () => {
    const world = new LlmWorld(policy('limits: [{ id: day, quota: 100 requests / 1d }]'));
    const before = world.ask();
    const under = world.ask();
    world.answer(before.key, usage(10, 10));
    const other = policy('limits: [{ id: day, quota: 1000 tokens / 1d }]');
    world.governor.step({ type: 'policy', at: world.now, policy: other });
    const after = world.ask({ inputTokens: 100, max: 50 });
    const day = [...world.governor.state.pools.values()].filter(({ spec }) => spec.name === 'day');
    expect(day.map(({ held }) => held)).toEqual([150]);
    world.answer(under.key, usage(10, 10));
    world.answer(after.key, usage(20, 11));
    const pools = [...world.governor.state.pools.values()].filter(
      ({ spec }) => spec.name === 'day',
    );
    expect(pools.map(({ spec, held }) => [spec.unit, held])).toEqual([['tokens', 0]]);
    expect(pools[0]?.figures(world.now.wall).used).toBe(31);
  });

  it('does not concern requests that name no model', () => {
    const world = new LlmWorld(BUDGET);
    const { effects } = world.ask({ model: null });
    expect(effects[0]?.type).toBe('forward');
  });
});

function payloadOf(events: readonly LedgerEvent[], type: string) {
  return events.find((event) => event.type === type)?.payload;
}
const decided = (events: readonly LedgerEvent[]) => payloadOf(events, 'intent_decided');
const settled = (events: readonly LedgerEvent[]) => payloadOf(events, 'usage_settled');

describe('what is told of it', () => {
  it('the ledger has the cost, in millionths and in dollars', () => {
    const world = new LlmWorld(BUDGET);
    world.answer(world.ask({ max: 100 }).key, usage(1000, 100));
    expect(settled(world.entries.flatMap(expand))).toMatchObject({
      cost_micro_usd: 3500,
      cost_usd: 0.0035,
    });
    expect([...world.governor.totals.cost]).toEqual([['llm|m-1', 3500]]);
  });

  it('explain speaks of dollars', () => {
    const world = new LlmWorld(BUDGET);
    world.answer(world.ask({ max: 1000 }).key, usage(100, 100));
    const record = decisionOf(world.entries.flatMap(expand));
    const text = record === null ? '' : explainText(record);
    expect(text).toContain('$0.05 of $0.05 left');
    expect(text).toContain('this needed at most $0.01025');
    expect(text).toContain('It cost $0.00125.');
    expect(text).toMatch(/charged \$0\.00125 of policy\//);
  });

  it('a row from before there were prices expands as it did', () => {
    const world = new LlmWorld(BUDGET);
    world.answer(world.ask({ max: 100 }).key, usage(10, 10));
    const entry = world.entries.find(({ kind }) => kind === 'ended');
    if (entry === undefined) throw new Error('no ending');
    const [event] = expand({ ...entry, data: entry.data.slice(0, 9) });
    expect(event?.payload).toMatchObject({ ending: 'complete', output_tokens: 10 });
    expect(event?.payload).not.toHaveProperty('cost_usd');
    expect(event?.payload).not.toHaveProperty('unpriced');
  });
});

describe('conditions', () => {
  const WARN = policy(`
rules:
  - { id: dear, when: cost.usd > 0.01, action: warn, reason: dear }
  - { id: much, when: cost.spent > 0.003, action: warn, reason: much }
`);
  const warnings = (world: LlmWorld, asked: Parameters<LlmWorld['ask']>[0]) => {
    const { key, effects } = world.ask(asked);
    const [effect] = effects;
    return { key, warned: effect?.type === 'forward' ? effect.warnings : null };
  };

  it('see the most it can cost, and what the agent spent since midnight UTC', () => {
    const world = new LlmWorld(WARN);
    expect(warnings(world, { max: 100 }).warned).toEqual([]);
    const dear = warnings(world, { max: 1000 });
    expect(dear.warned).toEqual(['dear']);
    world.answer(dear.key, usage(100, 400));
    expect(warnings(world, { max: 100 }).warned).toEqual(['much']);
    expect(warnings(world, { max: 100, agent: 'other' }).warned).toEqual([]);
    world.pass(86_400_000);
    expect(warnings(world, { max: 100 }).warned).toEqual([]);
  });

  it('are skipped where the price is not known', () => {
    const world = new LlmWorld(WARN);
    world.ask({ model: 'x-1', max: 100_000 });
    expect(decided(world.entries.flatMap(expand))).toMatchObject({
      rules: [{ rule: 'dear', effect: 'skipped', detail: 'cost.usd is not known now' }],
    });
  });
});
