/** An identity turned out to be one of several of an account. */
import { gateId } from '../quota/gate.ts';
import { poolId } from '../quota/make.ts';
import type { Pool } from '../quota/pool.ts';
import type { EpochMs } from '../units.ts';
import type { EngineState } from './state.ts';

/** What was known and held under the identity's own name becomes the account's, or part of it. */
export function joinAccount(
  state: EngineState,
  provider: string,
  identity: string,
  account: string,
  now: EpochMs,
): void {
  if (identity === account) return;
  for (const pool of [...state.pools.values()]) {
    const { spec } = pool;
    if (spec.provider !== provider || pool.charged !== identity) continue;
    if (spec.source === 'policy' || spec.shared === true) continue;
    join(state, state.pools, pool, poolId(spec, account), account, now);
  }
  const gate = state.gates.get(gateId(provider, identity));
  if (gate !== undefined) join(state, state.gates, gate, gateId(provider, account), account, now);
}

function join<Kind extends Pool>(
  state: EngineState,
  all: Map<string, Kind>,
  pool: Kind,
  id: string,
  account: string,
  now: EpochMs,
): void {
  all.delete(pool.id);
  const there = all.get(id);
  if (there !== undefined) {
    // What was over before is over, whether or not anybody looked in between.
    pool.resetTime(now);
    there.resetTime(now);
    there.absorb(pool, state.holdsIn(pool));
    return;
  }
  pool.id = id;
  pool.charged = account;
  all.set(id, pool);
}
