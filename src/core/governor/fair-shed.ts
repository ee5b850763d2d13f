/**
 * Who waits and can no longer be served in time is told so when that becomes known, not when his time
 * is up: more wait for what is left of a window than it will give them.
 */
import type { Instant, Units } from '../units.ts';
import type { Flow } from './fair-class.ts';
import type { WaitLine } from './line.ts';
import type { Protection } from './protection.ts';
import { keptFor, type LiveRequest, type PoolDraw } from './request.ts';

/** Parts of a window between two looks: one costs as much as there are who wait. */
const LOOKS = 256;
/** Deadlines at which it is looked whether those who have to go by then still can. */
const CHECKPOINTS = 8;

/** Those of the classes held back who cannot be served in time any more; looked for now and then. */
export function inVain(
  line: WaitLine,
  protection: Protection,
  at: Instant,
): readonly LiveRequest[] {
  const { pool } = line;
  if (pool.spec.kind !== 'fixed' || at.mono < line.shedAt) return NOBODY;
  line.shedAt = at.mono + (pool.windowMs ?? 0) / LOOKS;
  const found: LiveRequest[] = [];
  for (let rank = 1; rank < 3; rank++) {
    const head = line.isHeld(rank, at.wall) ? line.fair(rank).head() : null;
    const draw = head?.draws.find((one) => one.pool === pool);
    if (head === null || draw === undefined) continue;
    found.push(...tooMany(line, head, draw, protection, at));
  }
  return found;
}

/**
 * Of a class that is held back, those whose turn will most probably not come before their deadline,
 * the last in turn first: what the window may still give until then is less than those before them
 * ask. Whoever can wait for the window's end is not among them.
 */
function tooMany(
  line: WaitLine,
  head: LiveRequest,
  draw: PoolDraw,
  protection: Protection,
  at: Instant,
): readonly LiveRequest[] {
  const reset = line.pool.resetTime(at.wall);
  if (reset === null) return NOBODY;
  const endMono = at.mono + reset - at.wall;
  const waiting = line
    .fair(head.rank)
    .all()
    .filter(({ deadline }) => deadline < endMono);
  const count = waiting.length;
  if (count === 0) return NOBODY;
  waiting.sort((a, b) => a.deadline - b.deadline || a.seq - b.seq);
  const turns = turnsOf(waiting);
  const gone = new Set<LiveRequest>();
  let units: Units = 0;
  let next = 0;
  for (let k = 1; k <= CHECKPOINTS; k++) {
    const until = Math.ceil((count * k) / CHECKPOINTS);
    if (until === next) continue;
    for (; next < until; next++) units += waiting[next]?.lineUnits ?? 0;
    const last = waiting[until - 1] as LiveRequest;
    const ms = Math.max(0, last.deadline - at.mono);
    const spans = [ms, Math.max(0, endMono - at.mono - ms)] as const;
    const room = protection.levels.atMost(line.pool, head.rank, spans, keptFor(draw), at.wall);
    if (units <= room) continue;
    const lastFirst = waiting.slice(0, until).filter((one) => one !== head && !gone.has(one));
    lastFirst.sort((a, b) => (turns.get(b) ?? 0) - (turns.get(a) ?? 0));
    for (const one of lastFirst) {
      if (units <= room) break;
      gone.add(one);
      units -= one.lineUnits;
    }
  }
  return [...gone];
}

/** Virtual times at which each starts, those of its agent before it served. */
function turnsOf(byDeadline: readonly LiveRequest[]): ReadonlyMap<LiveRequest, number> {
  const reached = new Map<Flow, number>();
  const turns = new Map<LiveRequest, number>();
  for (const request of byDeadline) {
    const { flow } = request;
    if (flow === null) continue;
    const start = reached.get(flow) ?? flow.tag;
    turns.set(request, start);
    reached.set(flow, start + request.cost / flow.weight);
  }
  return turns;
}

const NOBODY: readonly LiveRequest[] = [];
