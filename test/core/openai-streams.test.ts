import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createOpenai } from '../../providers/openai/index.ts';
import { MemberSeeker } from '../../providers/openai/seek.ts';
import { EventReader } from '../../providers/openai/sse.ts';
import {
  QUARTER,
  chatClaim,
  cut,
  quotas,
  request,
  response,
  tapped,
  throttles,
} from './openai-world.ts';

const provider = createOpenai();
const JSON_HEAD = response(200, ['Content-Type', 'application/json']);
const SSE_HEAD = response(200, ['Content-Type', 'text/event-stream; charset=utf-8']);
const USAGE = {
  prompt_tokens: 19,
  completion_tokens: 10,
  total_tokens: 29,
  prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 6 },
};
const READ = { inputTokens: 19, cachedTokens: 4, outputTokens: 10, reasoningTokens: 6 };
const chat = chatClaim(provider, { stream: true });
const responses = provider.classify(
  request('/v1/responses'),
  '{"model":"gpt-5","input":"x","stream":true}',
  QUARTER,
);

const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
const ending = fc.constantFrom('\n', '\r\n', '\r');

describe('reading server-sent events', () => {
  const read = (pieces: readonly string[]): [string, string][] => {
    const events: [string, string][] = [];
    let data = '';
    const reader = new EventReader({
      data: (piece) => {
        data += piece;
      },
      end: (name) => {
        events.push([name, data]);
        data = '';
      },
    });
    for (const piece of pieces) reader.write(piece);
    return events;
  };

  test('several data lines, comments, unknown fields, no space, a name', () => {
    const stream =
      ': hello\n\ndata: a\ndata:b\ndata\nid: 7\nretry: 3\n\nevent: x\ndata:  two\n\nevent: lost\n\ndatax: no\n\n';
    expect(read([stream])).toEqual([
      ['', 'a\nb\n'],
      ['x', ' two'],
    ]);
  });

  test('any chunking and any line ending tell the same', () => {
    const line = fc.string({ maxLength: 30 }).map((text) => text.replace(/[\r\n]/g, '.'));
    const event = fc.record({
      name: fc.constantFrom('', 'response.completed', 'error'),
      lines: fc.array(line, { minLength: 1, maxLength: 3 }),
      comment: fc.option(line),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), lengths, ending, (events, sizes, eol) => {
        let stream = '';
        for (const { name, lines: data, comment } of events) {
          if (comment !== null) stream += `:${comment}${eol}`;
          if (name !== '') stream += `event: ${name}${eol}`;
          for (const one of data) stream += `data: ${one}${eol}`;
          stream += eol;
        }
        const told = events.map(({ name, lines: data }) => [name, data.join('\n')]);
        expect(read(cut(stream, sizes))).toEqual(told);
      }),
      { numRuns: 500 },
    );
  });
});

describe('usage', () => {
  test('of a chat completion, wherever it stands and however it arrives', () => {
    const text = JSON.stringify({
      choices: [{ message: { content: '"usage":{"prompt_tokens":1} \\" {' } }],
      usage: USAGE,
      system_fingerprint: 'fp',
    });
    fc.assert(
      fc.property(lengths, fc.constantFrom(0, 2), (sizes, space) => {
        const sent = space === 0 ? text : JSON.stringify(JSON.parse(text), null, space);
        expect(tapped(provider, JSON_HEAD, chat, cut(sent, sizes))?.usage).toEqual(READ);
      }),
    );
  });

  test('of embeddings and Responses', () => {
    const embedding = '{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":5,"total_tokens":5}}';
    expect(tapped(provider, JSON_HEAD, chat, [embedding])?.usage).toEqual({
      inputTokens: 5,
      cachedTokens: 0,
      outputTokens: 0,
      reasoningTokens: 0,
    });
    const answer = JSON.stringify({
      tools: [{ parameters: { properties: { usage: { type: 'string' } } } }],
      usage: {
        input_tokens: 7,
        input_tokens_details: { cached_tokens: 1 },
        output_tokens: 8,
        output_tokens_details: { reasoning_tokens: 2 },
      },
    });
    expect(tapped(provider, JSON_HEAD, responses, [answer])?.usage).toEqual({
      inputTokens: 7,
      cachedTokens: 1,
      outputTokens: 8,
      reasoningTokens: 2,
    });
  });

  test('of a chat stream: the chunk that has it', () => {
    const stream =
      'data: {"choices":[{"delta":{"content":"hi"}}],"usage":null}\n\n' +
      `data: {"choices":[],"usage":${JSON.stringify(USAGE)}}\n\ndata: [DONE]\n\n`;
    fc.assert(
      fc.property(lengths, ending, (sizes, eol) => {
        const pieces = cut(stream.replaceAll('\n', eol), sizes);
        expect(tapped(provider, SSE_HEAD, chat, pieces)?.usage).toEqual(READ);
      }),
    );
  });

  test('of a Responses stream, also behind an output of megabytes', () => {
    const event = JSON.stringify({
      type: 'response.completed',
      response: {
        error: null,
        output: [{ type: 'image_generation_call', result: 'A'.repeat(3_000_000) }],
        usage: { input_tokens: 3, output_tokens: 4 },
        user: null,
      },
    });
    const stream = `event: response.output_text.delta\ndata: {"delta":"x"}\n\nevent: response.completed\ndata: ${event}\n\n`;
    expect(tapped(provider, SSE_HEAD, responses, cut(stream, [65_536]))?.usage).toMatchObject({
      inputTokens: 3,
      outputTokens: 4,
    });
  });

  test('says the tier that served it, the dearest where several are named', () => {
    const usage = { prompt_tokens: 9, completion_tokens: 3 };
    const factorOf = (answer: object, size: number): number | undefined => {
      const pieces = cut(JSON.stringify(answer), [size]);
      return tapped(provider, JSON_HEAD, chat, pieces)?.usage?.priceFactor;
    };
    for (const size of [1, 7, 1000]) {
      expect(factorOf({ usage }, size)).toBeUndefined();
      expect(factorOf({ service_tier: 'default', usage }, size)).toBe(1);
      expect(factorOf({ service_tier: 'flex', usage }, size)).toBe(0.5);
      expect(
        factorOf({ usage, service_tier: 'priority', metadata: { service_tier: 'flex' } }, size),
      ).toBe(2);
      expect(
        factorOf({ text: '"service_tier":"ultrafast"', service_tier: 'auto', usage }, size),
      ).toBeUndefined();
      expect(
        factorOf(
          { tools: { service_tier: { type: 'string' } }, service_tier: 'flex', usage },
          size,
        ),
      ).toBe(0.5);
    }
  });

  test('none is told where none is', () => {
    expect(tapped(provider, SSE_HEAD, chat, ['data: [DONE]\n\n'])?.usage).toBeNull();
    expect(tapped(provider, JSON_HEAD, chat, ['{"usage":null}'])?.usage).toBeNull();
    expect(tapped(provider, JSON_HEAD, chat, ['{"usage":{"prompt_tokens":'])?.usage).toBeNull();
    const listed = provider.classify(request('/v1/files'), undefined, QUARTER);
    expect(provider.responseTap(JSON_HEAD, listed)).toBeNull();
    expect(provider.responseTap(response(200, ['content-type', 'audio/mpeg']), chat)).toBeNull();
  });

  test('memory stays bounded on an object that never ends', () => {
    const seeker = new MemberSeeker('usage', () => true);
    seeker.write('{"usage":{');
    for (let i = 0; i < 2000; i++) seeker.write('"a":1,');
    expect(JSON.stringify(seeker).length).toBeLessThan(20_000);
    seeker.write('}} {"usage":{"late":1}}');
    expect(seeker.found).toEqual({ late: 1 });
  });
});

describe('errors inside a stream', () => {
  const message =
    'Rate limit reached for gpt-5 in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.';
  const failed = {
    type: 'response.failed',
    response: { instructions: 'x'.repeat(9000), error: { code: 'rate_limit_exceeded', message } },
  };
  test.each([
    ['response.failed', `event: response.failed\ndata: ${JSON.stringify(failed)}\n\n`],
    ['response.failed without a name', `data: ${JSON.stringify(failed)}\n\n`],
    [
      'error',
      `event: error\ndata: ${JSON.stringify({ type: 'error', code: 'rate_limit_exceeded', message })}\n\n`,
    ],
    [
      'error in a chat stream',
      `data: ${JSON.stringify({ error: { type: 'tokens', code: 'rate_limit_exceeded', message } })}\n\n`,
    ],
  ])('%s', (_name, stream) => {
    const result = tapped(provider, SSE_HEAD, responses, cut(stream, [100]));
    expect(throttles(result?.observations ?? [])).toEqual([
      {
        kind: 'throttled',
        class: 'primary',
        scope: 'pool',
        spec: responses.draws[1]?.spec,
        retryInMs: 2000,
        code: 'rate_limit_exceeded',
      },
    ]);
    expect(quotas(result?.observations ?? [])).toMatchObject([{ limit: 30_000, used: 29_000 }]);
  });

  test.each([
    'event: response.failed\ndata: {"response":{"error":{"code":"server_error","message":"x"}}}\n\n',
    'event: response.completed\ndata: {"response":{"output":[{"error":{"code":"rate_limit_exceeded"}}]}}\n\n',
    'data: {"type":"response.output_item.done","item":{"error":{"code":"rate_limit_exceeded"}}}\n\n',
    'data: {"choices":[{"delta":{"content":"\\"error\\":{\\"code\\":\\"rate_limit_exceeded\\"}"}}]}\n\n',
    'event: error\ndata: {not json\n\n',
  ])('no refusal of the provider: %s', (stream) => {
    expect(tapped(provider, SSE_HEAD, responses, [stream])?.observations).toEqual([]);
  });
});

describe('Realtime', () => {
  const head = request('/v1/realtime?model=gpt-realtime', { method: 'GET', upgrade: true });
  const claim = provider.classify(head, undefined, QUARTER);

  test('rate_limits.updated tells the quotas', () => {
    const tap = provider.messageTap?.(claim);
    const told = tap?.message(
      JSON.stringify({
        type: 'rate_limits.updated',
        rate_limits: [
          { name: 'requests', limit: 1000, remaining: 999, reset_seconds: 0.06 },
          { name: 'tokens', limit: 50_000, remaining: 49_950, reset_seconds: 0.06 },
          { name: 'odd', limit: 'x' },
        ],
      }),
    );
    expect(told?.observations).toMatchObject([
      { spec: claim.draws[0]?.spec, limit: 1000, remaining: 999, resetIn: 60, windowMs: 60_000 },
      { limit: 50_000, remaining: 49_950, resetIn: 60, windowMs: 60_000 },
      { kind: 'malformed', field: 'rate_limits.updated' },
    ]);
  });

  test('no other message is looked into', () => {
    const tap = provider.messageTap?.(claim);
    for (const text of [
      '{"type":"response.done"}',
      'rate_limits.updated',
      '',
      '"rate_limits.updated"',
    ]) {
      expect(tap?.message(text)).toBeNull();
    }
    expect(tap?.message('{"type":"rate_limits.updated"}')?.observations).toHaveLength(1);
    expect(provider.messageTap?.(chat)).toBeNull();
  });
});
