/**
 * Virtual time. Events run in order of their time, then of their making; nothing else moves the
 * clock, so the same seed gives the same run, byte for byte.
 */
import { Heap } from '../core/governor/heap.ts';
import type { Clock } from '../core/ports.ts';
import type { DurationMs, EpochMs, Instant, MonoMs } from '../core/units.ts';

interface Scheduled {
  readonly at: MonoMs;
  readonly order: number;
  run: (() => void) | null;
}

export class Kernel implements Clock {
  /** Wall clock at the start of every run, unless it says otherwise: 2026-01-05T00:00:00Z, a Monday. */
  static readonly EPOCH: EpochMs = Date.UTC(2026, 0, 5);

  private readonly heap = new Heap<Scheduled>((a, b) =>
    a.at !== b.at ? a.at < b.at : a.order < b.order,
  );
  private readonly wallAtStart: EpochMs;
  private mono: MonoMs = 0;
  private made = 0;

  constructor(wallAtStart: EpochMs = Kernel.EPOCH) {
    this.wallAtStart = wallAtStart;
  }

  /** Wall time is whole milliseconds, as `Date.now()` is. */
  now(): Instant {
    return { wall: Math.floor(this.wallAtStart + this.mono), mono: this.mono };
  }

  /** Milliseconds since the run began. */
  get elapsed(): MonoMs {
    return this.mono;
  }

  /** Runs it at that moment, or now when that has passed. Returns what cancels it. */
  at(when: MonoMs, run: () => void): () => void {
    const event: Scheduled = { at: Math.max(when, this.mono), order: this.made++, run };
    this.heap.push(event);
    return () => {
      event.run = null;
    };
  }

  after(ms: DurationMs, run: () => void): () => void {
    return this.at(this.mono + ms, run);
  }

  /** Runs one event, if any is due by `until` (inclusive). For those who must do something in between. */
  runNext(until: MonoMs): boolean {
    for (let next = this.heap.peek(); next !== undefined && next.at <= until;) {
      this.heap.pop();
      if (next.run !== null) {
        this.mono = next.at;
        next.run();
        return true;
      }
      next = this.heap.peek();
    }
    return false;
  }

  /** Runs events up to `until` (inclusive) and leaves the clock there. Returns how many ran. */
  runUntil(until: MonoMs): number {
    let ran = 0;
    for (let next = this.heap.peek(); next !== undefined && next.at <= until;) {
      this.heap.pop();
      if (next.run !== null) {
        this.mono = next.at;
        next.run();
        ran += 1;
      }
      next = this.heap.peek();
    }
    if (until > this.mono && until !== Infinity) this.mono = until;
    return ran;
  }
}
