import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFrameReader } from '../../src/proxy/upgrade/frames.ts';

interface Frame {
  readonly opcode: number;
  readonly fin: boolean;
  readonly payload: Buffer;
  readonly mask?: Buffer;
  readonly rsv?: number;
  /** Forces the 64-bit form. */
  readonly long?: boolean;
}

function encode({ opcode, fin, payload, mask, rsv = 0, long = false }: Frame): Buffer {
  const { length } = payload;
  const short = long || length > 65_535 ? 127 : length > 125 ? 126 : length;
  const head = Buffer.alloc(2 + (short === 127 ? 8 : short === 126 ? 2 : 0));
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (mask === undefined ? 0 : 0x80) | short;
  if (short === 126) head.writeUInt16BE(length, 2);
  if (short === 127) head.writeBigUInt64BE(BigInt(length), 2);
  if (mask === undefined) return Buffer.concat([head, payload]);
  const masked = Buffer.from(payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0)));
  return Buffer.concat([head, mask, masked]);
}

/** What a reader says of a stream that comes in pieces of the given sizes. */
function read(stream: Buffer, sizes: readonly number[], deflate = false): string[] {
  const told: string[] = [];
  let pieces: Buffer[] = [];
  const reader = createFrameReader(
    {
      begin: (kind, compressed) => told.push(`${kind}${compressed ? ' compressed' : ''}`),
      piece: (bytes) => pieces.push(Buffer.from(bytes)),
      end: () => {
        told.push(Buffer.concat(pieces).toString('hex'));
        pieces = [];
      },
      lost: (reason) => told.push(`lost: ${reason}`),
    },
    deflate,
  );
  let at = 0;
  for (let i = 0; at < stream.length; i++) {
    const size = sizes.length === 0 ? stream.length : (sizes[i % sizes.length] ?? 1);
    reader.write(stream.subarray(at, at + size));
    at += size;
  }
  return told;
}

const bytes = (max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
const mask = fc.option(
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((array) => Buffer.from(array)),
  { nil: undefined },
);
const message = fc.record({
  text: fc.boolean(),
  fragments: fc.array(bytes(300), { minLength: 1, maxLength: 4 }),
  ping: fc.option(bytes(125), { nil: undefined }),
  mask,
  long: fc.boolean(),
});

test('any messages, however framed, masked and cut, are read as they were sent', () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 6 }),
      (messages, sizes) => {
        const frames: Buffer[] = [];
        const expected: string[] = [];
        for (const one of messages) {
          const masked = one.mask === undefined ? {} : { mask: one.mask };
          expected.push(one.text ? 'text' : 'binary', Buffer.concat(one.fragments).toString('hex'));
          one.fragments.forEach((payload, i) => {
            const opcode = i > 0 ? 0 : one.text ? 1 : 2;
            const fin = i === one.fragments.length - 1;
            frames.push(encode({ opcode, fin, payload, long: one.long, ...masked }));
            // Control frames may stand between fragments.
            if (one.ping === undefined) return;
            frames.push(encode({ opcode: 9, fin: true, payload: one.ping, ...masked }));
          });
        }
        expect(read(Buffer.concat(frames), sizes)).toEqual(expected);
      },
    ),
    { numRuns: 150 },
  );
});

test('16-bit and 64-bit lengths', () => {
  for (const length of [125, 126, 65_535, 65_536, 70_000]) {
    const payload = Buffer.alloc(length, 0x61);
    const stream = encode({ opcode: 1, fin: true, payload });
    expect(read(stream, [])).toEqual(['text', payload.toString('hex')]);
  }
});

const empty = Buffer.alloc(0);
const small = Buffer.from('x');
test.each([
  ['a reserved opcode', [{ opcode: 3, fin: true, payload: empty }]],
  ['a reserved control opcode', [{ opcode: 11, fin: true, payload: empty }]],
  ['a fragmented control frame', [{ opcode: 9, fin: false, payload: empty }]],
  ['a long control frame', [{ opcode: 9, fin: true, payload: Buffer.alloc(126) }]],
  ['a continuation of nothing', [{ opcode: 0, fin: true, payload: small }]],
  [
    'a message inside a message',
    [
      { opcode: 1, fin: false, payload: small },
      { opcode: 1, fin: true, payload: small },
    ],
  ],
  ['RSV1 without compression', [{ opcode: 1, fin: true, payload: small, rsv: 4 }]],
  ['RSV2', [{ opcode: 1, fin: true, payload: small, rsv: 2 }]],
])('%s ends the reading, and nothing after it is told', (_name, frames) => {
  const after = encode({ opcode: 1, fin: true, payload: Buffer.from('after') });
  const told = read(Buffer.concat([...frames.map(encode), after]), []);
  expect(told.at(-1)).toMatch(/^lost: /);
  expect(told.filter((one) => one.startsWith('lost'))).toHaveLength(1);
  expect(told).not.toContain(Buffer.from('after').toString('hex'));
});

test('a length beyond what can be counted ends the reading', () => {
  expect(read(Buffer.from('817fffffffffffffffff', 'hex'), [])).toEqual([
    'lost: a frame is longer than can be counted',
  ]);
});

test('RSV1 marks a message as compressed where that was negotiated', () => {
  const stream = encode({ opcode: 1, fin: true, payload: small, rsv: 4 });
  expect(read(stream, [], true)).toEqual(['text compressed', '78']);
});
