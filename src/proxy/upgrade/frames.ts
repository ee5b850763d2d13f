/**
 * Reads WebSocket frames (RFC 6455 section 5) from a stream that belongs to somebody else: it only
 * looks, keeps no bytes, and gives up for good on the first thing it does not understand.
 */

/** Told what is in the stream, in order. */
export interface FrameSink {
  /** A data message begins; `compressed` is its RSV1 bit (RFC 7692 section 6). */
  begin(kind: 'text' | 'binary', compressed: boolean): void;
  /** Some unmasked payload of the message that has begun; never empty. Must not be altered. */
  piece(bytes: Buffer): void;
  /** The message is complete. */
  end(): void;
  /** Nothing more will be told: the stream is not one this reader understands. */
  lost(reason: string): void;
}

export interface FrameReader {
  write(chunk: Buffer): void;
}

const CONTINUATION = 0x0;
const TEXT = 0x1;
const BINARY = 0x2;
const FIRST_CONTROL = 0x8;

/** @param deflate whether permessage-deflate was negotiated, so that RSV1 has a meaning. */
export function createFrameReader(sink: FrameSink, deflate: boolean): FrameReader {
  const header = Buffer.alloc(14);
  let have = 0;
  /** Header bytes the current frame needs, known better as they arrive. */
  let need = 2;
  let payloadLeft = 0;
  let inPayload = false;
  let final = false;
  let control = false;
  let masked = false;
  let maskAt = 0;
  let inMessage = false;
  let dead = false;

  function lose(reason: string): void {
    dead = true;
    sink.lost(reason);
  }

  function headerLength(): number {
    const length = (header[1] as number) & 0x7f;
    const extended = length === 127 ? 8 : length === 126 ? 2 : 0;
    return 2 + extended + ((header[1] as number) & 0x80 ? 4 : 0);
  }

  function openFrame(): void {
    const first = header[0] as number;
    const second = header[1] as number;
    const opcode = first & 0x0f;
    final = (first & 0x80) !== 0;
    control = opcode >= FIRST_CONTROL;
    masked = (second & 0x80) !== 0;
    maskAt = 0;
    const short = second & 0x7f;
    payloadLeft =
      short === 127
        ? Number(header.readBigUInt64BE(2))
        : short === 126
          ? header.readUInt16BE(2)
          : short;
    const problem = faultOf(first, opcode, short);
    if (problem !== null) return lose(problem);
    if (opcode === TEXT || opcode === BINARY) {
      inMessage = true;
      sink.begin(opcode === TEXT ? 'text' : 'binary', (first & 0x40) !== 0);
    }
    inPayload = true;
    if (payloadLeft === 0) closeFrame();
  }

  function faultOf(first: number, opcode: number, short: number): string | null {
    if ((first & 0x30) !== 0) return 'an unknown extension is in use';
    if ((first & 0x40) !== 0 && (!deflate || control || opcode === CONTINUATION)) {
      return 'a frame is marked as compressed where none may be';
    }
    if (!Number.isSafeInteger(payloadLeft)) return 'a frame is longer than can be counted';
    if (control) {
      return opcode > 0xa || !final || short > 125 ? 'a control frame is malformed' : null;
    }
    if (opcode > BINARY) return 'a frame has a reserved opcode';
    if ((opcode === CONTINUATION) !== inMessage) return 'fragments are out of order';
    return null;
  }

  function closeFrame(): void {
    inPayload = false;
    have = 0;
    need = 2;
    if (control || !final) return;
    inMessage = false;
    sink.end();
  }

  /** @returns how many bytes of `chunk` from `at` belonged to the payload. */
  function readPayload(chunk: Buffer, at: number): number {
    const take = Math.min(payloadLeft, chunk.length - at);
    if (!control) {
      const bytes = chunk.subarray(at, at + take);
      sink.piece(masked ? unmask(bytes) : bytes);
    }
    payloadLeft -= take;
    if (payloadLeft === 0) closeFrame();
    return take;
  }

  function unmask(bytes: Buffer): Buffer {
    const key = need - 4;
    const plain = Buffer.allocUnsafe(bytes.length);
    for (let i = 0; i < bytes.length; i++) {
      plain[i] = (bytes[i] as number) ^ (header[key + ((maskAt + i) & 3)] as number);
    }
    maskAt += bytes.length;
    return plain;
  }

  return {
    write(chunk) {
      let at = 0;
      while (at < chunk.length && !dead) {
        if (inPayload) {
          at += readPayload(chunk, at);
          continue;
        }
        header[have++] = chunk[at++] as number;
        if (have === 2) need = headerLength();
        if (have >= 2 && have === need) openFrame();
      }
    },
  };
}
