/** When a newcomer to a line would be served, as things stand and as they went so far. */
import { Gate } from '../quota/gate.ts';
import { HiddenLimit } from '../quota/hidden.ts';
import { NEVER, ON_EVENT, type Pool } from '../quota/pool.ts';
import type { EpochMs, Instant, Units } from '../units.ts';
import type { Ahead } from './fair-class.ts';
import { floorOf, weightOf } from './fair-share.ts';
import type { Obstacle, Surroundings } from './judge.ts';
import type { WaitLine } from './line.ts';
import type { LiveRequest, PoolDraw } from './request.ts';

/** A pool somebody waits for, as a newcomer finds it. */
export interface Place {
  readonly pool: Pool;
  /** `null` at a gate. */
  readonly draw: PoolDraw | null;
  readonly line: WaitLine;
  readonly at: EpochMs;
  readonly units: Units;
  readonly keep: Units;
  readonly held: Obstacle | null;
}

/** A newcomer to a line: when it would be served after those who go before it. */
export function inLine(
  request: LiveRequest,
  place: Place,
  around: Surroundings,
  now: Instant,
): Obstacle {
  const { pool, line, at } = place;
  const { policy } = around;
  const weight = weightOf(policy, request);
  const ahead = line.ahead(request, weight, floorOf(policy));
  const { wall } = now;
  const first = at <= wall ? ON_EVENT : at;
  const base = { pool, at: first, held: false, words: null, line, ahead };
  const untold = { ...base, rough: false, plainMs: null, crowds: false };
  // How fast its line moved in times of trouble says nothing of how fast it will when they are over.
  if (pool instanceof Gate) return untoldUntil(untold, pool.guessing(wall) ? ON_EVENT : first);
  const served = servedAt(request, place, ahead.units, now);
  // It is being served as fast as can be: those before him are gone in a moment.
  if (line.unfinished && served <= wall) return untoldUntil(untold, wall);
  const { draw } = place;
  if (draw !== null && (place.held !== null || around.protection.rations(request, draw))) {
    return inRhythm(request, place, draw, ahead, base, around, now);
  }
  const start = startIn(request, place, served, ahead, now);
  if (start >= ON_EVENT) return untoldUntil(untold, start);
  const plainMs = Math.max(0, start - wall);
  // A hidden limit is met in times of trouble, and its rate rises: past waits tell of neither.
  const hidden = pool instanceof HiddenLimit;
  const fair = line.fair(request.rank);
  const { agent } = request.who;
  const expected = Math.ceil(wall + plainMs * (hidden ? 1 : fair.stretchOf(agent, plainMs)));
  const least = hidden ? 1 : fair.leastStretchOf(agent, plainMs);
  const soonest = Math.ceil(wall + plainMs * least);
  const crowds = overcrowds(request, place, ahead, least, around, now);
  // When a window ends is known; who is served before that, and how soon, is not.
  const end = pool.resetTime(wall);
  const inWindow = end === null || expected < end;
  const rough = (at <= wall && inWindow) || pool.spec.kind === 'concurrent';
  return { ...base, expected, soonest, rough, plainMs, crowds };
}

/**
 * One of a class from which units are kept: it is served in the rhythm of its class, and how that is
 * to go on is known better than any wait so far tells.
 */
function inRhythm(
  request: LiveRequest,
  place: Place,
  draw: PoolDraw,
  ahead: Ahead,
  base: Pick<Obstacle, 'pool' | 'at' | 'held' | 'words' | 'line' | 'ahead'>,
  { policy, protection }: Surroundings,
  now: Instant,
): Obstacle {
  const { line } = place;
  const { wall } = now;
  const turn = (units: Units): EpochMs => protection.turnBehind(request, draw, units, wall, line);
  const deadlines = line.fair(request.rank).overtaken(request);
  let crowds = false;
  if (deadlines.length > 0) {
    const all = line.ahead(request, weightOf(policy, request), floorOf(policy), Infinity);
    crowds = deadlines.some((deadline, i) => {
      const behind = ahead.own + ((all.own - ahead.own) * (i + 1)) / deadlines.length;
      return now.mono + turn(behind) - wall > deadline;
    });
  }
  const expected = turn(ahead.own);
  return { ...base, expected, soonest: expected, rough: false, plainMs: null, crowds };
}

function untoldUntil(untold: Omit<Obstacle, 'expected' | 'soonest'>, expected: EpochMs): Obstacle {
  return { ...untold, expected, soonest: expected };
}

/**
 * A class that others go before is served as fast as it was so far, whatever the pool gives. Windows
 * give everything at once, and a hidden limit has its own rate: of them the past rate tells nothing.
 */
function startIn(
  request: LiveRequest,
  { pool, line }: Place,
  served: EpochMs,
  { own }: Ahead,
  now: Instant,
): EpochMs {
  const { kind } = pool.spec;
  const itself = kind === 'fixed' || kind === 'bucket' || pool instanceof HiddenLimit;
  if (request.rank === 0 || itself) return served;
  const rate = line.fair(request.rank).meter.rate(now.mono);
  if (rate === null || served >= NEVER) return served;
  return Math.max(served >= ON_EVENT ? 0 : served, Math.ceil(now.wall + own / rate));
}

/** When its turn comes behind so many units. */
function servedAt(request: LiveRequest, place: Place, ahead: Units, now: Instant): EpochMs {
  const { pool, line, at, units, keep } = place;
  const { wall } = now;
  const { identity } = request.party;
  const served = ahead > 0 ? pool.earliestBehind(ahead, units, wall, keep, identity) : at;
  if (served >= NEVER) return served;
  if (served < ON_EVENT && served > wall && !pool.guessing(wall)) return served;
  if (line.unfinished && served <= wall) return wall;
  // Where only events make room, how fast the line moved so far is all there is to go by.
  if (pool.limit === null || pool.limit === Infinity) return ON_EVENT;
  const wait = line.waitBehind(ahead + units, now.mono);
  return wait === null ? ON_EVENT : Math.ceil(wall + wait);
}

/**
 * Of one agent the earliest deadline goes first, and who came before was told that he would be served:
 * whoever would make him late comes too late himself.
 */
function overcrowds(
  request: LiveRequest,
  place: Place,
  ahead: Ahead,
  factor: number,
  around: Surroundings,
  now: Instant,
): boolean {
  const { line } = place;
  const { policy } = around;
  const deadlines = line.fair(request.rank).overtaken(request);
  const count = deadlines.length;
  if (count === 0) return false;
  const weight = weightOf(policy, request);
  const all = line.ahead(request, weight, floorOf(policy), Infinity);
  for (let i = 0; i < count; i++) {
    const behind = ahead.units + ((all.units - ahead.units) * (i + 1)) / count;
    // That one is among them, and the newcomer takes as much as it is asked with.
    const wait = servedAt(request, place, behind, now) - now.wall;
    if (wait >= ON_EVENT - now.wall) continue;
    if (now.mono + wait * factor > (deadlines[i] ?? 0)) return true;
  }
  return false;
}
