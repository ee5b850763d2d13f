import type { Entry } from '../core/ledger/entry.ts';

type Listener = (entries: readonly Entry[]) => void;

/**
 * Tells listeners of each commit, in the order of commits: a listener that appends and flushes
 * makes the next commit, which is told when everyone has heard of this one.
 */
export class Announcer {
  readonly #listeners = new Set<Listener>();
  readonly #onFault: (error: unknown) => void;
  readonly #waiting: (readonly Entry[])[] = [];
  #busy = false;

  /** @param onFault is told what a listener threw; it does not reach whoever appended. */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
  }

  subscribe(listener: Listener): () => void {
    const own: Listener = (entries) => listener(entries);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  announce(entries: readonly Entry[]): void {
    if (this.#listeners.size === 0) return;
    this.#waiting.push(entries);
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      for (const listener of this.#listeners) this.#tell(listener, next);
    }
    this.#busy = false;
  }

  #tell(listener: Listener, entries: readonly Entry[]): void {
    try {
      listener(entries);
    } catch (error) {
      this.#onFault(error);
    }
  }
}
