/** A queue with a cap on what runs at once and a spacing between starts: what octokit uses of Bottleneck. */
import type { DurationMs, MonoMs } from '../../core/units.ts';
import type { Kernel } from '../kernel.ts';

interface Waiter {
  readonly weight: 0 | 1;
  readonly run: () => void;
}

/** Bottleneck 2.19.5, `LocalDatastore.__register__`: spacing holds for weightless entries too. */
export class Lane {
  private readonly kernel: Kernel;
  private readonly maxRunning: number;
  private readonly spacingMs: DurationMs;
  private readonly first: Waiter[] = [];
  private readonly others: Waiter[] = [];
  private running = 0;
  private nextAt: MonoMs = 0;

  constructor(kernel: Kernel, maxRunning: number, spacingMs: DurationMs) {
    this.kernel = kernel;
    this.maxRunning = maxRunning;
    this.spacingMs = spacingMs;
  }

  /**
   * Runs it when its turn comes, later. A retry goes before all others and takes no room.
   * `run` must call `leave` with the same flag when it is through.
   */
  enter(retry: boolean, run: () => void): void {
    (retry ? this.first : this.others).push({ weight: retry ? 0 : 1, run });
    this.drain();
  }

  leave(retry: boolean): void {
    if (!retry) this.running -= 1;
    this.drain();
  }

  private drain(): void {
    for (;;) {
      const line = this.first.length > 0 ? this.first : this.others;
      const next = line[0];
      if (next === undefined || this.running + next.weight > this.maxRunning) return;
      line.shift();
      this.running += next.weight;
      const now = this.kernel.elapsed;
      const at = Math.max(now, this.nextAt);
      this.nextAt = at + this.spacingMs;
      this.kernel.at(at, next.run);
    }
  }
}
