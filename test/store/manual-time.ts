import type { Clock } from '../../src/core/ports.ts';
import type { Instant } from '../../src/core/units.ts';
import type { Scheduler } from '../../src/store/scheduler.ts';

/** A clock and timers that move only when told to. */
export class ManualTime implements Clock, Scheduler {
  wall: number;
  mono = 0;
  #timers: { readonly due: number; readonly run: () => void }[] = [];

  constructor(wall = Date.UTC(2026, 10, 21, 12)) {
    this.wall = wall;
  }

  now(): Instant {
    return { wall: this.wall, mono: this.mono };
  }

  after(ms: number, run: () => void): () => void {
    const timer = { due: this.mono + ms, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    const until = this.mono + ms;
    for (;;) {
      this.#timers.sort((a, b) => a.due - b.due);
      const next = this.#timers[0];
      if (next === undefined || next.due > until) break;
      this.#timers.shift();
      this.#to(next.due);
      next.run();
    }
    this.#to(until);
  }

  /** Not back, when what ran moved the time itself. */
  #to(mono: number): void {
    if (mono <= this.mono) return;
    this.wall += mono - this.mono;
    this.mono = mono;
  }
}
