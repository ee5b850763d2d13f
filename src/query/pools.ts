import type { EngineView, PoolView } from './ports.ts';

export interface PoolFilter {
  readonly provider?: string;
  readonly identity?: string;
  readonly pool?: string;
  /** Whether use over time is wanted. */
  readonly history?: boolean;
}

/** Sorted by provider, identity, pool and model, so that two readings can be compared. */
export function listPools(view: EngineView, filter: PoolFilter = {}): readonly PoolView[] {
  return view
    .pools(filter.history)
    .filter(
      (pool) =>
        (filter.provider === undefined || pool.provider === filter.provider) &&
        (filter.identity === undefined || pool.identity === filter.identity) &&
        (filter.pool === undefined || pool.pool === filter.pool || pool.id === filter.pool),
    )
    .toSorted((a, b) => compare(sortKey(a), sortKey(b)));
}

function sortKey(pool: PoolView): string {
  return [pool.provider, pool.identity, pool.pool, pool.model ?? '', pool.id].join('\0');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
