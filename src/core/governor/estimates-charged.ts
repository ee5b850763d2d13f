/** What providers charge for estimated units, learned from their answers. Called by the fold alone. */
import type { Entry } from '../ledger/entry.ts';
import type { DecidedData, DrawRow, ObservedData } from '../ledger/layout.ts';
import { Charging } from '../quota/charging.ts';
import type { Pool } from '../quota/pool.ts';
import { MINUTE } from '../units.ts';
import type { EngineState, Flight } from './state.ts';

/** A request goes out with an estimate of what it is charged. */
export function estimateSent(entry: Entry, pool: Pool, draw: DrawRow): void {
  if (!pool.estimated) return;
  (pool.charging ??= new Charging()).sent(entry.request, draw[9] ?? draw[1], entry.at);
}

/** What its answer says is left tells what it was charged. */
export function estimateAnswered(entry: Entry, flight: Flight, data: ObservedData): void {
  for (const { pool } of flight.holds) {
    const { charging, limit } = pool;
    if (charging === null) continue;
    const row = data[4].find(([index]) => entry.pools[index] === pool.id);
    const remaining = row?.[2] ?? -1;
    if (limit === null || remaining < 0) {
      charging.lost(flight.seq, true);
      continue;
    }
    const perUnit = (pool.windowMs ?? MINUTE) / Math.max(1, limit);
    const missing = Math.max(0, limit - remaining);
    const others = pool.outside?.rate ?? 0;
    charging.answered(flight.seq, missing, data[1] >= 400, perUnit, others);
  }
}

/** It ended, perhaps without an answer. `reached`: the provider may have charged it. */
export function estimateOver(flight: Flight, reached: boolean): void {
  for (const { pool } of flight.holds) pool.charging?.lost(flight.seq, reached);
}

/** Refused for its size: whatever is as large is refused by us from now on. */
export function refusedAsTooLarge(
  state: EngineState,
  entry: Entry,
  flight: Flight,
  row: ObservedData[5][number],
): void {
  const [kind, scope, index] = row;
  if (kind !== 'never' || scope !== 'request') return;
  const pool = state.pools.get(entry.pools[index] ?? '');
  pool?.charging?.refusedAsTooLarge(flight.seq, pool.limit, entry.at);
}

/** We refused it for its size: what taught us may be out of date by the next time. */
export function heldTooLarge(state: EngineState, entry: Entry, data: DecidedData): void {
  state.pools.get(entry.pools[data[13]] ?? '')?.charging?.forgetTooLarge(entry.at);
}
