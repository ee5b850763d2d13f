/** A compiled policy as readers see it: as it was written. */
import type { CompiledPolicy } from '../core/policy/types.ts';
import type { EpochMs, JsonObject } from '../core/units.ts';
import type { PolicyView } from '../query/ports.ts';

export interface PolicyStanding {
  readonly policy: CompiledPolicy;
  readonly loadedAt: EpochMs;
  readonly notices: readonly string[];
  readonly refused: readonly string[];
  /** The file's content; `null` when it has changed since and was not taken over. */
  readonly written: JsonObject | null;
}

export function policyView(standing: PolicyStanding, mode: 'enforce' | 'observe'): PolicyView {
  const { policy, written } = standing;
  return {
    hash: policy.hash,
    source: policy.source,
    loaded_at: new Date(standing.loadedAt).toISOString(),
    mode,
    defaults: {
      max_wait_s: policy.defaults.maxWaitMs / 1000,
      priority: policy.defaults.priority,
    },
    limits: partsOf(written, 'limits') ?? policy.limits.map(({ id }) => ({ id })),
    reserve: partsOf(written, 'reserve') ?? policy.reserves.map(({ id }) => ({ id })),
    agents: partsOf(written, 'agents') ?? [],
    rules: partsOf(written, 'rules') ?? policy.rules.map(({ id }) => ({ id })),
    ...(policy.prices === undefined ? {} : { prices: partsOf(written, 'prices') ?? [] }),
    notices: standing.notices,
    refused: standing.refused,
  };
}

function partsOf(written: JsonObject | null, name: string): readonly JsonObject[] | null {
  if (written === null) return null;
  const parts = written[name];
  return Array.isArray(parts) ? (parts as readonly JsonObject[]) : [];
}
