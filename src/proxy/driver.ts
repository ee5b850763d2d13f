/** Steps the engine, performs its effects, and keeps the one timer that wakes it. */
import type { Effect, Engine, Input } from '../core/engine.ts';
import type { Clock, LedgerStore } from '../core/ports.ts';
import type { MonoMs } from '../core/units.ts';
import { Attendants } from './attendants.ts';
import type { Attendant, EngineDriver } from './ports.ts';

export interface DriverParts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly store: Pick<LedgerStore, 'append'>;
  /** Defaults to `setTimeout`; returns what cancels it. */
  readonly after?: (ms: number, run: () => void) => () => void;
}

export interface ClosableDriver extends EngineDriver {
  /** Stops the timer. Waiting requests are not answered. */
  close(): void;
}

/** `setTimeout` takes longer delays for 1 ms. */
const MAX_DELAY_MS = 2_147_483_647;

function afterTimeout(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => {
    clearTimeout(timer);
  };
}

class Driver implements ClosableDriver {
  readonly clock: Clock;
  private readonly engine: Engine;
  private readonly store: Pick<LedgerStore, 'append'>;
  private readonly after: (ms: number, run: () => void) => () => void;
  private readonly attendants = new Attendants();
  private readonly queue: Input[] = [];
  private stepping = false;
  private armedFor: MonoMs | null = null;
  private cancel: (() => void) | null = null;

  constructor(parts: DriverParts) {
    this.clock = parts.clock;
    this.engine = parts.engine;
    this.store = parts.store;
    this.after = parts.after ?? afterTimeout;
  }

  attend(attendant: Attendant): number {
    return this.attendants.add(attendant);
  }

  leave(key: number): void {
    this.attendants.remove(key);
  }

  step(input: Input): void {
    // An effect may lead to another input (a client found gone). The engine reuses its array of
    // effects, so that input waits until they are all performed.
    if (this.stepping) {
      this.queue.push(input);
      return;
    }
    this.stepping = true;
    try {
      this.perform(this.engine.step(input));
      for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
        this.perform(this.engine.step(next));
      }
    } finally {
      this.stepping = false;
    }
    this.arm();
  }

  close(): void {
    this.cancel?.();
    this.cancel = null;
    this.armedFor = null;
  }

  private perform(effects: readonly Effect[]): void {
    for (let i = 0; i < effects.length; i++) {
      const effect = effects[i] as Effect;
      if (effect.type === 'append') this.store.append(effect.entry);
      else this.attendants.get(effect.key)?.onEffect(effect);
    }
  }

  /** A timer that fires too early costs less than one set anew with every step. */
  private arm(): void {
    const wakeAt = this.engine.wakeAt();
    if (wakeAt === null || (this.armedFor !== null && this.armedFor <= wakeAt)) return;
    this.cancel?.();
    this.armedFor = wakeAt;
    const delay = Math.ceil(wakeAt - this.clock.now().mono);
    this.cancel = this.after(Math.min(Math.max(delay, 0), MAX_DELAY_MS), () => {
      this.cancel = null;
      this.armedFor = null;
      this.wake();
    });
  }

  private wake(): void {
    const wakeAt = this.engine.wakeAt();
    if (wakeAt === null) return;
    const at = this.clock.now();
    if (at.mono < wakeAt) this.arm();
    else this.step({ type: 'woke', at });
  }
}

export function createDriver(parts: DriverParts): ClosableDriver {
  return new Driver(parts);
}
