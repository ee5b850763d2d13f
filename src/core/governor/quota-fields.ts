import { ConcurrencyPool } from '../quota/concurrent.ts';
import type { Pool } from '../quota/pool.ts';
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
  const made = madeFor(tightest.pool);
  const reset =
    resetAt === null ? '' : `;t=${String(Math.max(0, Math.ceil((resetAt - now) / 1000)))}`;
  return { policy: made.policy, state: `${made.name};r=${String(left)}${reset}` };
}

interface Made {
  readonly limit: number | null;
  readonly windowMs: number | null;
  readonly name: string;
  readonly policy: string;
}

/** The parts that change only with the limit. */
const made = new WeakMap<Pool, Made>();

function madeFor(pool: Pool): Made {
  const { limit, windowMs } = pool;
  const known = made.get(pool);
  if (known !== undefined && known.limit === limit && known.windowMs === windowMs) return known;
  const name = `"ratelord-${pool.spec.name.replace(/[^\w.:-]/g, '_')}"`;
  const window = windowMs === null ? '' : `;w=${String(Math.ceil(windowMs / 1000))}`;
  const policy = `${name};q=${String(Math.floor(limit ?? 0))}${window}`;
  const fresh = { limit, windowMs, name, policy };
  made.set(pool, fresh);
  return fresh;
}
