/** The simulation's kernel on the machine's own clock, so that the model upstream judges real requests. */
import type { DurationMs, EpochMs, Instant, MonoMs } from '../../../src/core/units.ts';
import { Kernel } from '../../../src/sim/kernel.ts';

export class RealTimeKernel extends Kernel {
  /** How late this process was with what was due, milliseconds: the machine adds it to every wait. */
  readonly lateMs: number[] = [];
  /** Of the run's first moment. */
  private wallAtZero: EpochMs = Infinity;
  private monoAtZero = Infinity;

  /**
   * Sets the first moment: a whole second, as in virtual time, because what a model upstream floors
   * must be floored alike. Nothing may be asked of this clock before.
   */
  begin(pauseMs: DurationMs): void {
    const now = Date.now();
    this.wallAtZero = Math.ceil((now + pauseMs) / 1000) * 1000;
    this.monoAtZero = performance.now() + this.wallAtZero - now;
  }

  override now(): Instant {
    return { wall: Math.floor(this.wallAtZero + this.elapsed), mono: this.elapsed };
  }

  /** Milliseconds since the first moment by the machine's clock; negative before it. */
  get real(): MonoMs {
    return performance.now() - this.monoAtZero;
  }

  override at(when: MonoMs, run: () => void): () => void {
    const due = Math.max(when, this.elapsed);
    const cancel = super.at(due, run);
    // Timers are whole milliseconds and may come a fraction early.
    const timer = setTimeout(
      () => {
        this.lateMs.push(Math.max(0, this.real - due));
        this.runUntil(Math.max(due, this.real));
      },
      Math.max(0, Math.ceil(due - this.real)),
    );
    return () => {
      clearTimeout(timer);
      cancel();
    };
  }

  /** To be called when something comes from outside, before the time is asked. */
  catchUp(): void {
    this.runUntil(this.real);
  }
}
