import { requestId } from '../ledger/expand.ts';
import type { Refusal, RefusalPool } from '../provider.ts';
import { Gate } from '../quota/gate.ts';
import type { Pool } from '../quota/pool.ts';
import type { EpochMs } from '../units.ts';
import type { Judgement } from './judge.ts';
import type { LiveRequest } from './request.ts';

/** Everything a provider needs to refuse in its own words. */
export function refusalOf(request: LiveRequest, judged: Judgement, now: EpochMs): Refusal {
  const pool = judged.blocking === null ? null : refusalPool(judged.blocking, now);
  return {
    id: requestId(request.seq),
    code: judged.code,
    reason: judged.reason,
    ...(judged.rule === undefined ? {} : { rule: judged.rule }),
    ...(pool === null ? {} : { pool }),
    retryInMs: judged.retryInMs,
    retryAt: judged.retryInMs === null ? null : now + judged.retryInMs,
    providerDown: judged.code === 'RL_SHUTDOWN' || isDown(judged.blocking),
    claim: request.claim,
    now,
  };
}

/** The provider or its host is in trouble, or told everyone to stop: not this caller's quota. */
function isDown(pool: Pool | null): boolean {
  return pool instanceof Gate && pool.isOfProvider;
}

function refusalPool(pool: Pool, now: EpochMs): RefusalPool | null {
  if (pool instanceof Gate) return null;
  const figures = pool.figures(now);
  return {
    id: pool.id,
    name: pool.spec.name,
    unit: pool.spec.unit,
    limit: figures.limit,
    used: figures.used,
    remaining: figures.remaining,
    resetAt: figures.resetAt,
  };
}
