import { ConcurrencyPool } from '../quota/concurrent.ts';
import type { EpochMs } from '../units.ts';
import type { PoolDraw } from './request.ts';

/** The `RateLimit-Policy` and `RateLimit` items of the tightest pool, IETF draft syntax. */
export interface QuotaFields {
  readonly policy: string;
  readonly state: string;
}

const NONE: QuotaFields = { policy: '', state: '' };

/** Call after the request's units were set aside: what is left is left for the next one. */
export function quotaFields(draws: readonly PoolDraw[], now: EpochMs): QuotaFields {
  let tightest: PoolDraw | null = null;
  let least = Infinity;
  let left = 0;
  let resetAt: EpochMs | null = null;
  for (const draw of draws) {
    const { pool } = draw;
    if (pool.limit === null || pool.limit <= 0 || pool.limit === Infinity) continue;
    if (pool instanceof ConcurrencyPool) continue;
    const figures = pool.figures(now);
    const free = Math.max(0, (figures.remaining ?? 0) - figures.reserved);
    if (free / pool.limit >= least) continue;
    least = free / pool.limit;
    tightest = draw;
    left = Math.floor(free);
    resetAt = figures.resetAt;
  }
  if (tightest === null) return NONE;
  const { pool } = tightest;
  const name = `"ratelord-${pool.spec.name.replace(/[^\w.:-]/g, '_')}"`;
  const window = pool.windowMs === null ? '' : `;w=${String(Math.ceil(pool.windowMs / 1000))}`;
  const reset =
    resetAt === null ? '' : `;t=${String(Math.max(0, Math.ceil((resetAt - now) / 1000)))}`;
  return {
    policy: `${name};q=${String(Math.floor(pool.limit ?? 0))}${window}`,
    state: `${name};r=${String(left)}${reset}`,
  };
}
