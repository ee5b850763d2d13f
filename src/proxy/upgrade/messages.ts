/** Text messages of a WebSocket stream, whole, for a tap; nothing of the stream is held or changed. */
import { createInflater } from './deflate.ts';
import type { Inflater } from './deflate.ts';
import { createFrameReader } from './frames.ts';

export interface MessageReader {
  write(chunk: Buffer): void;
  /** Calls back, at once or soon, when what was written has been told. Then nothing more is told. */
  finish(done: () => void): void;
}

export interface MessageListener {
  text(message: string): void;
  /** A message (or all that follow, when `rest`) was not read, and why. */
  skipped(reason: string, rest: boolean): void;
}

/**
 * @param deflate whether permessage-deflate was agreed to
 * @param capBytes longest message (decompressed) that is read; longer ones are skipped
 */
export function createMessageReader(
  listener: MessageListener,
  deflate: boolean,
  capBytes: number,
): MessageReader {
  let pieces: Buffer[] = [];
  let size = 0;
  let wanted = false;
  let compressed = false;
  let finished = false;
  let inflater: Inflater | null = null;

  function tell(content: Buffer | null): void {
    if (finished) return;
    if (content === null) listener.skipped('a message is longer than is read', false);
    else listener.text(content.toString('utf8'));
  }
  function lost(reason: string): void {
    pieces = [];
    if (!finished) listener.skipped(reason, true);
    finished = true;
    inflater?.close();
  }

  const frames = createFrameReader(
    {
      begin(kind, isCompressed) {
        wanted = kind === 'text';
        compressed = isCompressed;
        pieces = [];
        size = 0;
        if (compressed) inflater ??= createInflater(capBytes, capBytes * 8, lost);
      },
      piece(bytes) {
        // A binary message is inflated too: later messages may refer back into it.
        if (compressed) return inflater?.write(bytes);
        if (!wanted) return;
        size += bytes.length;
        if (size <= capBytes) pieces.push(bytes);
        else pieces = [];
      },
      end() {
        if (compressed) {
          const text = wanted;
          inflater?.end((content) => {
            if (text) tell(content);
          });
        } else if (wanted) {
          tell(size > capBytes ? null : Buffer.concat(pieces, size));
        }
        pieces = [];
      },
      lost,
    },
    deflate,
  );

  return {
    write(chunk) {
      if (!finished) frames.write(chunk);
    },
    finish(done) {
      const over = (): void => {
        finished = true;
        inflater?.close();
        done();
      };
      if (finished || inflater === null) over();
      else inflater.drained(over);
    },
  };
}
