/**
 * ratelord as a hop: the real engine with the real adapters, its effects performed in virtual time
 * as the proxy performs them with sockets (src/proxy/exchange.ts is its twin).
 */
import type { Effect, Engine, Input } from '../core/engine.ts';
import { Governor } from '../core/governor/engine.ts';
import type { EngineOptions } from '../core/governor/options.ts';
import type { EngineState } from '../core/governor/state.ts';
import type { Entry } from '../core/ledger/entry.ts';
import type { CompiledPolicy } from '../core/policy/types.ts';
import type { Provider } from '../core/provider.ts';
import type { DurationMs, MonoMs } from '../core/units.ts';
import { Exchange } from './exchange.ts';
import type { Kernel } from './kernel.ts';
import type { Hop, SimRequest, SimResponse } from './types.ts';

export interface GovernedOptions {
  readonly kernel: Kernel;
  readonly policy: CompiledPolicy;
  /** Adapters by id. Make new ones for each run: they learn. */
  readonly providers: readonly Provider[];
  /** Where requests of a provider go. */
  readonly upstream: (provider: string) => Hop;
  /** One way between client and proxy; absent = 0. */
  readonly clientDelay?: () => DurationMs;
  /** Every entry of the ledger, in order; it may be reused afterwards by nobody. */
  readonly sink?: (entry: Entry) => void;
  /** Told of every decision once it is final: what was sent on, what was refused. */
  readonly watch?: (decided: Decided) => void;
  readonly state?: EngineState;
  /** What protection goes by; calibrated forecasts when absent. */
  readonly demand?: NonNullable<EngineOptions['demand']>;
}

export interface Decided {
  readonly request: SimRequest;
  readonly at: MonoMs;
  readonly decision: 'pass' | 'delay' | 'reject';
  readonly waitedMs: DurationMs;
  /** Of a refusal, e.g. `RL_MAX_WAIT`; else `''`. */
  readonly code: string;
  /** Of a refusal: when to come back; `null` = never, or not refused. */
  readonly retryInMs: DurationMs | null;
}

/** What passed through, for people. */
export interface GovernedTotals {
  arrived: number;
  passed: number;
  delayed: number;
  refused: number;
  /** Refused upstream and sent again by ratelord itself. */
  retried: number;
  /** Left before they were answered. */
  gone: number;
}

export class GovernedHop implements Hop {
  readonly governor: Governor;
  readonly totals: GovernedTotals = {
    arrived: 0,
    passed: 0,
    delayed: 0,
    refused: 0,
    retried: 0,
    gone: 0,
  };
  readonly kernel: Kernel;
  readonly options: GovernedOptions;
  private readonly engine: Engine;
  private readonly providers: ReadonlyMap<string, Provider>;
  private readonly exchanges = new Map<number, Exchange>();
  private readonly queue: Input[] = [];
  private stepping = false;
  private key = 0;
  private armedFor: MonoMs | null = null;
  private disarm: (() => void) | null = null;

  constructor(options: GovernedOptions) {
    this.options = options;
    this.kernel = options.kernel;
    this.providers = new Map(options.providers.map((provider) => [provider.id, provider]));
    this.governor = new Governor(
      {
        provider: (id) => this.providers.get(id),
        policy: options.policy,
        mode: () => 'enforce',
        identify: (_provider, credential) => ({ id: credential, kind: 'configured' }),
        ...(options.demand === undefined ? {} : { demand: options.demand }),
      },
      options.state,
    );
    this.engine = this.governor;
  }

  send(request: SimRequest, done: (response: SimResponse) => void): () => void {
    const provider = this.providers.get(request.job.provider);
    if (provider === undefined) throw new Error(`no provider \`${request.job.provider}\``);
    const exchange = new Exchange(this, provider, request, ++this.key, done);
    const delay = this.options.clientDelay?.() ?? 0;
    this.kernel.after(delay, () => {
      exchange.arrive();
    });
    return () => {
      exchange.leave();
    };
  }

  attend(key: number, exchange: Exchange): void {
    this.exchanges.set(key, exchange);
  }

  dismiss(key: number): void {
    this.exchanges.delete(key);
  }

  /** What the engine does with the input is done to everybody concerned, in order. */
  step(input: Input): void {
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

  private perform(effects: readonly Effect[]): void {
    const { sink } = this.options;
    for (let i = 0; i < effects.length; i++) {
      const effect = effects[i] as Effect;
      if (effect.type === 'append') sink?.(effect.entry);
      else this.exchanges.get(effect.key)?.onEffect(effect);
    }
  }

  /** One alarm, as the proxy has one timer. */
  private arm(): void {
    const wakeAt = this.engine.wakeAt();
    if (wakeAt === null || (this.armedFor !== null && this.armedFor <= wakeAt)) return;
    this.disarm?.();
    this.armedFor = wakeAt;
    // Timers are whole milliseconds, rounded up, as `setTimeout` under the proxy is.
    const at = Math.max(Math.ceil(wakeAt), this.kernel.elapsed);
    this.disarm = this.kernel.at(at, () => {
      this.disarm = null;
      this.armedFor = null;
      if (this.engine.wakeAt() !== null) this.step({ type: 'woke', at: this.kernel.now() });
    });
  }
}
