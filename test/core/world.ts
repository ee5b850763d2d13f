/** A governor with a clock in hand and a scripted provider: for transcripts. */
import type { Claim, Draw, PoolSpec } from '../../src/core/claim.ts';
import type { ArrivedInput, Effect, Ending } from '../../src/core/engine.ts';
import { Governor } from '../../src/core/governor/engine.ts';
import type { EngineOptions } from '../../src/core/governor/options.ts';
import type { EngineState } from '../../src/core/governor/state.ts';
import type { RawFields } from '../../src/core/head.ts';
import type { Entry } from '../../src/core/ledger/entry.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { CompiledPolicy } from '../../src/core/policy/types.ts';
import type { Provider } from '../../src/core/provider.ts';
import type { Instant, Priority } from '../../src/core/units.ts';

export const EMPTY_POLICY: CompiledPolicy = {
  hash: 'test',
  source: 'test',
  defaults: { maxWaitMs: 60_000, priority: 'normal' },
  limits: [],
  reserves: [],
  agents: [],
  rules: [],
  onFault: 'skip',
};

export function spec(name: string, more: Partial<PoolSpec> = {}): PoolSpec {
  return {
    provider: 'test',
    name,
    partition: '',
    unit: 'requests',
    kind: 'fixed',
    source: 'observed',
    ...more,
  };
}

/** Draws are written into the path: `/name:units,name:units:guess`; observations are handed over. */
export function scriptedProvider(specs: readonly PoolSpec[]) {
  const script: { observations: Observation[] } = { observations: [] };
  const provider: Provider = {
    id: 'test',
    hosts: ['api.test'],
    origin: 'https://api.test',
    bodyNeeds: () => 'none',
    credential: () => null,
    classify: (head): Claim => ({
      provider: 'test',
      endpoint: 'rest',
      scope: 'sentinel:unknown',
      draws: head.path
        .slice(1)
        .split(',')
        .filter((part) => part !== '')
        .map((part): Draw => {
          const [name, units, guess] = part.split(':');
          const found = specs.find((candidate) => candidate.name === name);
          if (found === undefined) throw new Error(`no spec ${String(name)}`);
          return { spec: found, units: Number(units ?? 1), sure: guess === undefined };
        }),
      stream: false,
      inputBytes: 0,
    }),
    observe: () => script.observations,
    responseTap: () => null,
    problem: () => ({ status: 429, fields: [], body: '' }),
  };
  return { provider, script };
}

export interface Asking {
  readonly path?: string;
  readonly agent?: string;
  readonly credential?: string;
  readonly priority?: Priority;
  readonly maxWaitMs?: number;
  readonly method?: string;
  readonly replayable?: boolean;
}

export class World {
  now: Instant = { wall: 1_700_000_000_000, mono: 1000 };
  readonly entries: Entry[] = [];
  readonly governor: Governor;
  readonly script: { observations: Observation[] };
  private key = 0;

  constructor(
    specs: readonly PoolSpec[],
    more: { policy?: CompiledPolicy; state?: EngineState; options?: Partial<EngineOptions> } = {},
  ) {
    const { provider, script } = scriptedProvider(specs);
    this.script = script;
    this.governor = new Governor(
      {
        provider: (id) => (id === 'test' ? provider : undefined),
        policy: more.policy ?? EMPTY_POLICY,
        mode: () => 'enforce',
        identify: (_p, credential) => ({
          id: credential === '' ? 'anonymous' : `cred-${credential}`,
          kind: 'seen',
        }),
        ...more.options,
      },
      more.state,
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

  arrive(asking: Asking = {}): { key: number; effects: Effect[] } {
    const key = ++this.key;
    const input: ArrivedInput = {
      type: 'arrived',
      at: this.now,
      key,
      head: {
        method: asking.method ?? 'GET',
        scheme: 'https',
        host: 'api.test',
        port: 443,
        path: asking.path ?? '/core',
        fields: [] as RawFields,
        contentLength: 0,
        way: 'forward',
        upgrade: false,
      },
      provider: 'test',
      body: undefined,
      credential: asking.credential ?? 'a',
      agent: asking.agent ?? 'agent-1',
      workload: 'sentinel:unknown',
      asked: {
        priority: asking.priority ?? null,
        maxWaitMs: asking.maxWaitMs ?? null,
        scope: null,
        estimate: null,
      },
      ...(asking.replayable === undefined ? {} : { replayable: asking.replayable }),
    };
    return { key, effects: this.took(this.governor.step(input)) };
  }

  head(key: number, observations: Observation[], status = 200, date: number | null = null) {
    this.script.observations = observations;
    return this.took(
      this.governor.step({ type: 'head', at: this.now, key, head: { status, fields: [], date } }),
    );
  }

  end(key: number, ending: Ending = 'complete'): Effect[] {
    return this.took(
      this.governor.step({ type: 'ended', at: this.now, key, ending, bytesUp: 0, bytesDown: 0 }),
    );
  }

  wake(): Effect[] {
    return this.took(this.governor.step({ type: 'woke', at: this.now }));
  }

  /** Advances to each alarm until `ms` have passed; returns what happened. */
  run(ms: number): Effect[] {
    const until = this.now.mono + ms;
    const all: Effect[] = [];
    for (let i = 0; i < 100_000; i++) {
      const next = this.governor.wakeAt();
      if (next === null || next > until) break;
      if (next > this.now.mono) this.pass(next - this.now.mono);
      all.push(...this.wake());
    }
    this.pass(until - this.now.mono);
    return all;
  }
}

export function kinds(effects: readonly Effect[]): string[] {
  return effects.map((effect) => effect.type);
}
