import { afterEach, expect, test } from 'vitest';
import fc from 'fast-check';
import {
  brotliCompressSync,
  constants,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import type { TapResult } from '../../../src/core/provider.ts';
import { feedFor } from '../../../src/proxy/feed.ts';
import { anyCharacter } from '../../characters.ts';
import { client, eventually, origin, rig } from './rig.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

class Recorder {
  text = '';
  complete: boolean | null = null;
  write(text: string): void {
    this.text += text;
  }
  end(complete: boolean): TapResult {
    this.complete = complete;
    return {
      observations: [{ kind: 'malformed', field: 'x-odd' }],
      usage: { inputTokens: 1, cachedTokens: 0, outputTokens: 2, reasoningTokens: 0 },
    };
  }
}

const CODINGS: Readonly<Record<string, (text: Buffer) => Buffer>> = {
  '': (text) => text,
  gzip: gzipSync,
  deflate: deflateSync,
  // The best that it can do takes a second for what is large, and is read no differently.
  br: (text) => brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  zstd: zstdCompressSync,
};

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...cuts.map((cut) => cut % (bytes.length + 1)), 0, bytes.length].sort(
    (a, b) => a - b,
  );
  const parts: Buffer[] = [];
  for (let i = 1; i < at.length; i++) parts.push(bytes.subarray(at[i - 1], at[i]));
  return parts;
}

function fed(coding: string, parts: readonly Buffer[], complete = true): Promise<Recorder> {
  return new Promise((resolve) => {
    const recorder = new Recorder();
    const feed = feedFor(recorder, coding);
    for (const part of parts) feed.write(part);
    feed.end(complete, () => {
      resolve(recorder);
    });
  });
}

for (const [coding, encode] of Object.entries(CODINGS)) {
  test(`${coding || 'identity'} is read right however it is cut`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: anyCharacter, maxLength: 400 }),
        fc.array(fc.nat(2_000), { maxLength: 8 }),
        async (text, cuts) => {
          const bytes = Buffer.from(text, 'utf8');
          const recorder = await fed(coding, split(encode(bytes), cuts));
          expect(recorder.text).toBe(bytes.toString('utf8'));
          expect(recorder.complete).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test(`${coding || 'identity'}: large contents are read by a stream`, async () => {
    let text = '';
    for (let i = 0; text.length < 600_000; i++)
      text += `${String((i * 2_654_435_761) % 4_294_967_296)}é `;
    const coded = encode(Buffer.from(text));
    expect(coded.length).toBeGreaterThan(65_536);
    const parts: Buffer[] = [];
    for (let i = 0; i < coded.length; i += 1_500) parts.push(coded.subarray(i, i + 1_500));
    const recorder = await fed(coding, parts);
    expect(recorder.text === text).toBe(true);
    expect(recorder.complete).toBe(true);
  });
}

test('bare deflate is understood', async () => {
  const recorder = await fed('deflate', [deflateRawSync('hello')]);
  expect(recorder).toMatchObject({ text: 'hello', complete: true });
});

test('what swells beyond one go is left to the stream', async () => {
  const recorder = await fed('gzip', [gzipSync(Buffer.alloc(6_000_000, 97))]);
  expect(recorder.text.length).toBe(6_000_000);
  expect(recorder.complete).toBe(true);
});

test('a bomb is read up to the cap and no further', async () => {
  const bomb = gzipSync(Buffer.alloc(80 * 1_048_576, 97));
  const recorder = await fed('gzip', [bomb]);
  expect(recorder.complete).toBe(false);
  expect(recorder.text.length).toBeLessThan(33 * 1_048_576);
});

test('broken, truncated and unknown codings say so', async () => {
  const coded = gzipSync('hello world');
  expect((await fed('gzip', [coded.subarray(0, 15)])).complete).toBe(false);
  expect((await fed('gzip', [Buffer.from('not gzip at all')])).complete).toBe(false);
  expect((await fed('gzip', [coded], false)).complete).toBe(false);
  expect(await fed('rot13', [Buffer.from('uryyb')])).toMatchObject({ text: '', complete: false });
  expect((await fed('gzip, br', [coded])).complete).toBe(false);
});

test('what a tap tells is stepped between head and end, and the client gets the bytes', async () => {
  const coded = gzipSync('{"usage":{}}');
  const upstream = await origin((socket, text) => {
    if (!text.endsWith('\r\n\r\n')) return;
    socket.write('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (const byte of coded) socket.write(Buffer.from([0x31, 13, 10, byte, 13, 10]));
    socket.write('0\r\n\r\n');
  });
  const recorder = new Recorder();
  const proxy = await rig({ originPort: upstream.port, provider: { responseTap: () => recorder } });
  open.push(proxy, { close: () => upstream.server.close() });
  const one = client(proxy.port);
  open.push({ close: () => one.socket.destroy() });
  one.send('GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n');
  await one.until(/0\r\n\r\n$/);
  expect(proxy.engine.inputs.map((input) => input.type)).toEqual([
    'arrived',
    'head',
    'tapped',
    'ended',
  ]);
  expect(proxy.engine.tapped[0]?.usage?.outputTokens).toBe(2);
  expect(recorder).toMatchObject({ text: '{"usage":{}}', complete: true });
  expect(proxy.engine.tapped[0]?.observations).toContainEqual({
    kind: 'malformed',
    field: 'x-odd',
  });
  expect(proxy.engine.ended[0]?.bytesDown).toBe(coded.length);
});

test('a tap of a response that breaks off is told so', async () => {
  const upstream = await origin((socket, text) => {
    if (text.endsWith('\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
  });
  const recorder = new Recorder();
  const proxy = await rig({ originPort: upstream.port, provider: { responseTap: () => recorder } });
  open.push(proxy, { close: () => upstream.server.close() });
  const one = client(proxy.port);
  one.send('GET /fake/ HTTP/1.1\r\nHost: a\r\n\r\n');
  await one.closed();
  expect(recorder).toMatchObject({ text: 'abc', complete: false });
  expect(proxy.engine.inputs.map((input) => input.type)).toEqual([
    'arrived',
    'head',
    'tapped',
    'ended',
  ]);
});

test('an edited request is sent as edited, and its response edited back', async () => {
  const upstream = await origin((socket, text) => {
    if (!text.endsWith('"plus":1}')) return;
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nd\u00e9');
    setTimeout(() => socket.write('ata EXTRA'), 3);
  });
  const proxy = await rig({
    originPort: upstream.port,
    provider: {
      bodyNeeds: () => 'json',
      requestEdit: (body) => `${body.slice(0, -1)},"plus":1}`,
      responseEdit: () => ({
        write: (text) => text.replace('EXTRA', ''),
        end: () => '!',
      }),
    },
  });
  open.push(proxy, { close: () => upstream.server.close() });
  const one = client(proxy.port);
  open.push({ close: () => one.socket.destroy() });
  one.send(
    'POST /fake/ HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nContent-Length: 7\r\n\r\n{"a":1}',
  );
  await eventually(() => one.text().endsWith('0\r\n\r\n'));
  const text = one.text();
  expect(text).not.toMatch(/content-length/i);
  const content = one.bytes().toString('utf8').split('\r\n\r\n')[1] ?? '';
  expect(content.replace(/\r?\n?[0-9a-f]+\r\n/g, '')).toContain('dé');
  expect(text).not.toContain('EXTRA');
  expect(text).toContain('!');
  expect(upstream.text()).toMatch(/\r\ncontent-length: 16\r\n\r\n{"a":1,"plus":1}$/);
  expect(upstream.text()).toContain('Accept-Encoding: identity\r\n');
  expect(upstream.text()).not.toContain('gzip');
});

test('observing, nothing is edited', async () => {
  const upstream = await origin((socket, text) => {
    if (text.endsWith('{"a":1}')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const proxy = await rig({
    originPort: upstream.port,
    mode: 'observe',
    provider: { bodyNeeds: () => 'json', requestEdit: () => 'edited' },
  });
  open.push(proxy, { close: () => upstream.server.close() });
  const one = client(proxy.port);
  open.push({ close: () => one.socket.destroy() });
  one.send('POST /fake/ HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{"a":1}');
  await one.until(/ok$/);
  expect(upstream.text()).toContain('{"a":1}');
});
