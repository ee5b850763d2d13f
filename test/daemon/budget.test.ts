/** Money, through the real daemon: a budget that holds, prices that are known and those that are not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asOpenai, chat, configFor } from './configs.ts';
import { cleanUp, startDaemon, type TestDaemon } from './harness.ts';
import { listenOrigin, sendJson, type Origin } from './origins.ts';
import type { Answer } from './wire.ts';

const PROMPT = 400;
const BUDGET = 50_000;
const FIELDS = {
  'x-ratelimit-limit-requests': '10000',
  'x-ratelimit-remaining-requests': '9999',
  'x-ratelimit-reset-requests': '6ms',
  'x-ratelimit-limit-tokens': '10000000',
  'x-ratelimit-remaining-tokens': '9999000',
  'x-ratelimit-reset-tokens': '6ms',
};

/** What was really billed, micro-USD, and the most requests at once. */
const bill = { micros: 0, running: 0, most: 0, served: 0 };

/** Takes a moment over each answer; every fifth is as long as it may be. */
function billingOrigin(): Promise<Origin> {
  return listenOrigin(() => (_req, res, body) => {
    const asked = JSON.parse(body) as { model: string; max_tokens: number; service_tier?: string };
    const { model, max_tokens: max, service_tier: tier } = asked;
    bill.running += 1;
    bill.served += 1;
    bill.most = Math.max(bill.most, bill.running);
    const output = bill.served % 5 === 0 ? max : Math.ceil(max / 20);
    const cached = bill.served % 2 === 0 ? 100 : 0;
    setTimeout(() => {
      bill.running -= 1;
      // gpt-4o on the list: $2.50, $1.25 and $10 for a million tokens.
      if (model === 'gpt-4o') bill.micros += (PROMPT - cached) * 2.5 + cached * 1.25 + output * 10;
      const usage = {
        prompt_tokens: PROMPT,
        completion_tokens: output,
        total_tokens: PROMPT + output,
        prompt_tokens_details: { cached_tokens: cached },
      };
      const base = { id: 'chatcmpl-1', object: 'chat.completion', model, choices: [], usage };
      // Fast is another name of priority; what is not to be had is served as usual.
      const served = tier === 'fast' ? 'priority' : model === 'gpt-4.1' ? 'default' : tier;
      const metadata = { service_tier: 'flex' };
      const answer = tier === undefined ? base : { ...base, service_tier: served, metadata };
      sendJson(res, 200, answer, FIELDS);
    }, 15);
  });
}

const POLICY = `version: 1
limits:
  - { id: purse, match: { agent: "paid-*" }, quota: 0.05 usd / 30d, window: fixed }
  - { id: open, match: { agent: "free-*" }, quota: 5 usd / 30d, unpriced: pass }
prices:
  - { match: { model: in-house }, input: 1, output: 2 }
rules:
  - { id: dear, match: { agent: "free-*" }, when: cost.usd > 0.009, action: warn, reason: dear }
`;

let origin: Origin;
let daemon: TestDaemon;

beforeAll(async () => {
  origin = await billingOrigin();
  daemon = await startDaemon({ config: configFor({ openai: origin }), policy: POLICY });
});
afterAll(cleanUp);

function send(agent: string, more: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
  const content = 'x'.repeat(PROMPT * 4);
  const messages = [{ role: 'user', content }];
  return daemon.send('/openai/v1/chat/completions', {
    method: 'POST',
    headers: { ...asOpenai, 'x-ratelord-agent': agent, 'x-ratelord-max-wait': '1500ms' },
    body: chat({ model: 'gpt-4o', max_tokens: 500, messages, ...more }),
  });
}

interface Billed {
  readonly usage: {
    readonly completion_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number };
  };
}

interface PoolItem {
  readonly pool: string;
  readonly used: number;
  readonly reserved: number;
  readonly unit: string;
  readonly over_reserved_ratio?: number;
}

async function poolOf(name: string): Promise<PoolItem | undefined> {
  const { items } = (await daemon.api('/v1/pools')).json() as { items: readonly PoolItem[] };
  return items.find(({ pool }) => pool === name);
}

async function settledOf(answer: Answer): Promise<unknown> {
  const decision = await daemon.api(`/v1/decisions/${answer.field('x-ratelord-id')}`);
  const { events } = decision.json() as { events: { type: string; payload: unknown }[] };
  return events.find(({ type }) => type === 'usage_settled')?.payload;
}

const metric = async (series: string): Promise<number> => {
  const { text } = await daemon.api('/metrics');
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')[1],
  );
};

test('a budget is not exceeded, whatever comes at once, and is not left unused', async () => {
  await send('paid-1');
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) => send(`paid-${String(i % 4)}`)),
  );
  expect(bill.most).toBeGreaterThan(1);
  expect(bill.micros).toBeLessThanOrEqual(BUDGET);
  // The last of it is less than a request may cost.
  expect(bill.micros).toBeGreaterThan(BUDGET - 10_000);
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(10);
  expect(answers.every(({ status }) => status === 200 || status === 429)).toBe(true);
  expect(await poolOf('purse')).toMatchObject({
    unit: 'usd',
    used: bill.micros,
    reserved: 0,
    over_reserved_ratio: expect.any(Number) as number,
  });
  const series = 'ratelord_cost_usd_total{provider="openai",model="gpt-4o"}';
  expect(await metric(series)).toBeCloseTo(bill.micros / 1e6, 6);
  const why = await daemon.cli(['explain', refused.at(-1)?.field('x-ratelord-id') ?? '']);
  expect(why.stdout).toMatch(/\$0\.0\d+ of \$0\.05 left/);
  expect((await daemon.cli(['status'])).stdout).toMatch(/purse .*\$0\.0\d+ of \$0\.05/);
});

describe('what a request costs', () => {
  test('the ledger says it, and a rule saw the most it could be', async () => {
    const answer = await send('free-1');
    expect(answer.field('x-ratelord-warning')).toContain('dear');
    const { usage } = answer.json() as Billed;
    const cached = usage.prompt_tokens_details.cached_tokens;
    const micros = (PROMPT - cached) * 2.5 + cached * 1.25 + usage.completion_tokens * 10;
    expect(await settledOf(answer)).toMatchObject({ cost_micro_usd: micros });
  });

  test('by the tier that served it, and a budget sets aside the most of the tier asked for', async () => {
    const micros = async (more: Readonly<Record<string, unknown>>) => {
      const answer = await send('free-4', { max_tokens: 100, ...more });
      const { usage } = answer.json() as Billed;
      const cached = usage.prompt_tokens_details.cached_tokens;
      const [input, output] = more['model'] === 'gpt-4.1' ? [2, 8] : [2.5, 10];
      const standard =
        (PROMPT - cached) * input + (cached * input) / 2 + usage.completion_tokens * output;
      const { cost_micro_usd: cost } = (await settledOf(answer)) as { cost_micro_usd: number };
      const { verdicts } = (
        await daemon.api(`/v1/decisions/${answer.field('x-ratelord-id')}`)
      ).json() as { verdicts: { pools: { pool: string; units: number }[] }[] };
      const aside = verdicts[0]?.pools.find(({ pool }) => pool.endsWith('/open'))?.units ?? NaN;
      return { times: cost / standard, aside };
    };
    const plain = await micros({});
    expect(plain.times).toBe(1);
    const flex = await micros({ service_tier: 'flex' });
    expect(flex.times).toBeCloseTo(0.5, 2);
    // It may not be granted, and the text of a request grows by the name.
    expect(flex.aside).toBeGreaterThanOrEqual(plain.aside);
    const fast = await micros({ service_tier: 'fast' });
    expect(fast.times).toBeCloseTo(2, 2);
    expect(fast.aside).toBeGreaterThanOrEqual(2 * plain.aside);
    expect((await micros({ model: 'gpt-4.1', service_tier: 'priority' })).times).toBeLessThan(1.01);
  });

  test('a price of the policy counts where the list has none', async () => {
    const answer = await send('free-2', { model: 'in-house', max_tokens: 100 });
    expect(answer.status).toBe(200);
    expect(await settledOf(answer)).toMatchObject({ cost_usd: expect.any(Number) as number });
  });

  test('an unpriced model is refused by a budget, and is never counted as free', async () => {
    const refused = await send('paid-1', { model: 'unheard-of' });
    expect(refused.status).toBe(429);
    expect(refused.field('x-should-retry')).toBe('false');
    expect(refused.json()).toMatchObject({ ratelord: { code: 'RL_UNPRICED', rule: 'purse' } });
    const passed = await send('free-3', { model: 'unheard-of' });
    expect(passed.status).toBe(200);
    expect(await settledOf(passed)).toMatchObject({ cost_usd: null, unpriced: true });
    const text = (await daemon.cli(['explain', passed.field('x-ratelord-id')])).stdout;
    expect(text).toContain('open was skipped: `unheard-of` is unpriced');
    expect(text).toContain('what it cost in money is not known');
    const labels = '{provider="openai",model="unheard-of"}';
    expect(await metric(`ratelord_unpriced_requests_total${labels}`)).toBe(1);
    expect(await metric(`ratelord_cost_usd_total${labels}`)).toBeNaN();
  });
});
