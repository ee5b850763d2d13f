/**
 * EASY backfill: whoever's turn it is has a reservation for the earliest moment at which all of his
 * pools will have room. Somebody else may go before him only if that moment stays where it is.
 */
import { ON_EVENT, type Pool } from '../quota/pool.ts';
import type { EpochMs, Units } from '../units.ts';
import { keptFor, unitsFor, type LiveRequest } from './request.ts';

/** So many behind the head are looked at whenever room comes, so that a long line stays cheap. */
export const LOOK_AHEAD = 32;

/** When the request could start if nobody else took anything: the latest of its pools. */
export function startOf(request: LiveRequest, now: EpochMs): EpochMs {
  let start = now;
  for (const draw of request.draws) {
    const { identity } = request.party;
    const at = draw.pool.earliest(unitsFor(draw), now, keptFor(draw), identity);
    if (at > start) start = at;
  }
  return start;
}

/** Whether `other` may take its units now and leave the start of `head` where it is. */
export function mayPass(head: LiveRequest, other: LiveRequest, now: EpochMs): boolean {
  let start: EpochMs | null = null;
  for (const draw of head.draws) {
    const { pool } = draw;
    const extra = unitsIn(other, draw.pool);
    if (extra <= 0) continue;
    const { identity } = head.party;
    const units = unitsFor(draw);
    const keep = keptFor(draw);
    const at = Math.max(now, pool.earliest(units, now, keep, identity));
    // It waits for an end that may come at any time: whatever is free by then is its own.
    if (at >= ON_EVENT) return false;
    const after = pool.earliestAfter(extra, units, now, keep, identity);
    if (after <= at) continue;
    start ??= startOf(head, now);
    // Who waits for an event has no known start: nothing may move at all.
    if (start >= ON_EVENT || after > start) return false;
  }
  return true;
}

/** Whether a single unit of this pool could be given to somebody else: asked before a line is searched. */
export function mayBePassed(head: LiveRequest, pool: Pool, now: EpochMs): boolean {
  if (pool.limit === null || pool.limit === Infinity) return false;
  const { identity } = head.party;
  if (pool.earliest(1, now, 0, identity) > now) return false;
  const draw = head.draws.find((one) => one.pool === pool);
  if (draw === undefined) return false;
  const [units, keep] = [unitsFor(draw), keptFor(draw)];
  const at = Math.max(now, pool.earliest(units, now, keep, identity));
  if (at >= ON_EVENT) return false;
  const after = pool.earliestAfter(1, units, now, keep, identity);
  return after <= at || after <= startOf(head, now);
}

function unitsIn(request: LiveRequest, pool: Pool): Units {
  for (const draw of request.draws) if (draw.pool === pool) return unitsFor(draw);
  return 0;
}
