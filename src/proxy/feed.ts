/**
 * Feeds a response tap with text: content codings and UTF-8 are taken off a copy, in bounded memory,
 * while the bytes themselves go to the client as they came.
 */
import { StringDecoder } from 'node:string_decoder';
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from 'node:zlib';
import type { Transform } from 'node:stream';
import type { ResponseTap, TapResult } from '../core/provider.ts';

/** Text beyond this is not read any more. */
const MAX_TEXT_BYTES = 32 * 1_048_576;
/** Coded content up to this is decoded in one go at its end; beyond, by a stream. */
const AT_ONCE_BYTES = 65_536;
/** What that may swell to; more is left to the stream. */
const AT_ONCE_TEXT_BYTES = 4 * 1_048_576;
/** Coded bytes that may wait for the decoder before the tap is given up. */
const MAX_LAG_BYTES = 4 * 1_048_576;

interface Coding {
  atOnce(coded: Buffer, options: { maxOutputLength: number }): Buffer;
  stream(first: Buffer): Transform;
}

/** RFC 9110 section 8.4.1.2 means zlib's format, but some origins send bare deflate. */
function isZlib(first: Buffer): boolean {
  return ((first[0] ?? 0) & 0x0f) === 8;
}

const GZIP: Coding = { atOnce: gunzipSync, stream: () => createGunzip() };
const CODINGS: Readonly<Record<string, Coding>> = {
  gzip: GZIP,
  'x-gzip': GZIP,
  deflate: {
    atOnce: (coded, options) =>
      isZlib(coded) ? inflateSync(coded, options) : inflateRawSync(coded, options),
    stream: (first) => (isZlib(first) ? createInflate() : createInflateRaw()),
  },
  br: { atOnce: brotliDecompressSync, stream: () => createBrotliDecompress() },
  zstd: { atOnce: zstdDecompressSync, stream: () => createZstdDecompress() },
};

export type Told = (result: TapResult) => void;

export interface Feed {
  write(chunk: Buffer): void;
  /** Ends the tap; `told` is called once, mostly at once. `complete`: the content was whole. */
  end(complete: boolean, told: Told): void;
}

/** UTF-8 to the tap, up to the cap. */
class Text {
  private readonly tap: ResponseTap;
  private readonly decoder = new StringDecoder('utf8');
  private bytes = 0;

  constructor(tap: ResponseTap) {
    this.tap = tap;
  }

  write(chunk: Buffer): void {
    if (this.bytes > MAX_TEXT_BYTES) return;
    this.bytes += chunk.length;
    const text = this.decoder.write(chunk);
    if (text !== '') this.tap.write(text);
  }

  end(complete: boolean): TapResult {
    const rest = this.decoder.end();
    if (rest !== '') this.tap.write(rest);
    return this.tap.end(complete && this.bytes <= MAX_TEXT_BYTES);
  }
}

class PlainFeed implements Feed {
  private readonly text: Text;

  constructor(tap: ResponseTap) {
    this.text = new Text(tap);
  }

  write(chunk: Buffer): void {
    this.text.write(chunk);
  }

  end(complete: boolean, told: Told): void {
    told(this.text.end(complete));
  }
}

class CodedFeed implements Feed {
  private readonly text: Text;
  private readonly coding: Coding;
  private held: Buffer[] = [];
  private heldBytes = 0;
  private stream: Transform | null = null;
  private lagBytes = 0;
  private failed = false;
  private told: Told | null = null;

  constructor(tap: ResponseTap, coding: Coding) {
    this.text = new Text(tap);
    this.coding = coding;
  }

  write(chunk: Buffer): void {
    if (this.failed) return;
    if (this.stream !== null) {
      this.pass(this.stream, chunk);
      return;
    }
    this.held.push(chunk);
    this.heldBytes += chunk.length;
    if (this.heldBytes > AT_ONCE_BYTES) this.open();
  }

  end(complete: boolean, told: Told): void {
    if (this.failed || !complete) {
      this.stream?.destroy();
      this.failed = true;
      told(this.text.end(false));
      return;
    }
    if (this.stream === null && this.decodeAtOnce()) {
      told(this.text.end(!this.failed));
      return;
    }
    this.told = told;
    (this.stream ?? this.open()).end();
  }

  /** False when it swells beyond what may be done in one go. */
  private decodeAtOnce(): boolean {
    if (this.heldBytes === 0) return true;
    try {
      const coded = Buffer.concat(this.held);
      this.text.write(this.coding.atOnce(coded, { maxOutputLength: AT_ONCE_TEXT_BYTES }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return false;
      this.failed = true;
    }
    return true;
  }

  private open(): Transform {
    const stream = this.coding.stream(this.held[0] ?? Buffer.alloc(0));
    this.stream = stream;
    stream.on('data', (chunk: Buffer) => {
      if (!this.failed) this.text.write(chunk);
    });
    stream.once('end', () => {
      this.finish(true);
    });
    stream.once('error', () => {
      this.finish(false);
    });
    for (const chunk of this.held) this.pass(stream, chunk);
    this.held = [];
    return stream;
  }

  private pass(stream: Transform, chunk: Buffer): void {
    this.lagBytes += chunk.length;
    stream.write(chunk, () => {
      this.lagBytes -= chunk.length;
    });
    if (this.lagBytes > MAX_LAG_BYTES) {
      stream.destroy();
      this.finish(false);
    }
  }

  private finish(complete: boolean): void {
    if (!complete) this.failed = true;
    const { told } = this;
    this.told = null;
    told?.(this.text.end(complete && !this.failed));
  }
}

/** For a coding nobody here knows: the tap learns nothing and says so. */
class BlindFeed implements Feed {
  private readonly tap: ResponseTap;

  constructor(tap: ResponseTap) {
    this.tap = tap;
  }

  write(): void {
    // Nothing in it can be read.
  }

  end(_complete: boolean, told: Told): void {
    told(this.tap.end(false));
  }
}

/** @param contentEncoding lower case, `''` for identity */
export function feedFor(tap: ResponseTap, contentEncoding: string): Feed {
  if (contentEncoding === '') return new PlainFeed(tap);
  const coding = Object.hasOwn(CODINGS, contentEncoding) ? CODINGS[contentEncoding] : undefined;
  return coding === undefined ? new BlindFeed(tap) : new CodedFeed(tap, coding);
}
