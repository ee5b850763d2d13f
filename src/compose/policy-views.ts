/** A compiled policy as readers see it. */
import type { CompiledPolicy, Matcher } from '../core/policy/types.ts';
import type { EpochMs, JsonObject } from '../core/units.ts';
import type { PolicyView } from '../query/ports.ts';

export interface PolicyStanding {
  readonly policy: CompiledPolicy;
  readonly loadedAt: EpochMs;
  readonly notices: readonly string[];
  readonly refused: readonly string[];
}

export function policyView(standing: PolicyStanding, mode: 'enforce' | 'observe'): PolicyView {
  const { policy } = standing;
  return {
    hash: policy.hash,
    source: policy.source,
    loaded_at: new Date(standing.loadedAt).toISOString(),
    mode,
    defaults: {
      max_wait_s: policy.defaults.maxWaitMs / 1000,
      priority: policy.defaults.priority,
    },
    limits: policy.limits.map((limit) => ({
      id: limit.id,
      match: keysOf(limit.match),
      per: limit.per,
      quota: limit.quota,
      unit: limit.unit,
      window_s: limit.windowMs / 1000,
      kind: limit.kind,
    })),
    reserve: policy.reserves.map(({ id, share, match }) => ({ id, share, match: keysOf(match) })),
    agents: policy.agents.map(({ priority, weight }) => ({
      ...(priority === undefined ? {} : { priority }),
      ...(weight === undefined ? {} : { weight }),
    })),
    rules: policy.rules.map((rule): JsonObject => ({
      id: rule.id,
      match: keysOf(rule.match),
      when: rule.when?.source ?? null,
      scheduled: rule.during !== null,
      action: rule.action.kind,
      reason: rule.reason,
    })),
    notices: standing.notices,
    refused: standing.refused,
  };
}

function keysOf(match: Matcher): readonly string[] {
  return match.tests.map((test) => test.key);
}
