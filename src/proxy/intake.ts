/** Reads a request's JSON before admission, up to a cap; beyond it the content is streamed instead. */
import type { IncomingMessage } from 'node:http';

export interface Intake {
  readonly chunks: readonly Buffer[];
  /** False when the cap was passed: `chunks` is a prefix, and the message is paused. */
  readonly complete: boolean;
}

/** Calls `done` once, unless the client leaves before. */
export function collect(
  req: IncomingMessage,
  capBytes: number,
  done: (intake: Intake) => void,
): void {
  const chunks: Buffer[] = [];
  let size = 0;
  const finish = (complete: boolean): void => {
    req.off('data', onData).off('end', onEnd);
    if (!complete) req.pause();
    done({ chunks, complete });
  };
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk);
    size += chunk.length;
    if (size > capBytes) finish(false);
  };
  const onEnd = (): void => {
    finish(true);
  };
  req.on('data', onData).on('end', onEnd);
}
