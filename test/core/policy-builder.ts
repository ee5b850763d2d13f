/** What the policy tests share: subjects, readings and policies from text. */
import { parsePolicy } from '../../src/config/policy/load.ts';
import { problemText } from '../../src/config/problem.ts';
import { evaluate } from '../../src/core/policy/evaluate.ts';
import { NO_COST, NO_FORECAST, NO_POOL, type Readings } from '../../src/core/policy/readings.ts';
import type {
  CompiledPolicy,
  ConditionEnv,
  PolicyVerdict,
  Subject,
} from '../../src/core/policy/types.ts';
import { GLOBAL, UNKNOWN } from '../../src/core/units.ts';

export const SUBJECT: Subject = {
  provider: 'github',
  agent: 'crawler-1',
  identity: 'gh-main',
  workload: UNKNOWN,
  scope: GLOBAL,
  priority: 'normal',
  method: 'GET',
  host: 'api.github.com',
  path: '/user',
  model: UNKNOWN,
};

export function subject(changes: Partial<Subject> = {}): Subject {
  return { ...SUBJECT, ...changes };
}

export type PoolState = Partial<ConditionEnv['pool']> & { name: string; units?: number };

/** A pool called `name`, about which only the given readings are known. */
export function readings(
  pools: readonly PoolState[] = [],
  changes: Partial<Readings> = {},
): Readings {
  return {
    bytes: 0,
    units: 1,
    agentWeight: 1,
    identityKind: 'user',
    degraded: false,
    pools: pools.map(({ name, units }) => ({ id: `${name}@1`, name, units: units ?? 1 })),
    agentShare: () => null,
    pool(index) {
      const state = pools[index];
      if (state === undefined) throw new Error(`no pool ${index}`);
      const { name, units: _units, ...known } = state;
      return { ...NO_POOL, id: `${name}@1`, ...known };
    },
    forecast: () => NO_FORECAST,
    cost: () => NO_COST,
    ...changes,
  };
}

/** A pool with `left` of `limit` remaining, which resets in `resetIn` seconds. */
export function pool(name: string, left: number, limit: number, resetIn = 600): PoolState {
  return {
    name,
    limit,
    remaining: left,
    remaining_ratio: left / limit,
    used: limit - left,
    utilization: (limit - left) / limit,
    reset_in: resetIn,
    age: 1,
  };
}

export function policy(text: string): CompiledPolicy {
  const result = parsePolicy('test.yaml', text);
  if (!result.ok) throw new Error(result.problems.map(problemText).join('\n'));
  return result.policy;
}

/** Wednesday 2026-01-14 12:00 UTC. */
export const NOON = Date.UTC(2026, 0, 14, 12);

export function judge(
  text: string,
  who: Partial<Subject> = {},
  known: Readings = readings(),
  now = NOON,
): PolicyVerdict {
  return evaluate(policy(text), subject(who), known, now);
}
