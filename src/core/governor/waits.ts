/** Of one who waits: what its wait came to, and whether more of it helps. */
import { Gate } from '../quota/gate.ts';
import { NEVER, ON_EVENT, type Pool } from '../quota/pool.ts';
import type { EpochMs, Instant, MonoMs } from '../units.ts';
import type { Obstacle } from './judge.ts';
import type { Turn, WaitLine } from './line.ts';
import type { LiveRequest } from './request.ts';

/** Its wait is over: what was worked out of it is compared with what it was. */
export function learn(request: LiveRequest, now: MonoMs): void {
  const { promise } = request;
  request.promise = null;
  if (promise === null) return;
  for (const one of promise.learners) one.add(now - promise.at, promise.waitMs);
}

export function turnOf(line: WaitLine, request: LiveRequest, now: EpochMs): Turn {
  if (line.next(now) !== request) return 'backfill';
  if (line.owedFloor(now) !== request) return 'turn';
  for (let above = 0; above < request.rank; above++) {
    if (line.fair(above).size > 0) return 'floor';
  }
  return 'turn';
}

/**
 * Of a newcomer who may go at once: the line that he goes past, and whether in turn there; `null`:
 * nobody waits for anything that he draws on.
 */
export function turnPast(
  request: LiveRequest,
  lines: ReadonlyMap<Pool, WaitLine>,
  now: EpochMs,
): { readonly line: WaitLine; readonly turn: Turn } | null {
  let passed: WaitLine | null = null;
  for (const { pool } of request.draws) {
    const line = lines.get(pool);
    if (line === undefined || line.size === 0) continue;
    if (line.before(request, now) !== null) return { line, turn: 'backfill' };
    passed = line;
  }
  return passed === null ? null : { line: passed, turn: 'turn' };
}

/** Waiting does not help. */
export function isHopeless({ at, pool }: Obstacle): boolean {
  return at === NEVER || (pool instanceof Gate && pool.hopeless);
}

/**
 * It waited for what others had set aside of a budget, and they spent it: what is left to wait for is
 * the window's end, beyond its time.
 */
export function spentForLong(request: LiveRequest, found: Obstacle, at: Instant): boolean {
  if (!found.pool.refundable || found.at >= ON_EVENT) return false;
  return found.at - at.wall > request.deadline - at.mono;
}
