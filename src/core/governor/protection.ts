/**
 * Keeps enough of a pool for requests of higher classes that are still to come.
 *
 * Littlewood's rule, solved anew at every request: a unit goes to class j while the chance that a
 * higher class will want it before the reset is below v_j / v_higher, that is while the room exceeds
 * y_j = F⁻¹(1 − v_j / v_higher), F being the distribution of what higher classes will still ask
 * (EMSR-b: all higher classes as one, of their mean value). As the reset nears y_j falls to nothing, so
 * nothing is wasted.
 *
 * Above y_j a unit given away now is lost for the higher classes in the worse cases; kept, it can be
 * given to class j later in the better ones, if then somebody of class j still asks. With p the chance
 * of that, keeping is worth more as long as P(higher demand ≥ room) > v_j (1 − p) / (v_higher − v_j p):
 * Littlewood's rule again for p = 0, while for p = 1 class j only goes at a rhythm that lasts until the
 * reset. So a batch at the front of a window is served at once, and a steady stream is rationed.
 *
 * Rolling windows have no reset: what is kept is the most by which higher classes may outrun the units
 * that come back. Buckets and slots refill all the time, and the order of the line is all that is
 * needed.
 */
import { evenRate, pacingOf, Debt } from '../policy/pacing.ts';
import type { CompiledPolicy } from '../policy/types.ts';
import { ON_EVENT, type Pool } from '../quota/pool.ts';
import { spanOf } from '../quota/span.ts';
import {
  MINUTE,
  SECOND,
  type DurationMs,
  type EpochMs,
  type Priority,
  type Units,
} from '../units.ts';
import { chanceOf, FROM_HISTORY, quantile, type DemandOutlook, type Prospect } from './demand.ts';
import type { WaitLine } from './line.ts';
import { CLASSES, Levels, roomOf, type Level } from './protection-levels.ts';
import { Supplies, UNLIKELY, type Supply } from './protection-supply.ts';
import { keptFor, RANK, unitsFor, type LiveRequest, type PoolDraw } from './request.ts';

/** Rhythms are looked at by timers of about a millisecond: so much may go ahead of its time. */
const SLACK_MS: DurationMs = 50;
const MAX_RATIONS = 4096;
/**
 * Nothing is kept in the last moments of a window: when it ends is known only to about a second, what
 * is still kept then is lost, and who comes then hardly waits. At most this part of the window.
 */
const LAST_MS: DurationMs = 3 * SECOND;
const LAST_SHARE = 0.01;
/** Where requests queue up they go on coming: for each that waits so many will want a unit later. */
const FOLLOWED = 4;
/** Class j of a pool goes at a rhythm. */
interface Ration {
  readonly debt: Debt;
  /** Units a millisecond, as it was worked out last. */
  rate: number;
  level: Level;
  active: boolean;
}

/** When a class may take units, and why not at once. */
interface Solution {
  readonly at: EpochMs;
  readonly level: Level | null;
}

/** Units kept from the class of `rank` for those above it that ask, who are expected to ask so much. */
export interface Kept {
  readonly rank: number;
  readonly above: readonly Priority[];
  readonly kept: Units;
  readonly forecast: Prospect;
}

export class Protection {
  private readonly rules: { readonly policy: CompiledPolicy };
  readonly levels: Levels;
  private readonly rhythms = new Map<Pool, (Ration | null)[]>();
  private readonly supplies = new Supplies();
  private last: { draw: PoolDraw; now: EpochMs; solution: Solution } | null = null;
  private policy: CompiledPolicy | null = null;
  /** Bit by class: may be spread. */
  private spreads = 0;

  constructor(rules: { readonly policy: CompiledPolicy }, outlook: DemandOutlook = FROM_HISTORY) {
    this.rules = rules;
    this.levels = new Levels(outlook, pacingOf(rules.policy));
  }

  /** When this request may take its units: `now` or earlier = at once. Never later than the pool's reset. */
  holdsBackUntil(request: LiveRequest, draw: PoolDraw, now: EpochMs): EpochMs {
    const { offered } = draw.pool;
    if (offered === null) return now;
    if (this.rules.policy !== this.policy) this.adopt(this.rules.policy);
    const { rank } = request;
    if (!offered.above(rank) && (this.spreads & (1 << rank)) === 0) return now;
    const solution = this.solve(request, draw, now);
    // Whoever is held back is mostly asked why: the words need not work it out again.
    this.last = solution.at <= now ? null : { draw, now, solution };
    return solution.at;
  }

  /** Whether what this request draws on is given to its class in a rhythm, when those above ask. */
  rations({ rank }: LiveRequest, { pool }: PoolDraw): boolean {
    if (pool.spec.kind !== 'fixed' || pool.limit === null || pool.offered === null) return false;
    return this.levels.pacing.protect && pool.offered.above(rank);
  }

  /**
   * What its class may be given by when, as things stand: of this window and of those after it, if
   * classes above ask for as little as they hardly ever do.
   */
  supplyOf(
    request: LiveRequest,
    draw: PoolDraw,
    line: WaitLine | null,
    waits: boolean,
    now: EpochMs,
  ): Supply {
    const { pool } = draw;
    const { rank } = request;
    const endsAt = endOf(pool, now);
    let above = 0;
    for (let higher = 0; line !== null && higher < rank; higher++) above += line.fair(higher).units;
    const sure = FOLLOWED * waitingWith(request, line, endsAt);
    const asker = { rank, keep: keptFor(draw), sure, above, waits };
    return this.supplies.of(this.levels, pool, asker, endsAt, now);
  }

  /**
   * When it would be the turn of a newcomer behind `ahead` units of its own class: whoever has a
   * chance may wait for it. `Infinity` where no window ends.
   */
  turnBehind(
    request: LiveRequest,
    draw: PoolDraw,
    ahead: Units,
    now: EpochMs,
    line: WaitLine | null = null,
  ): EpochMs {
    if (!this.rations(request, draw)) return this.rollingTurn(request, draw, ahead, now);
    const turn = this.supplyOf(request, draw, line, false, now).when(ahead + unitsFor(draw));
    return Math.max(now, Math.ceil(turn));
  }

  private rollingTurn(request: LiveRequest, draw: PoolDraw, ahead: Units, now: EpochMs): EpochMs {
    const until = this.holdsBackUntil(request, draw, now);
    const { pool } = draw;
    const ration = this.rhythms.get(pool)?.[request.rank];
    if (until <= now || ahead <= 0 || ration === null || ration === undefined) return until;
    const least = quantile(ration.level.taken, UNLIKELY);
    const later = evenRate(roomOf(pool, now) - least, endOf(pool, now) - now);
    return Math.ceil(Math.max(until, until + ahead / Math.max(ration.rate, later)));
  }

  /** Its units were set aside. */
  sent(request: LiveRequest, now: EpochMs): void {
    if (this.rhythms.size === 0) return;
    for (const draw of request.draws) {
      if (this.supplies.size > 0) this.supplies.sent(draw.pool, request.rank, unitsFor(draw));
      const ration = this.rhythms.get(draw.pool)?.[request.rank];
      if (ration?.active === true) ration.debt.took(unitsFor(draw), now, ration.rate);
    }
  }

  /** For people: what is kept for whom, and when it is this request's turn; `null` when nothing is. */
  words(request: LiveRequest, draw: PoolDraw, now: EpochMs): string | null {
    const { pool } = draw;
    const { last } = this;
    const same = last !== null && last.draw === draw && last.now === now;
    if (!same && this.holdsBackUntil(request, draw, now) <= now) return null;
    const { at, level } = same ? last.solution : this.solve(request, draw, now);
    if (at <= now) return null;
    const turn = `next slot in ${spanOf(at - now)}`;
    const limit = String(pool.limit ?? 0);
    if (level === null || level.kept <= 0) {
      const left = String(Math.max(0, Math.floor(roomOf(pool, now))));
      return `what is left, ${left} of ${limit}, is spread until the reset; ${turn}`;
    }
    const { mean, variance } = level.forecast;
    const names = asking(pool, request.rank)
      .map((name) => `\`${name}\``)
      .join(' and ');
    const forecast = `${String(Math.round(mean))} ± ${String(Math.round(Math.sqrt(variance)))}`;
    const until = pool.spec.kind === 'rolling' ? 'meanwhile' : 'until reset';
    return `kept for ${names}: ${String(Math.ceil(level.kept))} of ${limit}, forecast ${forecast} ${until}; ${turn}`;
  }

  /** What is kept of a pool now, by the class it is kept from; mostly nothing. */
  keptOf(pool: Pool, now: EpochMs): readonly Kept[] {
    const rations = this.rhythms.size === 0 ? undefined : this.rhythms.get(pool);
    if (rations === undefined) return [];
    return rations.flatMap((ration, rank) => {
      if (ration === null || !ration.active) return [];
      const { kept, forecast, now: at } = ration.level;
      const isOld = now - at > Math.min(pool.windowMs ?? MINUTE, MINUTE);
      return kept <= 0 || isOld ? [] : [{ rank, above: asking(pool, rank), kept, forecast }];
    });
  }

  private adopt(policy: CompiledPolicy): void {
    this.policy = policy;
    this.levels.pacing = pacingOf(policy);
    this.spreads = 0;
    for (const name of this.levels.pacing.spread?.classes ?? []) this.spreads |= 1 << RANK[name];
    this.rhythms.clear();
    this.supplies.clear();
  }

  private solve(request: LiveRequest, draw: PoolDraw, now: EpochMs): Solution {
    const { pool } = draw;
    if (pool.limit === null) return { at: now, level: null };
    return pool.spec.kind === 'rolling'
      ? this.solveRolling(request, draw, now)
      : this.solveWindow(request, draw, now);
  }

  private solveWindow(request: LiveRequest, draw: PoolDraw, now: EpochMs): Solution {
    const { pool } = draw;
    const { rank } = request;
    const reset = endOf(pool, now);
    const left = reset - now - Math.min(LAST_MS, LAST_SHARE * (pool.windowMs ?? 0));
    if (left <= 0) return this.free(pool, rank, now);
    const units = unitsFor(draw);
    const room = roomOf(pool, now) - keptFor(draw);
    const known = this.rhythms.get(pool)?.[rank]?.level;
    const level =
      known?.now === now && known.version === pool.offered?.version
        ? known
        : this.levels.levelOf(pool, rank, left, now);
    const kept = Math.max(0, level.kept - keptFor(draw));
    const floor = this.levels.floorRate(pool);
    const spread = this.isSpread(request, pool, room, reset, now);
    let target = kept;
    if (!spread && room - units >= kept) {
      const own = this.levels.ahead(pool, rank, left, now);
      const sure =
        FOLLOWED * waitingWith(request, request.line?.pool === pool ? request.line : null, reset);
      // Its floor goes as long as somebody of it asks, and must not come out of what is kept.
      const spare = room - floor * left * chanceOf(own, floor * left - sure);
      target = Math.max(kept, this.levels.freeAbove(level, own, spare, sure) - keptFor(draw));
      if (spare - units >= target) return this.free(pool, rank, now);
    }
    const even = room - units >= target ? evenRate(room - target, left) : 0;
    const burst = spread ? (this.levels.pacing.spread?.burst ?? 0) * Math.max(0, room - kept) : 0;
    const rate = Math.max(even, floor);
    const ration = this.rationOf(pool, rank, level, now);
    ration.rate = rate;
    ration.active = true;
    let wait = ration.debt.wait(now, rate, Math.max(burst, rate * SLACK_MS));
    // What is kept shrinks about evenly until the reset.
    if (even === 0 && target > 0) wait = Math.min(wait, left * (1 - (room - units) / target));
    return { at: now + Math.max(0, Math.min(left, Math.ceil(wait))), level };
  }

  private isSpread(
    request: LiveRequest,
    pool: Pool,
    room: Units,
    reset: EpochMs,
    now: EpochMs,
  ): boolean {
    const { spread } = this.levels.pacing;
    if (spread === null || (this.spreads & (1 << request.rank)) === 0) return false;
    // Whoever can wait for the reset is served then anyway.
    if (request.arrivedWall + request.maxWaitMs >= reset) return false;
    return this.levels.chanceOfAll(pool, room, reset - now, now) > spread.when;
  }

  private solveRolling(request: LiveRequest, draw: PoolDraw, now: EpochMs): Solution {
    const { pool } = draw;
    const { rank } = request;
    const limit = pool.limit ?? 0;
    const units = unitsFor(draw);
    const room = roomOf(pool, now);
    const known = this.rhythms.get(pool)?.[rank]?.level;
    const level =
      known?.now === now && known.version === pool.offered?.version
        ? known
        : this.levels.rollingLevel(pool, rank, limit - room, now, request.party.identity);
    const kept = Math.max(keptFor(draw), Math.min(level.kept, limit - units));
    if (room - units >= kept) return this.free(pool, rank, now);
    const ration = this.rationOf(pool, rank, level, now);
    ration.rate = this.levels.floorRate(pool);
    ration.active = true;
    const floor = now + ration.debt.wait(now, ration.rate, ration.rate * SLACK_MS);
    const back = pool.earliest(units, now, kept, request.party.identity);
    const latest = now + (pool.windowMs ?? 0);
    return { at: Math.ceil(Math.min(floor, back >= ON_EVENT ? latest : back, latest)), level };
  }

  private free(pool: Pool, rank: number, now: EpochMs): Solution {
    const ration = this.rhythms.size === 0 ? null : this.rhythms.get(pool)?.[rank];
    if (ration !== null && ration !== undefined) ration.active = false;
    return { at: now, level: null };
  }

  private rationOf(pool: Pool, rank: number, level: Level, now: EpochMs): Ration {
    let rations = this.rhythms.get(pool);
    if (rations === undefined) {
      if (this.rhythms.size >= MAX_RATIONS) this.rhythms.clear();
      this.rhythms.set(pool, (rations = [null, null, null]));
    }
    const ration = (rations[rank] ??= { debt: new Debt(now), rate: 0, level, active: false });
    ration.level = level;
    return ration;
  }
}

/** Classes above this one that have asked for units of the pool. */
function asking(pool: Pool, rank: number): readonly Priority[] {
  const seen = pool.offered?.seen ?? 0;
  return CLASSES.filter((_, above) => above < rank && (seen & (1 << above)) !== 0);
}

/** Units that its class waits for there and, if all are as patient as this one, will until the reset. */
function waitingWith(request: LiveRequest, line: WaitLine | null, reset: EpochMs): Units {
  if (line === null || request.arrivedWall + request.maxWaitMs < reset) return 0;
  return line.fair(request.rank).units;
}

/** When what a pool holds is whole again. Before its first answer a window is taken to begin now. */
function endOf(pool: Pool, now: EpochMs): EpochMs {
  return pool.resetTime(now) ?? now + (pool.windowMs ?? 0);
}
