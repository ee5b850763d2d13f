import type { Pool } from '../quota/pool.ts';
import { SYSTEM, UNKNOWN, type EpochMs } from '../units.ts';
import type { Core } from './engine.ts';
import { entryOf } from './entries.ts';

/**
 * Tells when others were first noticed in a pool's window beyond noise, and each time what they took
 * has doubled; at most once a minute a pool.
 * @param ids pools that were just spoken of
 */
export function tellDrift(core: Core, ids: readonly string[], at: EpochMs): void {
  for (const id of ids) {
    const pool = core.state.pools.get(id);
    if (pool !== undefined && pool.outside !== null) tell(core, pool, at);
  }
}

function tell(core: Core, pool: Pool, at: EpochMs): void {
  const limit = pool.limit ?? 0;
  const news = pool.outside?.news(limit, at) ?? null;
  if (news === null) return;
  const payload = {
    units: news.units,
    since: new Date(news.since).toISOString(),
    rate_per_s: rounded(news.rate),
    batch: rounded(news.batch),
    share_of_limit: limit > 0 ? rounded(news.units / limit) : null,
  };
  const { provider } = pool.spec;
  const who = { agent: SYSTEM, identity: pool.charged, workload: SYSTEM, scope: UNKNOWN, provider };
  const data = ['drift_detected', payload];
  core.record(entryOf('event', core.state.nextSeq, 1, at, 0, who, [pool.id], data));
}

/** Four significant digits. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
