/** A request's content on its way to the origin: pulled, never piled up. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/**
 * Reads from the client only when the origin takes more. It stands between undici and the message,
 * because undici destroys the body it was given, and the message must live on to be read to its end.
 */
export class Upload extends Readable {
  /** Content bytes handed to undici. */
  sent = 0;
  private readonly req: IncomingMessage;
  private started = false;

  /** @param prefix what was read of the content before */
  constructor(req: IncomingMessage, prefix: readonly Buffer[]) {
    super({ highWaterMark: 65_536 });
    this.req = req;
    // undici stops listening when it is done with the request; what comes later concerns nobody.
    this.on('error', () => undefined);
    for (const chunk of prefix) this.give(chunk);
  }

  override _read(): void {
    if (!this.started) {
      this.started = true;
      this.req.on('data', this.onData).on('end', this.onEnd).on('close', this.onClose);
      if (this.req.readableEnded) this.push(null);
    }
    this.req.resume();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.req.off('data', this.onData).off('end', this.onEnd).off('close', this.onClose);
    callback(error);
  }

  private give(chunk: Buffer): boolean {
    this.sent += chunk.length;
    return this.push(chunk);
  }

  private readonly onData = (chunk: Buffer): void => {
    if (!this.give(chunk)) this.req.pause();
  };

  private readonly onEnd = (): void => {
    this.push(null);
  };

  private readonly onClose = (): void => {
    if (!this.req.readableEnded) this.destroy(new Error('the client left'));
  };
}
