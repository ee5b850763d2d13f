import { constants, createDeflateRaw, deflateRawSync } from 'node:zlib';
import type { DeflateRaw } from 'node:zlib';
import { expect, test } from 'vitest';
import { compressionOf } from '../../src/proxy/upgrade/deflate.ts';
import { createMessageReader } from '../../src/proxy/upgrade/messages.ts';
import type { MessageReader } from '../../src/proxy/upgrade/messages.ts';

function frame(payload: Buffer, compressed: boolean, opcode = 1): Buffer {
  const head = Buffer.alloc(10);
  head[0] = 0x80 | (compressed ? 0x40 : 0) | opcode;
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

/** One message as RFC 7692 section 7.2.1 has it, sharing the window of those before. */
function compress(deflate: DeflateRaw, text: string | Buffer): Promise<Buffer> {
  const out: Buffer[] = [];
  return new Promise((resolve) => {
    const keep = (chunk: Buffer): void => void out.push(chunk);
    deflate.on('data', keep);
    deflate.write(text);
    deflate.flush(constants.Z_SYNC_FLUSH, () => {
      deflate.off('data', keep);
      resolve(Buffer.concat(out).subarray(0, -4));
    });
  });
}

interface Seen {
  readonly reader: MessageReader;
  readonly texts: string[];
  readonly skipped: [string, boolean][];
  finished(): Promise<void>;
}

function open(deflate: boolean, cap = 1_000): Seen {
  const texts: string[] = [];
  const skipped: [string, boolean][] = [];
  const reader = createMessageReader(
    {
      text: (message) => texts.push(message),
      skipped: (reason, rest) => skipped.push([reason, rest]),
    },
    deflate,
    cap,
  );
  const finished = (): Promise<void> => new Promise((resolve) => reader.finish(resolve));
  return { reader, texts, skipped, finished };
}

test('text is told, binary is not, and what is too long is skipped alone', async () => {
  const { reader, texts, skipped, finished } = open(false);
  reader.write(frame(Buffer.from('one'), false));
  reader.write(frame(Buffer.from('binary'), false, 2));
  reader.write(frame(Buffer.alloc(1_001, 0x61), false));
  reader.write(frame(Buffer.from('zwölf'), false));
  await finished();
  expect(texts).toEqual(['one', 'zwölf']);
  expect(skipped).toEqual([['a message is longer than is read', false]]);
});

test.each([true, false])('compressed messages are told (fresh windows: %s)', async (fresh) => {
  const { reader, texts, skipped, finished } = open(true);
  const shared = createDeflateRaw();
  const sent = [
    'a message that repeats',
    'a message that repeats',
    'a message that repeats itself',
  ];
  for (const [i, text] of sent.entries()) {
    const bytes = await compress(fresh ? createDeflateRaw() : shared, text);
    reader.write(frame(bytes, true));
    // An uncompressed one in between is allowed (RFC 7692 section 6).
    if (i === 0) reader.write(frame(Buffer.from('plain'), false));
  }
  await finished();
  expect(texts.filter((text) => text !== 'plain')).toEqual(sent);
  expect(texts).toContain('plain');
  expect(skipped).toEqual([]);
});

test('a compressed binary message keeps the window for the text after it', async () => {
  const { reader, texts, finished } = open(true);
  const shared = createDeflateRaw();
  const phrase = 'the same words again and again, the same words again and again';
  reader.write(frame(await compress(shared, phrase), true, 2));
  reader.write(frame(await compress(shared, phrase), true));
  await finished();
  expect(texts).toEqual([phrase]);
});

test('what swells beyond the cap is skipped, and the next message is read', async () => {
  const { reader, texts, skipped, finished } = open(true);
  const shared = createDeflateRaw();
  reader.write(frame(await compress(shared, Buffer.alloc(1_000_000)), true));
  reader.write(frame(await compress(shared, 'after'), true));
  await finished();
  expect(skipped).toEqual([['a message is longer than is read', false]]);
  expect(texts).toEqual(['after']);
});

test('corrupt compression ends the reading once, and finishing does not hang', async () => {
  const { reader, texts, skipped, finished } = open(true);
  reader.write(frame(Buffer.from('ffffffffffff', 'hex'), true));
  await finished();
  reader.write(frame(Buffer.from('later'), false));
  expect(skipped).toEqual([['a compressed message is corrupt', true]]);
  expect(texts).toEqual([]);
});

test('more compressed bytes than may wait end the reading', () => {
  const { reader, skipped } = open(true, 1_000);
  reader.write(frame(Buffer.alloc(9_000), true));
  expect(skipped).toEqual([['compressed messages arrive faster than they can be read', true]]);
});

test('a final block ends the reading, visibly', async () => {
  const { reader, skipped, finished } = open(true);
  // RFC 7692 section 7.2.3.4
  reader.write(frame(Buffer.concat([deflateRawSync('last'), Buffer.from([0])]), true));
  await finished();
  expect(skipped).toEqual([['a compressed message ends its stream', true]]);
});

test.each([
  [[], 'none'],
  [['Sec-WebSocket-Extensions', 'permessage-deflate'], 'deflate'],
  [['sec-websocket-extensions', 'Permessage-Deflate; server_no_context_takeover'], 'deflate'],
  [['Sec-WebSocket-Extensions', 'permessage-deflate; server_max_window_bits=10'], 'deflate'],
  [['Sec-WebSocket-Extensions', 'x-other'], 'unknown'],
  [['Sec-WebSocket-Extensions', 'permessage-deflate, x-other'], 'unknown'],
  [['Sec-WebSocket-Extensions', 'permessage-deflate', 'Sec-WebSocket-Extensions', 'x'], 'unknown'],
])('%j agrees to %s', (fields, compression) => {
  expect(compressionOf(fields)).toBe(compression);
});
