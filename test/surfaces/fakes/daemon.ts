import type {
  Control,
  DaemonFacts,
  DeletionResult,
  EngineView,
  IdentityInput,
  IntentRequest,
  ObservationInput,
  PolicyView,
  PoolView,
} from '../../../src/query/ports.ts';
import type { ApiDeps, StreamLimits } from '../../../src/surfaces/api/deps.ts';
import { RequestMeter } from '../../../src/surfaces/metrics/meter.ts';
import { createMetrics } from '../../../src/surfaces/metrics/registry.ts';
import { ListLedger, T0 } from './ledger.ts';

export const POOLS: readonly PoolView[] = [
  {
    id: 'openai/acct/tokens/gpt-4o',
    provider: 'openai',
    pool: 'tokens',
    identity: 'acct',
    model: 'gpt-4o',
    unit: 'tokens',
    kind: 'bucket',
    limit: 30_000,
    used: null,
    remaining: 29_000,
    reserved: 500,
    reset_at: null,
    window_s: 60,
    observed_at: new Date(T0 - 2000).toISOString(),
    source: 'observed',
  },
  {
    id: 'github/gh-ci/core',
    provider: 'github',
    pool: 'core',
    identity: 'gh-ci',
    unit: 'requests',
    kind: 'fixed',
    limit: 5000,
    used: 4990,
    remaining: 10,
    reserved: 3,
    reset_at: new Date(T0 + 720_000).toISOString(),
    window_s: 3600,
    observed_at: new Date(T0 - 4000).toISOString(),
    source: 'observed',
    queued: 2,
    agents: [
      { agent: 'crawler-01', used: 4000 },
      { agent: 'ci-1', used: 990 },
    ],
    forecast: {
      p50_s: 30,
      p90_s: 20,
      p99_s: null,
      p_exhaust: 0.97,
      margin_s: -700,
      burn_rate: 0.33,
      burn_variance: 0.4,
      model: 'gamma-poisson-conformal',
      as_of: new Date(T0).toISOString(),
    },
  },
];

const POLICY: PolicyView = {
  hash: 'a1b2c3d4e5f60718',
  source: 'policies/default.yaml',
  loaded_at: new Date(T0 - 60_000).toISOString(),
  mode: 'enforce',
  defaults: { max_wait_s: 60, priority: 'normal' },
  limits: [],
  reserve: [],
  agents: [],
  rules: [{ id: 'no-writes-at-night', action: 'delay' }],
  notices: [],
  refused: [],
};

export class FakeView implements EngineView {
  poolList: readonly PoolView[] = POOLS;
  policyView: PolicyView = POLICY;

  pools() {
    return this.poolList;
  }
  providers() {
    return [
      {
        id: 'github',
        hosts: ['api.github.com'],
        degraded: false,
        throttled_until: null,
        clock_skew_ms: 120,
      },
    ];
  }
  queueDepth() {
    return [{ provider: 'github', depth: 2 }];
  }
  inFlight() {
    return 3;
  }
  identities() {
    return [
      {
        id: 'gh-ci',
        provider: 'github',
        origin: 'configured' as const,
        account: null,
        poll_s: 60,
        created_at: null,
      },
    ];
  }
  policy() {
    return this.policyView;
  }
  totals() {
    return {
      throttled: [{ provider: 'github', kind: 'secondary', count: 4 }],
      events: [{ type: 'intent_decided' as const, count: 12 }],
      cost: [{ provider: 'openai', model: 'gpt-4o', micro_usd: 2_500_000 }],
      rules_skipped: [{ rule: 'watch', count: 1 }],
      turns: [{ turn: 'backfill', count: 5 }],
    };
  }
}

/** Remembers what it was asked; an intent is recorded in the ledger. */
export class FakeControl implements Control {
  readonly observed: ObservationInput[] = [];
  readonly intents: IntentRequest[] = [];
  readonly registered: IdentityInput[] = [];
  readonly #ledger: ListLedger;

  constructor(ledger: ListLedger) {
    this.#ledger = ledger;
  }

  observe(items: readonly ObservationInput[]) {
    this.observed.push(...items);
    return items.map((item) =>
      item.provider === 'nobody'
        ? ({ accepted: false, member: 'provider', reason: 'is not known' } as const)
        : ({ accepted: true, pools: ['github/gh-ci/core'], malformed: 0 } as const),
    );
  }

  intent(request: IntentRequest) {
    this.intents.push(request);
    const entry = this.#ledger.append(
      [{ type: 'intent_submitted' }, { type: 'intent_decided', payload: { decision: 'pass' } }],
      { agent: request.agent },
    );
    return Promise.resolve({
      intent_id: `rl_${entry.seq.toString(36)}`,
      decision: 'approve' as const,
      modifications: {},
      trace: [{ step: 'rules' }],
      evaluation: { pools: 1 },
    });
  }

  registerIdentity(input: IdentityInput) {
    if (input.id === 'gh-ci') {
      return { ok: false, why: 'exists', member: 'id', reason: 'identity `gh-ci` exists' } as const;
    }
    this.registered.push(input);
    return {
      ok: true,
      identity: {
        id: input.id,
        provider: input.provider,
        origin: 'registered',
        account: input.account,
        poll_s: input.pollMs === null ? null : input.pollMs / 1000,
        created_at: new Date(T0).toISOString(),
      },
    } as const;
  }

  deleteIdentity(id: string): DeletionResult {
    return id === 'gh-ci' ? 'configured' : id === 'temp' ? 'deleted' : 'unknown';
  }

  reloadPolicy() {
    return Promise.resolve({ ok: true, problems: [] });
  }
}

export interface FakeDaemon {
  readonly deps: ApiDeps;
  readonly ledger: ListLedger;
  readonly view: FakeView;
  readonly control: FakeControl;
  readonly meter: RequestMeter;
}

export function fakeDaemon(
  options: {
    readonly token?: string;
    readonly listenHost?: string;
    readonly streams?: StreamLimits;
    readonly faults?: unknown[];
  } = {},
): FakeDaemon {
  const ledger = new ListLedger();
  const view = new FakeView();
  const control = new FakeControl(ledger);
  const meter = new RequestMeter();
  const facts: DaemonFacts = {
    version: '0.1.0',
    pid: 4242,
    node: 'v26.10.0',
    proxy: 'http://127.0.0.1:8787',
    api: 'http://127.0.0.1:8090',
    ca: '/var/lib/ratelord/ca/ca.pem',
    data: '/var/lib/ratelord',
    startedAt: T0 - 90_000,
    ready: () => true,
    now: () => T0,
    notices: () => [],
  };
  const deps: ApiDeps = {
    facts,
    view,
    control,
    reader: ledger,
    metrics: createMetrics({ meter, view, store: ledger.store, facts }),
    token: options.token ?? null,
    listenHost: options.listenHost ?? '127.0.0.1',
    ...(options.streams !== undefined && { streams: options.streams }),
    onFault: (error) => options.faults?.push(error),
  };
  return { deps, ledger, view, control, meter };
}
