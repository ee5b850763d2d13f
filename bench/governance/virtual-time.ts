/**
 * Lets libraries that were written for a real clock run on the simulation's: while it is installed,
 * the global timers and `Date.now` are the kernel's, and promises are let run dry before time goes on.
 */
import type { Kernel } from '../../src/sim/kernel.ts';

const realImmediate = setImmediate;

/** After the microtasks that are due, and those they make. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    realImmediate(resolve);
  });
}

interface FakeTimer {
  stop: () => void;
  ref(): FakeTimer;
  unref(): FakeTimer;
}

function timer(): FakeTimer {
  const fake: FakeTimer = { stop: () => undefined, ref: () => fake, unref: () => fake };
  return fake;
}

/** The globals are there once: two simulations at a time would mix up their clocks. */
let installed = false;

export class VirtualTime {
  private readonly kernel: Kernel;
  private touched = false;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** To be called by whoever calls into a library, or resolves a promise of its. */
  touch(): void {
    this.touched = true;
  }

  /** Returns what gives the real clock back. @throws when another simulation has the clock */
  install(): () => void {
    if (installed) throw new Error('another simulation has the clock');
    installed = true;
    const { kernel } = this;
    const real = {
      setTimeout: globalThis.setTimeout,
      clearTimeout: globalThis.clearTimeout,
      setInterval: globalThis.setInterval,
      clearInterval: globalThis.clearInterval,
    };
    const realNow = Date.now;
    const once = (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): FakeTimer => {
      const fake = timer();
      fake.stop = kernel.after(Math.max(1, Math.trunc(ms)), () => {
        this.touched = true;
        run(...args);
      });
      return fake;
    };
    const again = (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): FakeTimer => {
      const fake = timer();
      const next = (): void => {
        fake.stop = kernel.after(Math.max(1, Math.trunc(ms)), () => {
          this.touched = true;
          next();
          run(...args);
        });
      };
      next();
      return fake;
    };
    const stop = (fake: FakeTimer | undefined): void => fake?.stop();
    Object.assign(globalThis, {
      setTimeout: once,
      clearTimeout: stop,
      setInterval: again,
      clearInterval: stop,
    });
    Date.now = () => kernel.now().wall;
    return () => {
      Object.assign(globalThis, real);
      Date.now = realNow;
      installed = false;
    };
  }

  /** Runs the kernel to `until`, event by event. */
  async run(until: number): Promise<void> {
    for (;;) {
      if (this.touched) {
        this.touched = false;
        await settled();
        continue;
      }
      if (!this.kernel.runNext(until)) break;
    }
    this.kernel.runUntil(until);
  }
}
