/** The openai package, through both ways in; and what it does with a refusal of ours. */
import OpenAI, { RateLimitError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanUp } from '../daemon/harness.ts';
import { clientWorld, decisionsOf, type ClientWorld } from './world.ts';

let world: ClientWorld;

beforeAll(async () => {
  world = await clientWorld({ openai: { requestsPerMinute: 600, tokensPerMinute: 12_000 } });
});
afterAll(cleanUp);

const MODEL = 'gpt-4o-mini';
const messages = [{ role: 'user' as const, content: 'Say hello' }];

function client(agent: string, more: ConstructorParameters<typeof OpenAI>[0] = {}): OpenAI {
  const baseURL = `${world.daemon.proxy}/@${agent}/openai/v1`;
  return new OpenAI({ apiKey: `sk-${agent}`, baseURL, ...more });
}

describe('by base URL', () => {
  test('chat, and its stream', async () => {
    const openai = client('chat');
    const whole = await openai.chat.completions.create({
      model: MODEL,
      max_completion_tokens: 20,
      messages,
    });
    expect(whole.usage?.total_tokens).toBe(12);
    const asked = { model: MODEL, max_completion_tokens: 20, messages, stream: true } as const;
    const stream = await openai.chat.completions.create(asked);
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe('Hello!');
    const usage: unknown[] = [];
    const told = await openai.chat.completions.create({
      ...asked,
      stream_options: { include_usage: true },
    });
    for await (const chunk of told) if (chunk.usage != null) usage.push(chunk.usage.total_tokens);
    expect(usage).toEqual([12]);
    expect(await decisionsOf(world.daemon, 'chat')).toEqual(['pass', 'pass', 'pass']);
    // Settled by what was really used, where the answer told.
    const settled = await world.daemon.items('/v1/events?type=usage_settled&agent=chat');
    expect(settled[0]?.['payload']).toMatchObject({ input_tokens: 9, output_tokens: 3 });
    expect(settled[2]?.['payload']).toMatchObject({ input_tokens: 9, output_tokens: 3 });
  });

  test('responses, whole and streamed', async () => {
    const openai = client('responses');
    const whole = await openai.responses.create({ model: MODEL, input: 'Say hello' });
    expect(whole.output_text).toBe('Hello!');
    const stream = await openai.responses.create({ model: MODEL, input: 'hi', stream: true });
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    expect(types).toEqual(['response.created', 'response.output_text.delta', 'response.completed']);
    const settled = await world.daemon.items('/v1/events?type=usage_settled&agent=responses');
    expect(settled[1]?.['payload']).toMatchObject({ input_tokens: 9, output_tokens: 3 });
  });

  test('embeddings and models', async () => {
    const openai = client('embeddings');
    const made = await openai.embeddings.create({
      model: 'text-embedding-3-small',
      input: 'hello',
      encoding_format: 'float',
    });
    expect(made.data[0]?.embedding).toEqual([0.1, 0.2]);
    const models: string[] = [];
    for await (const model of openai.models.list()) models.push(model.id);
    expect(models).toEqual([MODEL]);
  });
});

test('usage is asked for on behalf of clients that did not, and hidden from them', async () => {
  const own = await clientWorld({ includeUsage: true });
  const baseURL = `${own.daemon.proxy}/@frugal/openai/v1`;
  const openai = new OpenAI({ apiKey: 'sk-frugal', baseURL });
  const asked = { model: MODEL, max_completion_tokens: 20, messages, stream: true } as const;
  const chunks: unknown[] = [];
  let text = '';
  for await (const chunk of await openai.chat.completions.create(asked)) {
    chunks.push(chunk);
    text += chunk.choices[0]?.delta.content ?? '';
  }
  expect(text).toBe('Hello!');
  expect(JSON.stringify(chunks)).not.toContain('usage');
  expect(own.openai.seen.at(-1)?.body).toContain('include_usage');
  const [settled] = await own.daemon.items('/v1/events?type=usage_settled&agent=frugal');
  expect(settled?.['payload']).toMatchObject({ input_tokens: 9, output_tokens: 3 });
});

describe('refused by us', () => {
  const never = { 'x-ratelord-max-wait': '0' };
  const large = { model: MODEL, max_completion_tokens: 11_800, messages };

  test('it raises its own RateLimitError, with our explanation', async () => {
    const openai = client('refused', { maxRetries: 0, defaultHeaders: never });
    await openai.chat.completions.create(large);
    const error = await openai.chat.completions
      .create({ model: MODEL, max_completion_tokens: 2_000, messages })
      .then(
        () => null,
        (reason: unknown) => reason,
      );
    expect(error).toBeInstanceOf(RateLimitError);
    const limited = error as RateLimitError;
    expect(limited.status).toBe(429);
    expect(limited.code).toBe('rate_limit_exceeded');
    expect(limited.type).toBe('tokens');
    expect(limited.message).toContain('refused by ratelord');
    expect(limited.headers.get('x-ratelord-id')).toMatch(/^rl_/);
  });

  test('it waits as it is told, and then passes', async () => {
    const openai = client('patient', { maxRetries: 2, defaultHeaders: never });
    await openai.chat.completions.create(large);
    const seen = world.openai.seen.length;
    const answer = await openai.chat.completions.create({
      model: MODEL,
      max_completion_tokens: 400,
      messages,
    });
    expect(answer.usage?.total_tokens).toBe(12);
    expect(world.openai.seen).toHaveLength(seen + 1);
    const decisions = await decisionsOf(world.daemon, 'patient');
    expect(decisions).toEqual(['pass', 'reject', 'pass']);
    expect(world.openai.refused).toBe(0);
  }, 60_000);

  test('what can never fit is not tried again', async () => {
    const openai = client('hopeless', { maxRetries: 5 });
    await openai.chat.completions.create({ model: MODEL, max_completion_tokens: 20, messages });
    await expect(
      openai.chat.completions.create({ model: MODEL, max_completion_tokens: 50_000, messages }),
    ).rejects.toBeInstanceOf(RateLimitError);
    expect(await decisionsOf(world.daemon, 'hopeless')).toEqual(['pass', 'reject']);
  });
});

test('under `ratelord run`, with no line changed', async () => {
  const script = `
import OpenAI from 'openai';
const openai = new OpenAI({ apiKey: 'sk-run' });
const stream = await openai.chat.completions.create({
  model: '${MODEL}', max_completion_tokens: 20, stream: true, messages: [{ role: 'user', content: 'hi' }],
});
let text = '';
for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
console.log(text);`;
  const told = await world.daemon.run(
    ['sh', '-c', `cd '${process.cwd()}' && exec "$0" --input-type=module -e "$1"`].concat(
      process.execPath,
      script,
    ),
    'openai-run',
  );
  expect(told.stderr).toBe('');
  expect(told.stdout).toBe('Hello!\n');
  expect(await decisionsOf(world.daemon, 'openai-run')).toEqual(['pass']);
});
