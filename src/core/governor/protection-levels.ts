/**
 * How much of a pool is kept for higher classes: Littlewood's rule and what is left of it when a unit
 * that is kept may still be given away later. See protection.ts.
 */
import { evenRate } from '../policy/pacing.ts';
import type { PolicyPacing } from '../policy/types.ts';
import { ON_EVENT, type Pool } from '../quota/pool.ts';
import type { DurationMs, EpochMs, Priority, Units } from '../units.ts';
import { chanceOf, NOTHING, quantile, together } from './demand.ts';
import type { DemandOutlook, Prospect } from './demand.ts';

export const CLASSES: readonly Priority[] = ['high', 'normal', 'background'];
/** However sure it seems that a unit can be given away later: never keep everything for that. */
const MOST_SURE = 0.9999;
/** Points at which a rolling window is looked at, from now until all of it has come back. */
const STEPS = 4;

/** What is kept of one pool from one class, as it was worked out last. */
export interface Level {
  /** Units asked by higher classes until the reset. */
  readonly forecast: Prospect;
  /** The same with what consumers outside take meanwhile, whom nobody can hold back. */
  readonly taken: Prospect;
  /** Units below which only the floor share goes. */
  readonly kept: Units;
  /** Of a unit's value to the higher classes: 0…1. */
  readonly worth: number;
  readonly now: EpochMs;
  readonly version: number;
}

/** A window as a class finds it. */
export interface Situation {
  readonly room: Units;
  /** Milliseconds until its end. */
  readonly left: DurationMs;
  /** Floor share, units a millisecond. */
  readonly floor: number;
  /** Units that the class will want in any case. */
  readonly sure: Units;
}

/** Works levels out; keeps nothing. */
export class Levels {
  pacing: PolicyPacing;
  private readonly outlook: DemandOutlook;

  constructor(outlook: DemandOutlook, pacing: PolicyPacing) {
    this.outlook = outlook;
    this.pacing = pacing;
  }

  /** Chance that all classes together ask for as much before `ms` are over. */
  chanceOfAll(pool: Pool, units: Units, ms: DurationMs, now: EpochMs): number {
    let all = NOTHING;
    for (let rank = 0; rank < CLASSES.length; rank++) {
      all = together(all, this.ahead(pool, rank, ms, now));
    }
    return chanceOf(all, Math.max(1, units));
  }

  ahead(pool: Pool, rank: number, ms: DurationMs, now: EpochMs): Prospect {
    return pool.offered === null ? NOTHING : this.outlook.ahead(pool.offered, rank, ms, now);
  }

  /** @param left how far ahead higher classes count */
  levelOf(pool: Pool, rank: number, left: DurationMs, now: EpochMs): Level {
    const { forecast, worth } = this.higher(pool, rank, left, now);
    const taken = forecast.mean <= 0 ? NOTHING : together(forecast, outsiders(pool, left));
    const kept = this.pacing.protect ? Math.min(pool.limit ?? 0, quantile(taken, 1 - worth)) : 0;
    return { forecast, taken, kept, worth, now, version: pool.offered?.version ?? 0 };
  }

  /** All higher classes as one; `worth`: of a unit to this class, with theirs as 1. */
  higher(pool: Pool, rank: number, ms: DurationMs, now: EpochMs) {
    const { values } = this.pacing;
    let forecast = NOTHING;
    let value = 0;
    for (let above = 0; above < rank; above++) {
      const one = this.ahead(pool, above, ms, now);
      if (one.mean <= 0) continue;
      value += one.mean * values[CLASSES[above] as Priority];
      forecast = together(forecast, one);
    }
    const own = values[CLASSES[rank] as Priority];
    return { forecast, worth: forecast.mean <= 0 ? 1 : Math.min(1, (own * forecast.mean) / value) };
  }

  /**
   * Room above which nothing is gained by waiting.
   * @param own units that its class will still ask for until the reset
   * @param sure units that it will want in any case
   */
  freeAbove(
    { taken, worth }: Pick<Level, 'taken' | 'worth'>,
    own: Prospect,
    room: Units,
    sure: Units,
  ): Units {
    if (!this.pacing.protect || worth >= 1 || taken.mean <= 0) return 0;
    const later = Math.min(MOST_SURE, chanceOf(own, Math.max(1, room - taken.mean) - sure));
    return quantile(taken, 1 - (worth * (1 - later)) / (1 - worth * later));
  }

  /** The quota's share that every class may have: units a millisecond. */
  floorRate(pool: Pool): number {
    return evenRate((pool.limit ?? 0) * this.pacing.floor, pool.windowMs ?? 0);
  }

  /** Its floor goes as long as somebody of it asks, and must not come out of what is kept. */
  floorAhead(own: Prospect, { left, floor, sure }: Omit<Situation, 'room'>): Units {
    return floor * left * chanceOf(own, floor * left - sure);
  }

  /** Room above which a class goes freely: never below what is kept. */
  target(
    level: Pick<Level, 'taken' | 'worth'>,
    own: Prospect,
    { room, left, floor, sure }: Situation,
    limit: Units,
  ): Units {
    if (!this.pacing.protect || level.taken.mean <= 0) return 0;
    const kept = Math.min(limit, quantile(level.taken, 1 - level.worth));
    const spare = room - this.floorAhead(own, { left, floor, sure });
    return Math.max(kept, this.freeAbove(level, own, spare, sure));
  }

  /** The most by which higher classes may outrun what comes back, looked at in steps of it. */
  rollingLevel(pool: Pool, rank: number, used: Units, now: EpochMs, credential: string): Level {
    const windowMs = pool.windowMs ?? 0;
    let worst = this.levelOf(pool, rank, windowMs / STEPS, now);
    let most = 0;
    for (let step = 1; step <= STEPS; step++) {
      const limit = pool.limit ?? 0;
      const back = pool.earliest(limit - used + (used * step) / STEPS, now, 0, credential);
      const ms = back >= ON_EVENT ? windowMs : Math.min(windowMs, Math.max(0, back - now));
      const level = this.levelOf(pool, rank, ms, now);
      const short = level.kept - (used * (step - 1)) / STEPS;
      if (short <= most) continue;
      most = short;
      worst = level;
    }
    return { ...worst, kept: most };
  }
}

function outsiders({ outside }: Pool, ms: DurationMs): Prospect {
  if (outside === null) return NOTHING;
  const mean = (outside.rate * ms) / 1000;
  return { mean, variance: mean * outside.batch, lump: outside.batch, unsure: 0 };
}

/** Units that nobody has or holds. */
export function roomOf(pool: Pool, now: EpochMs): Units {
  const { remaining, reserved, limit } = pool.figures(now);
  return (remaining ?? limit ?? 0) - reserved;
}
