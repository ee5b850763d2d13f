import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Scheduler } from '../scheduler.ts';

/** A log smaller than this is left alone, and the worker is not even started. */
const WORTH_BYTES = 1 << 20;
const INTERVAL_MS = 500;
const STOP_WAIT_MS = 5_000;
/** Commits between looks at the log when the event loop has no turn for the timer. */
const LOOK_EVERY = 512;

export interface CheckpointerOptions {
  readonly path: string;
  readonly scheduler: Scheduler;
  /** Above this the writer itself finishes a checkpoint, so that the log can start over. */
  readonly capBytes: number;
  /** Copies what is left and cuts the log; on the writer's thread. Never throws. */
  readonly truncate: () => void;
}

/**
 * Keeps the write-ahead log short. While writes go on, a worker's PASSIVE checkpoints alone never
 * let the log start over (measured: 412 MB in 6 s); so above the cap the writer adds one of its
 * own right after the worker's, when little is left to copy.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #worker: Worker | null = null;
  /** Set to 1 by the worker when its connection is closed. */
  readonly #closed = new Int32Array(new SharedArrayBuffer(4));
  #broken = false;
  #running = false;
  #cancel: (() => void) | null = null;
  #peak = 0;
  #commits = 0;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
  }

  /** Largest size of the log seen, bytes. */
  get peakBytes(): number {
    return this.#peak;
  }

  /** Call after each commit. */
  wrote(): void {
    this.#commits += 1;
    if (this.#commits % LOOK_EVERY === 0) this.#enforceCap();
    this.#cancel ??= this.#options.scheduler.after(INTERVAL_MS, () => {
      this.#cancel = null;
      this.#tick();
    });
  }

  /**
   * Blocks until the worker has closed its connection. The last connection to close deletes the log
   * by its name: one that outlived a renaming of the file would delete its successor's. False when
   * the worker did not answer.
   */
  stop(): boolean {
    this.#cancel?.();
    this.#cancel = null;
    const worker = this.#worker;
    if (worker === null) return true;
    worker.postMessage('stop');
    if (Atomics.wait(this.#closed, 0, 0, STOP_WAIT_MS) === 'timed-out') return false;
    this.#worker = null;
    return true;
  }

  #tick(): void {
    const bytes = this.#logBytes();
    if (bytes < WORTH_BYTES) return;
    if (this.#broken) {
      this.#options.truncate();
    } else if (!this.#running) {
      this.#running = true;
      (this.#worker ??= this.#start()).postMessage('checkpoint');
    } else {
      this.#enforceCap();
    }
  }

  /** The worker does not keep up: then the writer waits for the disk. */
  #enforceCap(): void {
    if (this.#logBytes() > 4 * this.#options.capBytes) this.#options.truncate();
  }

  #start(): Worker {
    // Sources run unbuilt and built; the compiler does not rewrite names inside URLs.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./checkpoint-worker.${extension}`, import.meta.url), {
      workerData: { path: this.#options.path, closed: this.#closed },
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
      execArgv: [],
    });
    worker.unref();
    worker.on('message', () => {
      this.#running = false;
      if (worker === this.#worker && this.#logBytes() > this.#options.capBytes) {
        this.#options.truncate();
      }
    });
    worker.on('error', () => {
      this.#broken = true;
      this.#running = false;
      if (worker === this.#worker) this.#worker = null;
    });
    return worker;
  }

  #logBytes(): number {
    const bytes = statSync(`${this.#options.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    this.#peak = Math.max(this.#peak, bytes);
    return bytes;
  }
}
