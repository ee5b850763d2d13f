/** From what a scenario file says to what the simulator runs. */
import type { LoadedScenario, ScenarioParts } from '../config/scenario/load.ts';
import {
  DEFAULT_SETTLE_MS,
  type GenericParts,
  type GithubParts,
  type InvariantParts,
  type OpenaiParts,
} from '../config/scenario/schema.ts';
import { compileGlob } from '../core/policy/glob.ts';
import type { CompiledPolicy, PolicyAgent } from '../core/policy/types.ts';
import { MINUTE } from '../core/units.ts';
import type { Distribution } from '../sim/arrivals-draws.ts';
import type { Invariant, OriginSetup, OutsiderSetup, Scenario } from '../sim/scenario.ts';
import type { FailurePhase } from '../sim/upstream/failures.ts';
import { GenericRules } from '../sim/upstream/generic.ts';
import { GITHUB_DEFAULTS, GithubRules } from '../sim/upstream/github.ts';
import { OPENAI_DEFAULTS, OpenaiRules } from '../sim/upstream/openai.ts';
import type { UpstreamRules } from '../sim/upstream/rules.ts';
import { agentsOf, IDENTITY, traceReader } from './sim-agents.ts';

export interface Overrides {
  readonly seed: number | null;
  /** A trace for agents that play one, in place of the file's own. */
  readonly trace: string | null;
}

const NETWORK: Distribution = { kind: 'lognormal', median: 20, sigma: 0.3 };
const SERVICE: Distribution = { kind: 'lognormal', median: 100, sigma: 0.5 };

/** @throws Error when a trace cannot be read, naming its file */
export function scenarioOf(loaded: LoadedScenario, overrides: Overrides): Scenario {
  const { parts, policy } = loaded;
  const seed = overrides.seed ?? parts.seed ?? 1;
  const traces = traceReader(loaded.directory, overrides.trace, seed);
  const agents = parts.agents.flatMap((agent) => agentsOf(agent, parts, traces));
  return {
    name: parts.name,
    seed,
    untilMs: Number(parts.duration),
    settleMs: parts.settle ?? DEFAULT_SETTLE_MS,
    policy: withWeights(policy, parts),
    clientDelay: parts.client_delay ?? 0,
    origins: originsOf(parts),
    outsiders: (parts.outsiders ?? []).map(outsiderOf),
    agents,
    invariants: (parts.invariants ?? []).map(invariantOf),
  };
}

/** Weights are the policy's to give; a scenario states them with its agents. */
function withWeights(policy: CompiledPolicy, { agents }: ScenarioParts): CompiledPolicy {
  const entries = agents.flatMap(({ id, count = 1, weight }): PolicyAgent[] => {
    if (weight === undefined) return [];
    const test = count === 1 ? compileGlob(id) : compileGlob(`${id}-*`);
    const match = { tests: [{ key: 'agent' as const, test }], perPool: false };
    return [{ match, weight, specificity: Number.MAX_SAFE_INTEGER }];
  });
  return entries.length === 0 ? policy : { ...policy, agents: [...policy.agents, ...entries] };
}

function originsOf({ providers }: ScenarioParts): OriginSetup[] {
  const { github, openai, generic } = providers;
  const setups: OriginSetup[] = [];
  if (github != null) setups.push(setupOf('github', github, () => githubRules(github)));
  if (openai != null) setups.push(setupOf('openai', openai, () => openaiRules(openai)));
  if (generic != null) setups.push(setupOf('generic', generic, () => genericRules(generic)));
  return setups;
}

function setupOf(
  provider: string,
  parts: GithubParts | OpenaiParts | GenericParts,
  rules: () => UpstreamRules,
): OriginSetup {
  return {
    provider,
    rules,
    network: parts.network ?? NETWORK,
    service: parts.service ?? SERVICE,
    failures: (parts.failures ?? []).map(failureOf),
    skewMs: parts.clock_skew ?? 0,
  };
}

function failureOf(parts: NonNullable<NonNullable<GithubParts['failures']>[number]>): FailurePhase {
  const { answer } = parts;
  const when = {
    from: parts.from,
    until: parts.until,
    share: parts.share ?? 1,
    charged: parts.charged ?? false,
  };
  if (typeof answer !== 'number') return { ...when, kind: answer };
  const retryAfterMs = parts.retry_after ?? null;
  const remaining = parts.remaining ?? null;
  return { ...when, kind: 'status', status: answer, retryAfterMs, remaining };
}

function githubRules(parts: GithubParts): UpstreamRules {
  const { core, search, graphql, window, secondary, hidden, retry_after } = parts;
  return new GithubRules({
    core: core ?? GITHUB_DEFAULTS.core,
    search: search ?? GITHUB_DEFAULTS.search,
    graphql: graphql ?? GITHUB_DEFAULTS.graphql,
    windowMs: window ?? GITHUB_DEFAULTS.windowMs,
    secondary: secondary === false ? null : GITHUB_DEFAULTS.secondary,
    hidden: (hidden ?? []).map(({ name, quota, writes }) => ({
      name,
      limit: quota.limit,
      windowMs: quota.windowMs,
      writes: writes ?? false,
    })),
    retryAfterMs: retry_after ?? GITHUB_DEFAULTS.retryAfterMs,
  });
}

function openaiRules(parts: OpenaiParts): UpstreamRules {
  return new OpenaiRules({
    models: Object.entries(parts.models).map(([name, { requests, tokens, tokens_per_s }]) => ({
      name,
      requests,
      tokens,
      tokensPerS: tokens_per_s ?? 0,
    })),
    charge: parts.charge ?? OPENAI_DEFAULTS.charge,
    budgetTokens: parts.budget_tokens ?? null,
    retryAfter: parts.retry_after ?? true,
    organization: parts.organization ?? '',
  });
}

function genericRules(parts: GenericParts): UpstreamRules {
  return new GenericRules({
    pools: parts.quotas.map(({ name, quota, window }) => ({
      name,
      kind: window ?? 'fixed',
      unit: quota.unit,
      limit: quota.units,
      windowMs: window === 'concurrent' ? Infinity : (quota.windowMs ?? MINUTE),
    })),
    dialect: parts.dialect ?? 'ietf',
    retryAfter: parts.retry_after ?? true,
  });
}

function outsiderOf(
  parts: NonNullable<NonNullable<ScenarioParts['outsiders']>[number]>,
): OutsiderSetup {
  return {
    provider: parts.provider,
    identity: parts.identity ?? IDENTITY,
    pool: parts.pool,
    perSecond: parts.rate ?? null,
    share: parts.share ?? null,
    batch: parts.batch ?? 1,
    arrivals: parts.arrivals ?? 'poisson',
    from: parts.from ?? 0,
    until: parts.until ?? Infinity,
  };
}

function invariantOf(parts: InvariantParts): Invariant {
  const globs = parts.agents?.map(compileGlob);
  return {
    name: parts.name ?? parts.measure,
    measure: parts.measure,
    min: parts.min ?? null,
    max: parts.max ?? null,
    agent: globs === undefined ? null : (id) => globs.some((glob) => glob(id)),
    priority: parts.priority ?? null,
    provider: parts.provider ?? null,
    pool: parts.pool ?? null,
  };
}
