import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHARGES } from '../../providers/openai/fixtures.ts';
import { createOpenai } from '../../providers/openai/index.ts';
import { readRequestBody } from '../../providers/openai/request-body.ts';
import { QUARTER, chatClaim, drawn, request } from './openai-world.ts';

const provider = createOpenai();

describe('endpoints', () => {
  test.each([
    ['/v1/chat/completions', 'chat', ['requests', 'tokens']],
    ['/v1/completions?x=1', 'completions', ['requests', 'tokens']],
    ['/v1/responses', 'responses', ['requests', 'tokens']],
    ['/v1/embeddings', 'embeddings', ['requests', 'tokens']],
    ['/v1/audio/transcriptions', 'audio', ['requests']],
    ['/v1/audio/speech', 'audio', ['requests']],
    ['/v1/images/generations', 'images', []],
    ['/v1/moderations', 'moderations', []],
    ['/v1/responses/input_tokens', 'responses', []],
    ['/v1/batches', 'batches', []],
    ['/anything', 'other', []],
  ])('POST %s', (path, endpoint, pools) => {
    const claim = provider.classify(request(path), '{"model":"m"}', QUARTER);
    expect([claim.endpoint, claim.draws.map((draw) => draw.spec.name)]).toEqual([endpoint, pools]);
  });

  test('what is not posted draws nothing and its body is not asked for', () => {
    const list = request('/v1/models', { method: 'GET', contentLength: 0 });
    expect(provider.classify(list, undefined, QUARTER)).toMatchObject({
      endpoint: 'models',
      draws: [],
      scope: 'sentinel:unknown',
    });
    expect(provider.bodyNeeds(list)).toBe('none');
    expect(provider.bodyNeeds(request('/v1/chat/completions'))).toBe('json');
    const upload = request('/v1/audio/transcriptions', {
      fields: ['content-type', 'multipart/form-data; boundary=x'],
    });
    expect(provider.bodyNeeds(upload)).toBe('none');
    const packed = request('/v1/responses', { fields: ['Content-Encoding', 'gzip'] });
    expect(provider.bodyNeeds(packed)).toBe('none');
  });

  test('the sample stands for a chat with the model asked about', () => {
    const { method, path, body } = provider.sample?.('model:gpt-4o') ?? { path: '' };
    const claim = provider.classify(request(path, { method: method ?? '' }), body, QUARTER);
    expect(claim).toMatchObject({ endpoint: 'chat', model: 'gpt-4o' });
    expect(drawn(claim)['requests']).toBe(1);
  });

  test('a Realtime handshake is held back only by what is known of its model', () => {
    const head = request('/v1/realtime?model=gpt-realtime', { method: 'GET', upgrade: true });
    const claim = provider.classify(head, undefined, QUARTER);
    expect(claim).toMatchObject({ endpoint: 'realtime', scope: 'model:gpt-realtime' });
    expect(claim.draws).toMatchObject([{ units: 1, ifKnown: true }]);
  });

  test('credentials are pointed at, never read', () => {
    expect(provider.credential(request('/'))).toEqual({
      in: 'field',
      name: 'authorization',
      scheme: 'any',
    });
    const browser = request('/v1/realtime', {
      upgrade: true,
      fields: ['Sec-WebSocket-Protocol', 'realtime, openai-insecure-api-key.sk-1'],
    });
    expect(provider.credential(browser)).toMatchObject({ name: 'sec-websocket-protocol' });
    expect(provider.credential(request('/', { fields: [] }))).toBeNull();
  });
});

describe('the charge', () => {
  test.each(CHARGES)('max_tokens $maxTokens, n $n', ({ maxTokens, n, charged }) => {
    const claim = chatClaim(provider, {
      ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
      ...(n === 1 ? {} : { n }),
    });
    expect(drawn(claim)['requests']).toBe(1);
    const tokens = drawn(claim)['tokens'] ?? 0;
    expect(tokens).toBeGreaterThanOrEqual(charged);
    expect(tokens).toBeLessThanOrEqual(charged + 4);
    expect(claim.draws[1]?.sure).toBe(false);
  });

  test('every name of the output cap counts, once per choice', () => {
    const of = (more: object): number => drawn(chatClaim(provider, { ...more }))['tokens'] ?? 0;
    const none = of({ max_tokens: 0 });
    expect(of({ max_completion_tokens: 100 }) - none).toBe(100);
    expect(of({ max_output_tokens: 100 }) - none).toBe(100);
    expect(of({ max_tokens: 100, n: 3 }) - none).toBe(300);
    expect(of({ max_tokens: 'many' })).toBe(of({}));
  });

  test('the ratio learned for the model is used, and bytes rather than characters', () => {
    const text = 'ж'.repeat(400);
    const body = JSON.stringify({ model: 'm', input: text });
    const head = request('/v1/embeddings', { contentLength: body.length + 400 });
    const claim = provider.classify(head, body, {
      tokensPerByte: (id, model) => (id === 'openai' && model === 'm' ? 0.5 : 9),
    });
    expect(claim.inputBytes).toBeGreaterThan(700);
    expect(drawn(claim)['tokens']).toBe(Math.ceil(claim.inputBytes * 0.5) + 3);
    expect(claim.estimate?.outputTokens).toBe(0);
  });

  test('token ids are counted, files are not, images have a price', () => {
    const ids = JSON.stringify({ model: 'm', input: [[1, 22, 333], [4444]] });
    const embedded = provider.classify(request('/v1/embeddings'), ids, QUARTER);
    expect(drawn(embedded)['tokens']).toBe(4 + 3);
    const image = `data:image/png;base64,${'A'.repeat(400_000)}`;
    const seen = chatClaim(provider, {
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: image } }] }],
    });
    expect(drawn(seen)['tokens']).toBeGreaterThan(700);
    expect(drawn(seen)['tokens']).toBeLessThan(900);
    expect(seen.inputBytes).toBe(0);
  });

  test('a body that was not read is guessed by its length, within reason', () => {
    const guess = (contentLength: number | null): number =>
      drawn(provider.classify(request('/v1/responses', { contentLength }), undefined, QUARTER))[
        'tokens'
      ] ?? 0;
    expect(guess(4000)).toBe(1000 + 3 + 16);
    expect(guess(500_000_000)).toBeLessThan(20_000);
    expect(guess(null)).toBeGreaterThan(0);
  });

  test('state kept at the provider does not teach the ratio', () => {
    const body = '{"model":"m","input":"go on","previous_response_id":"resp_1"}';
    expect(provider.classify(request('/v1/responses'), body, QUARTER).inputBytes).toBe(0);
  });
});

describe('reading a request', () => {
  test('only top-level members count, whatever the content looks like', () => {
    const facts = readRequestBody(
      JSON.stringify({
        messages: [{ content: '","model":"evil","max_tokens":1,"\\', model: 'nested' }],
        metadata: { model: 'nested', n: 9 },
        model: 'real',
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    expect(facts).toMatchObject({ model: 'real', choices: 1, stream: true, usageAsked: true });
    expect(facts.maxTokens).toBeNull();
  });

  const said = (content: unknown): object => ({ messages: [{ role: 'user', content }] });
  test.each([
    ['a file', { input: [{ content: [{ type: 'input_file', file_id: 'file-1' }] }] }],
    ['a file in a chat', said([{ type: 'file', file: { file_id: 'file-1' } }])],
    ['an item of an earlier answer', { input: [{ type: 'item_reference', id: 'msg_1' }] }],
    ['a search', { input: 'x', tools: [{ type: 'web_search_preview' }] }],
    ['a remote tool', { input: 'x', tools: [{ type: 'mcp', server_url: 'https://x.test' }] }],
  ])('%s weighs more than its bytes show', (_what, body) => {
    const text = JSON.stringify({ model: 'gpt-4o', ...body });
    const { bounds } = provider.classify(request('/v1/responses'), text, QUARTER);
    expect(bounds).toBeDefined();
    expect(bounds?.inputTokens).toBeUndefined();
  });

  test('functions of the client, and words that are none of that, do not', () => {
    const tools = [{ type: 'function', name: 'f', parameters: { type: 'object' } }];
    const text = JSON.stringify({ model: 'gpt-4o', tools, ...said('"type":"mcp", input_file') });
    const { bounds } = provider.classify(request('/v1/chat/completions'), text, QUARTER);
    expect(bounds?.inputTokens).toBeGreaterThan(0);
  });

  test('agrees with JSON.parse on every object', () => {
    const content = fc.oneof(fc.string(), fc.constantFrom('"', '\\', '\\"', '{"model":"x"}', '],'));
    const body = fc.record(
      {
        a: fc.jsonValue(),
        messages: fc.array(fc.record({ role: content, content })),
        model: fc.stringMatching(/^[a-z0-9.-]{1,20}$/),
        max_tokens: fc.nat(1_000_000),
        n: fc.integer({ min: 1, max: 9 }),
        stream: fc.boolean(),
        stream_options: fc.record({ include_usage: fc.boolean(), other: fc.jsonValue() }),
        z: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(body, fc.constantFrom(undefined, 2, '\t'), (value, space) => {
        const facts = readRequestBody(JSON.stringify(value, null, space));
        expect(facts.model).toBe(value.model ?? '');
        expect(facts.maxTokens).toBe(value.max_tokens ?? null);
        expect(facts.choices).toBe(value.n ?? 1);
        expect(facts.stream).toBe(value.stream ?? false);
        expect(facts.usageAsked).toBe(value.stream_options?.include_usage ?? false);
      }),
      { numRuns: 500 },
    );
  });

  test('anything at all is survived', () => {
    const text = fc.oneof(
      fc.string(),
      fc.json().chain((json) => fc.nat(json.length).map((at) => json.slice(0, at))),
      fc.constantFrom('{', '{"', '{"a', '{"a":', '{"a":"\\', '{"model":{', '[]', '{"n":1e999}'),
    );
    fc.assert(
      fc.property(text, (body) => {
        const claim = provider.classify(request('/v1/chat/completions'), body, QUARTER);
        for (const draw of claim.draws) expect(Number.isSafeInteger(draw.units)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
