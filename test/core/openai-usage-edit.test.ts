import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createOpenai } from '../../providers/openai/index.ts';
import { UsageHider, askForUsage } from '../../providers/openai/usage-edit.ts';
import { QUARTER, cut, request, response } from './openai-world.ts';

const SSE_HEAD = response(200, ['content-type', 'text/event-stream']);
const STREAMING = '{"model":"gpt-4o","stream":true,"messages":[]}';

function hidden(pieces: readonly string[]): string {
  const hider = new UsageHider();
  return pieces.map((piece) => hider.write(piece)).join('') + hider.end();
}

describe('asking', () => {
  const provider = createOpenai({ includeUsage: true });
  const claimOf = (body: string, path = '/v1/chat/completions') =>
    provider.classify(request(path), body, QUARTER);

  test('only for a stream whose client did not ask, and only when configured', () => {
    const asks = (body: string, path?: string): boolean =>
      typeof provider.requestEdit?.(body, claimOf(body, path)) === 'string';
    expect(asks(STREAMING)).toBe(true);
    expect(asks('{"model":"m","messages":[]}')).toBe(false);
    expect(asks('{"stream":true,"stream_options":{"include_usage":true}}')).toBe(false);
    expect(asks('{"stream":true,"model":"m","input":"x"}', '/v1/responses')).toBe(false);
    const plain = createOpenai();
    const claim = plain.classify(request('/v1/chat/completions'), STREAMING, QUARTER);
    expect(plain.requestEdit?.(STREAMING, claim)).toBeNull();
    expect(plain.responseEdit?.(SSE_HEAD, claim)).toBeNull();
  });

  test('the answer is edited only where it was asked for', () => {
    const claim = claimOf(STREAMING);
    expect(provider.responseEdit?.(SSE_HEAD, claim)).toBeNull();
    provider.requestEdit?.(STREAMING, claim);
    expect(provider.responseEdit?.(SSE_HEAD, claim)).not.toBeNull();
    expect(
      provider.responseEdit?.(response(200, ['content-type', 'application/json']), claim),
    ).toBeNull();
    expect(provider.responseEdit?.(response(429), claim)).toBeNull();
  });

  test.each([
    ['{"stream":true}', '{"stream_options":{"include_usage":true},"stream":true}'],
    [' { "stream": true}', ' {"stream_options":{"include_usage":true}, "stream": true}'],
    [
      '{"stream":true,"stream_options":null,"n":1}',
      '{"stream":true,"stream_options":{"include_usage":true},"n":1}',
    ],
    [
      '{"stream_options":{"include_usage":false,"x":[1]},"stream":true}',
      '{"stream_options":{"include_usage":true,"x":[1]},"stream":true}',
    ],
    ['{"stream_options":{},"stream_options":{}}', null],
    ['{"stream_options":7}', null],
    ['{"stream":true', null],
  ])('%s', (body, edited) => expect(askForUsage(body)).toBe(edited));

  test('the rest of the body is untouched', () => {
    const rest = fc.dictionary(fc.stringMatching(/^[a-m]{1,5}$/), fc.jsonValue());
    fc.assert(
      fc.property(rest, (members) => {
        const body = JSON.stringify({ ...members, stream: true });
        const edited = askForUsage(body) ?? '';
        const meant = { ...members, stream: true, stream_options: { include_usage: true } };
        expect(JSON.parse(edited)).toEqual(JSON.parse(JSON.stringify(meant)));
      }),
    );
  });
});

describe('hiding', () => {
  const usage = '{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}';
  const chunk = '{"id":"c","choices":[{"delta":{"content":"\\"usage\\":null,"}}]';
  const asked =
    `: ping\n\ndata: ${chunk},"usage":null,"x":1}\n\nevent: e\ndata: {"usage": null, "choices":[]}\n\n` +
    `data: {"choices":[],"usage":${usage}}\n\ndata: [DONE]\n\n`;
  const unasked = `: ping\n\ndata: ${chunk},"x":1}\n\nevent: e\ndata: {"choices":[]}\n\ndata: [DONE]\n\n`;

  test('what is left is, byte for byte, what would have come unasked', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(lengths, fc.constantFrom('\n', '\r\n', '\r'), (sizes, eol) => {
        const pieces = cut(asked.replaceAll('\n', eol), sizes);
        expect(hidden(pieces)).toBe(unasked.replaceAll('\n', eol));
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ['data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}\n\n', 'a usage beside a choice'],
    ['data: {"choices":[],"prompt_filter_results":[]}\n\n', 'an empty chunk without usage'],
    ['data: not "usage" json\n\n', 'text'],
    ['event: x\nid: 1\n\n', 'no data'],
    ['data: cut off "usage":', 'a stream that breaks off'],
    ['\n\n\r\n\r\r\n', 'empty lines'],
  ])('%j stays: %s', (stream) => {
    expect(hidden([stream])).toBe(stream);
    expect(hidden(cut(stream, [1]))).toBe(stream);
  });

  test('any text without usage passes unchanged in any chunking', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '\n', '\r', 'data: ', '"', '{', ':') });
    const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 });
    fc.assert(
      fc.property(text, lengths, (stream, sizes) => {
        expect(hidden(cut(stream, sizes))).toBe(stream);
      }),
      { numRuns: 1000 },
    );
  });

  test('an event is passed on as soon as it is complete', () => {
    const hider = new UsageHider();
    expect(hider.write('data: a\n\ndata: b')).toBe('data: a\n\n');
    expect(hider.write('\r\n\r')).toBe('data: b\r\n\r');
    expect(hider.write('\ndata: c\n\n')).toBe('\ndata: c\n\n');
  });

  test('an event beyond all measure passes unread, and the next is read again', () => {
    const large = `data: ${'x'.repeat(400_000)}\n\n`;
    const last = `data: {"choices":[],"usage":${usage}}\n\n`;
    expect(hidden(cut(large + last + 'data: [DONE]\n\n', [70_001]))).toBe(
      `${large}data: [DONE]\n\n`,
    );
    const hider = new UsageHider();
    for (let i = 0; i < 10; i++) hider.write('y'.repeat(100_000));
    expect(hider.end().length).toBeLessThan(300_000);
  });
});
