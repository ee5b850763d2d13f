/** Reads a request's JSON before admission, up to a cap; beyond it the content is streamed instead. */
import type { IncomingMessage } from 'node:http';

export interface Intake {
  readonly chunks: readonly Buffer[];
  /** False when the cap was passed: `chunks` is a prefix, and the message is paused. */
  readonly complete: boolean;
}

/**
 * Calls `done` once, unless the client leaves before.
 * @param expected declared content length, or `null`; with the last byte of it the content is whole
 * @param patient false: only what comes with the head, and its rest is streamed
 */
export function collect(
  req: IncomingMessage,
  capBytes: number,
  expected: number | null,
  patient: boolean,
  done: (intake: Intake) => void,
): void {
  const chunks: Buffer[] = [];
  let size = 0;
  let finished = false;
  const finish = (complete: boolean): void => {
    if (finished) return;
    finished = true;
    req.off('data', onData).off('end', onEnd);
    if (!complete) req.pause();
    done({ chunks, complete });
  };
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk);
    size += chunk.length;
    if (size > capBytes) finish(false);
    else if (size === expected) finish(true);
  };
  const onEnd = (): void => {
    finish(true);
  };
  req.on('data', onData).on('end', onEnd);
  if (!patient) setImmediate(() => finish(false));
}
