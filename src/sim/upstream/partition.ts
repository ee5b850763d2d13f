/** Quotas by who is charged: each identity has its own of every kind. */
import type { MonoMs } from '../../core/units.ts';
import type { UpstreamPool, UpstreamWindow } from '../types.ts';
import { createQuota, type Quota } from './quota.ts';

/** What a pool is, before anybody has one. */
export type PoolShape = Omit<UpstreamPool, 'identity'>;

export class Partition {
  private readonly byIdentity = new Map<string, Map<string, Quota>>();
  private readonly shapeOf: (pool: string, identity: string) => PoolShape | undefined;

  constructor(shapeOf: (pool: string, identity: string) => PoolShape | undefined) {
    this.shapeOf = shapeOf;
  }

  /** The quota, made when first asked for; `undefined` where this API has none of that name. */
  of(identity: string, pool: string): Quota | undefined {
    let pools = this.byIdentity.get(identity);
    if (pools === undefined) this.byIdentity.set(identity, (pools = new Map<string, Quota>()));
    let quota = pools.get(pool);
    if (quota === undefined) {
      const shape = this.shapeOf(pool, identity);
      if (shape === undefined) return undefined;
      quota = createQuota({ ...shape, identity });
      pools.set(pool, quota);
    }
    return quota;
  }

  private *all(): Iterable<Quota> {
    for (const pools of this.byIdentity.values()) yield* pools.values();
  }

  pools(): UpstreamPool[] {
    return [...this.all()].map((quota) => quota.pool);
  }

  windows(until: MonoMs): UpstreamWindow[] {
    return [...this.all()].flatMap((quota) => quota.windows(until));
  }
}
