/** A governor before an API that bills by the token: for transcripts about estimates and money. */
import type { Claim, Usage } from '../../src/core/claim.ts';
import type { Effect, Ending } from '../../src/core/engine.ts';
import { Governor } from '../../src/core/governor/engine.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import type { Entry } from '../../src/core/ledger/entry.ts';
import { flatPrice, type PriceBook } from '../../src/core/money.ts';
import type { CompiledPolicy } from '../../src/core/policy/types.ts';
import type { Provider } from '../../src/core/provider.ts';
import type { Pool } from '../../src/core/quota/pool.ts';
import type { Instant } from '../../src/core/units.ts';

/** $2.50, $1.25 and $10 per million tokens. */
export const PRICES: PriceBook = {
  price: (provider, model) =>
    provider === 'llm' && model.startsWith('m')
      ? flatPrice(
          'list',
          { input: 2.5, cachedInput: 1.25, output: 10, request: 0 },
          { contextTokens: 100_000, maxOutputTokens: null },
        )
      : null,
};

export interface Asked {
  /** `null`: the request names none. */
  readonly model?: string | null;
  readonly agent?: string;
  readonly inputTokens?: number;
  /** What the request allows; left out: nothing. */
  readonly max?: number;
  readonly maxWaitMs?: number;
  /** `x-ratelord-estimate` */
  readonly estimate?: Readonly<Record<string, number>>;
}

export function usage(inputTokens: number, outputTokens: number, cachedTokens = 0): Usage {
  return { inputTokens, cachedTokens, outputTokens, reasoningTokens: 0 };
}

export class LlmWorld {
  now: Instant = { wall: 1_700_000_000_000, mono: 1000 };
  readonly entries: Entry[] = [];
  readonly governor: Governor;
  private readonly claims = new Map<string, Claim>();
  private key = 0;

  constructor(
    policy: CompiledPolicy,
    more: { readonly state?: EngineState; readonly prices?: PriceBook } = {},
  ) {
    const provider: Provider = {
      id: 'llm',
      hosts: ['api.llm'],
      origin: 'https://api.llm',
      bodyNeeds: () => 'none',
      credential: () => null,
      classify: (head) => this.claims.get(head.path) as Claim,
      observe: () => [],
      responseTap: () => null,
      problem: () => ({ status: 429, fields: [], body: '' }),
    };
    this.governor = new Governor(
      {
        provider: (id) => (id === 'llm' ? provider : undefined),
        policy,
        mode: () => 'enforce',
        identify: () => ({ id: 'key', kind: 'seen' }),
        prices: more.prices ?? PRICES,
      },
      more.state ?? new EngineState(),
    );
  }

  pass(ms: number): void {
    this.now = { wall: this.now.wall + ms, mono: this.now.mono + ms };
  }

  private took(effects: readonly Effect[]): Effect[] {
    const kept: Effect[] = [];
    for (const effect of effects) {
      if (effect.type === 'append') this.entries.push(effect.entry);
      else kept.push(effect);
    }
    return kept;
  }

  ask({ model = 'm-1', agent = 'a', inputTokens = 100, max, maxWaitMs = 0, estimate }: Asked = {}) {
    const key = ++this.key;
    const path = `/${key}`;
    this.claims.set(path, {
      provider: 'llm',
      endpoint: 'chat',
      ...(model === null ? {} : { model }),
      scope: '',
      draws: [],
      stream: false,
      inputBytes: inputTokens * 4,
      estimate: { inputTokens, outputTokens: max ?? 16 },
      bounds: { inputTokens, ...(max === undefined ? {} : { outputTokens: max }) },
    });
    const effects = this.took(
      this.governor.step({
        type: 'arrived',
        at: this.now,
        key,
        head: {
          method: 'POST',
          scheme: 'https',
          host: 'api.llm',
          port: 443,
          path,
          fields: [],
          contentLength: inputTokens * 4,
          way: 'forward',
          upgrade: false,
        },
        provider: 'llm',
        body: undefined,
        credential: 'k',
        agent,
        workload: 'sentinel:unknown',
        asked: { priority: null, maxWaitMs, scope: null, estimate: estimate ?? null },
      }),
    );
    return { key, effects };
  }

  /** The answer came, told what it used unless `used` is `null`, and ended. */
  answer(key: number, used: Usage | null, ending: Ending = 'complete', status = 200): Effect[] {
    const { governor, now: at } = this;
    const done: Effect[] = [];
    const head = { status, fields: [], date: null };
    if (status > 0) done.push(...this.took(governor.step({ type: 'head', at, key, head })));
    if (used !== null) {
      const told = { type: 'tapped', at, key, observations: [], usage: used } as const;
      done.push(...this.took(governor.step(told)));
    }
    const over = { type: 'ended', at, key, ending, bytesUp: 0, bytesDown: 0 } as const;
    done.push(...this.took(governor.step(over)));
    return done;
  }

  wake(): Effect[] {
    return this.took(this.governor.step({ type: 'woke', at: this.now }));
  }

  pool(name: string): Pool {
    for (const pool of this.governor.state.pools.values()) {
      if (pool.spec.name === name) return pool;
    }
    throw new Error(`no pool ${name}`);
  }
}

/** Deterministic 0…1. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Log-normal: a few answers are very long. */
export function heavyTail(median: number, sigma: number, random: () => number): number {
  const gauss = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.max(1, Math.round(median * Math.exp(sigma * gauss)));
}
