import type { PoolSpec } from '../claim.ts';
import { splitMatch, type SplitMatch } from './match.ts';
import { isIndexed, RuleIndex } from './rule-index.ts';
import type { CompiledPolicy, Matcher, PolicyLimit, PolicyReserve, PolicyRule } from './types.ts';

/** A rule as it is tried for requests to one provider. */
export interface RuleCandidate {
  readonly rule: PolicyRule;
  /** What the index does not answer. */
  readonly match: SplitMatch;
  /** Tried against each pool of the request instead of once. */
  readonly perPool: boolean;
  /** The condition's reads, split once: `['pool', 'remaining']`. */
  readonly reads: readonly (readonly [group: string, name: string])[];
}

export interface LimitCandidate {
  readonly limit: PolicyLimit;
  readonly match: SplitMatch;
  /** Pools made so far, by their partition. */
  readonly specs: Map<string, PoolSpec>;
}

export interface ReserveCandidate {
  readonly reserve: PolicyReserve;
  readonly match: SplitMatch;
}

/** What of a policy can concern one provider. */
export interface ProviderView {
  readonly rules: readonly RuleCandidate[];
  /** Of `rules`. */
  readonly index: RuleIndex;
  readonly limits: readonly LimitCandidate[];
  readonly reserves: readonly ReserveCandidate[];
}

const MAX_PROVIDERS = 256;
const views = new WeakMap<CompiledPolicy, Map<string, ProviderView>>();

let lastPolicy: CompiledPolicy | null = null;
let lastProvider = '';
let lastView: ProviderView | null = null;

/** The part of a policy that can concern a provider: worked out once, then looked up. */
export function viewFor(policy: CompiledPolicy, provider: string): ProviderView {
  if (policy === lastPolicy && provider === lastProvider && lastView !== null) return lastView;
  lastPolicy = policy;
  lastProvider = provider;
  return (lastView = findView(policy, provider));
}

function findView(policy: CompiledPolicy, provider: string): ProviderView {
  let byProvider = views.get(policy);
  if (byProvider === undefined) views.set(policy, (byProvider = new Map<string, ProviderView>()));
  let view = byProvider.get(provider);
  if (view === undefined) {
    if (byProvider.size >= MAX_PROVIDERS) byProvider.clear();
    byProvider.set(provider, (view = makeView(policy, provider)));
  }
  return view;
}

function makeView(policy: CompiledPolicy, provider: string): ProviderView {
  const fitting = <Item extends { readonly match: Matcher }>(items: readonly Item[]) =>
    items.flatMap((item) => {
      const match = splitMatch(item.match, provider);
      return match === null ? [] : [{ item, match }];
    });
  const rules = fitting(policy.rules).map(({ item }) => item);
  return {
    rules: rules.map((rule) => candidate(rule, provider)),
    index: new RuleIndex(rules.map(({ match }) => match)),
    limits: fitting(policy.limits).map(({ item, match }) => ({
      limit: item,
      match,
      specs: new Map<string, PoolSpec>(),
    })),
    reserves: fitting(policy.reserves).map(({ item, match }) => ({ reserve: item, match })),
  };
}

function candidate(rule: PolicyRule, provider: string): RuleCandidate {
  const reads = rule.when?.reads ?? [];
  const tests = rule.match.tests.filter(({ key }) => !isIndexed(key));
  return {
    rule,
    match: splitMatch({ ...rule.match, tests }, provider) ?? NOTHING_LEFT,
    perPool: rule.match.perPool || rule.when?.perPool === true || aboutPools(rule, reads),
    reads: reads.map((path) => {
      const dot = path.indexOf('.');
      return [path.slice(0, dot), path.slice(dot + 1)] as const;
    }),
  };
}

const NOTHING_LEFT: SplitMatch = { request: [], pool: [] };

function aboutPools(rule: PolicyRule, reads: readonly string[]): boolean {
  const { action } = rule;
  if (action.kind === 'defer' || (action.kind === 'pace' && action.perSecond === 'spread')) {
    return true;
  }
  return reads.some((path) => path.startsWith('pool.') || path.startsWith('forecast.'));
}
