/** An answer that nobody wants: read to its end while that is cheaper than another connection. */

/** Content up to this is read; above, the connection is closed. */
const MAX_BYTES = 65_536;
/** And no longer than this. */
const MAX_MS = 5_000;

export class Dropped {
  private bytes = 0;
  private readonly abort: () => void;
  private timer: NodeJS.Timeout | null = null;

  constructor(abort: () => void) {
    this.abort = abort;
  }

  /**
   * Aborting may call back at once, so whoever does it must know of this object by then.
   * @param length declared content length in bytes, or -1
   */
  begin(length: number): void {
    if (length > MAX_BYTES) this.abort();
    else this.timer = setTimeout(this.abort, MAX_MS).unref();
  }

  data(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes > MAX_BYTES) this.abort();
  }

  /** It came to its end, or the connection did. */
  over(): void {
    if (this.timer !== null) clearTimeout(this.timer);
  }
}
