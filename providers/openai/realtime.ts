/** The Realtime API tells its quotas in messages, `rate_limits.updated`, not in fields. */
import type { MessageTap, TapResult } from '../../src/core/provider.ts';
import type { Observation, QuotaObservation } from '../../src/core/observation.ts';
import type { ModelPools } from './pools.ts';
import { asRecord, parseRecord, stringMember } from './seek.ts';
import { hiddenWindow } from './window.ts';

const MAX_MESSAGE = 16_384;
const FIELD = 'rate_limits.updated';

export class RealtimeTap implements MessageTap {
  private readonly pools: ModelPools;

  constructor(pools: ModelPools) {
    this.pools = pools;
  }

  /** Most messages are audio: only those that hold the event's name, and are small, are parsed. */
  message(text: string): TapResult | null {
    if (text.length > MAX_MESSAGE || !text.includes('"rate_limits.updated"')) return null;
    const event = parseRecord(text);
    if (event === null || stringMember(event, 'type') !== FIELD) return null;
    const list = event['rate_limits'];
    if (!Array.isArray(list)) return malformed();
    const observations: Observation[] = [];
    for (const item of list.slice(0, 16) as unknown[]) {
      observations.push(this.quota(item) ?? { kind: 'malformed', field: FIELD });
    }
    return { observations, usage: null };
  }

  private quota(item: unknown): QuotaObservation | null {
    const record = asRecord(item);
    const name = stringMember(record, 'name');
    if (record === null || !/^[a-z0-9_-]{1,64}$/.test(name)) return null;
    const spec = this.pools.family(name);
    const limit = amount(record['limit']);
    const remaining = amount(record['remaining']);
    if (spec === undefined || limit === undefined || remaining === undefined) return null;
    const left = Math.min(limit, Math.floor(remaining));
    const resetMs = (amount(record['reset_seconds']) ?? NaN) * 1000;
    if (Number.isNaN(resetMs)) return { kind: 'quota', spec, limit, remaining: left };
    const windowMs = hiddenWindow(limit, left, resetMs);
    return {
      kind: 'quota',
      spec,
      limit,
      remaining: left,
      resetIn: Math.ceil(resetMs),
      ...(windowMs === undefined ? {} : { windowMs }),
    };
  }
}

function amount(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= 1e15 ? value : undefined;
}

function malformed(): TapResult {
  return { observations: [{ kind: 'malformed', field: FIELD }], usage: null };
}
