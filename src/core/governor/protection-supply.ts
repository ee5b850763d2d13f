/**
 * How much a class that is held back may be given by when: of what is left of a fixed window, and of
 * the windows after it. It answers who has still a chance to be served within his wait.
 *
 * The rule that keeps units (protection.ts) is followed into the future in which classes above ask for
 * as little as they hardly ever do: whoever is not served in that one has no chance worth waiting for.
 */
import type { Pool } from '../quota/pool.ts';
import type { DurationMs, EpochMs, Units } from '../units.ts';
import { quantile, rest, within, type Prospect } from './demand.ts';
import { roomOf, type Levels } from './protection-levels.ts';

/** A newcomer is refused when the chance that its turn comes in time is no greater than this. */
export const UNLIKELY = 0.1;
/**
 * Who waits is refused for good when the chance is no greater than this: of all who are refused no more
 * than one in fifty shall have been refused in vain. Looked at so many times a window, the chance is
 * spent over all looks; at twice the time before a deadline one is about independent.
 */
const HARDLY = 0.02;
export const LOOKS = 256;
/** Parts of a window at which it is looked at: what waits not for long must be told most exactly. */
const PARTS = [0, 1 / 128, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1] as const;
/** One is good for such a part of a window, less what was given since … */
const HOLDS = 1 / 128;
/** … as long as that is no more than this part of it. */
const FEW = 1 / 16;
const MOST_POOLS = 1024;

/** Who asks, and what besides the pool itself the rule depends on. */
export interface Asker {
  readonly rank: number;
  /** Units that are never its class's own. */
  readonly keep: Units;
  /** Units that its class will want until the reset in any case. */
  readonly sure: Units;
  /** Units for which classes above it wait already. */
  readonly above: Units;
  /** It waits, and is looked at again until its turn; else a newcomer, who is asked once. */
  readonly waits: boolean;
}

/** What the classes of a pool will ask within `ms`. */
interface Law {
  readonly ms: DurationMs;
  readonly taken: Prospect;
  readonly worth: number;
  readonly own: Prospect;
}

/** Units by time, never falling. */
export class Supply {
  readonly at: EpochMs;
  readonly asker: Asker;
  /** Given to its class since it was worked out. */
  given: Units = 0;
  private readonly endsAt: EpochMs;
  private readonly windowMs: DurationMs;
  private readonly times: EpochMs[];
  private readonly units: Units[] = [0];
  /** Of a whole window. */
  private each: Units = 0;

  constructor(levels: Levels, pool: Pool, asker: Asker, endsAt: EpochMs, now: EpochMs) {
    this.at = now;
    this.asker = asker;
    this.endsAt = endsAt;
    this.windowMs = pool.windowMs ?? 0;
    this.times = [now];
    const room = roomOf(pool, now) - asker.above;
    this.window(levels, pool, lawOf(levels, pool, asker.rank, endsAt - now, now), room);
    const whole = (pool.limit ?? 0) - Math.max(0, asker.above - Math.max(0, roomOf(pool, now)));
    const next = nextLaw(levels, pool, asker.rank, this.windowMs, now);
    this.each = this.window(levels, pool, next, whole);
  }

  isGood(asker: Asker, now: EpochMs): boolean {
    return (
      now < this.endsAt &&
      now - this.at <= this.windowMs * HOLDS &&
      this.given <= (this.units.at(-1) ?? 0) * FEW &&
      asker.keep === this.asker.keep
    );
  }

  /** Adds the points of one window, that holds so much now; returns what it gives in all. */
  private window(levels: Levels, pool: Pool, law: Law, room: Units): Units {
    const { times, units } = this;
    const { keep, sure } = this.asker;
    const { ms, taken, own } = law;
    const [from, before] = [times.at(-1) ?? 0, units.at(-1) ?? 0];
    const floor = levels.floorRate(pool);
    let most = 0;
    for (const gone of PARTS) {
      const left = 1 - gone;
      const chance = this.chanceAt(from + gone * ms);
      const seen = quantile(within(taken, gone), chance);
      const here = room - seen;
      const later = rest(own, gone, own.mean * gone);
      const situation = { room: here, left: left * ms, floor, sure };
      const level = { taken: rest(taken, gone, seen), worth: law.worth };
      const kept = Math.max(keep, levels.target(level, later, situation, pool.limit ?? 0));
      const byFloor = Math.min(room - keep, floor * gone * ms);
      most = Math.max(most, byFloor, here - levels.floorAhead(later, situation) - kept);
      times.push(from + gone * ms);
      units.push(before + most);
    }
    return most;
  }

  /** Chance that classes above ask for less until then than is counted with. */
  private chanceAt(at: EpochMs): number {
    if (!this.asker.waits || this.windowMs <= 0) return UNLIKELY;
    const looks = ((at - this.at) * LOOKS) / this.windowMs;
    return HARDLY / (1 + Math.log2(1 + looks));
  }

  /** Units that the class may have been given by then. */
  by(at: EpochMs): Units {
    const { times, units } = this;
    const last = times.length - 1;
    const end = times[last] ?? 0;
    if (at >= end) {
      const windows = this.windowMs <= 0 ? 0 : (at - end) / this.windowMs;
      return (units[last] ?? 0) + this.each * windows - this.given;
    }
    let i = 1;
    while (i < last && (times[i] ?? 0) <= at) i += 1;
    const [from, until] = [times[i - 1] ?? 0, times[i] ?? 0];
    const [least, most] = [units[i - 1] ?? 0, units[i] ?? 0];
    const share = until <= from ? 1 : Math.max(0, at - from) / (until - from);
    return least + (most - least) * share - this.given;
  }

  /** When so many may have been given; `Infinity` where that never comes. */
  when(wanted: Units): EpochMs {
    const { times, units } = this;
    const all = wanted + this.given;
    for (let i = 1; i < times.length; i++) {
      const most = units[i] ?? 0;
      if (most < all) continue;
      const least = units[i - 1] ?? 0;
      const [from, until] = [times[i - 1] ?? 0, times[i] ?? 0];
      return from + (until - from) * Math.max(0, (all - least) / (most - least));
    }
    if (this.each <= 0) return Infinity;
    const beyond = (all - (units.at(-1) ?? 0)) / this.each;
    return (times.at(-1) ?? 0) + beyond * this.windowMs;
  }
}

function lawOf(levels: Levels, pool: Pool, rank: number, ms: DurationMs, now: EpochMs): Law {
  const { taken, worth } = levels.levelOf(pool, rank, ms, now);
  return { ms, taken, worth, own: levels.ahead(pool, rank, ms, now) };
}

/** Of a window that has not begun. */
function nextLaw(levels: Levels, pool: Pool, rank: number, ms: DurationMs, now: EpochMs): Law {
  const law = lawOf(levels, pool, rank, ms, now);
  const { taken } = law;
  const share = believed(pool, rank, taken, now);
  if (share >= 1) return law;
  const [mean, variance] = [taken.mean * share, taken.variance * share];
  return { ...law, taken: { ...taken, mean, variance } };
}

/**
 * A few requests in the first moments are no rhythm for hours: what was seen for less than a window is
 * not extrapolated to the next ones, for somebody is refused by this figure.
 */
function believed(
  { offered, windowMs }: Pool,
  rank: number,
  taken: Prospect,
  now: EpochMs,
): number {
  if (offered === null || windowMs === null || taken.mean <= 0) return 1;
  let seen: Units = 0;
  let isCold = false;
  for (let above = 0; above < rank; above++) {
    if ((offered.seen & (1 << above)) === 0) continue;
    const { units, exposureMs } = offered.asked(above, windowMs, now);
    isCold ||= exposureMs < windowMs;
    seen += (units * windowMs) / Math.max(exposureMs, windowMs);
  }
  return isCold ? seen / taken.mean : 1;
}

/** By pool and class, as they were worked out last. */
export class Supplies {
  private readonly known = new Map<Pool, (Supply | null)[]>();

  get size(): number {
    return this.known.size;
  }

  of(levels: Levels, pool: Pool, asker: Asker, endsAt: EpochMs, now: EpochMs): Supply {
    let classes = this.known.get(pool);
    if (classes === undefined) {
      if (this.known.size >= MOST_POOLS) this.known.clear();
      this.known.set(pool, (classes = [null, null, null, null, null, null]));
    }
    const place = asker.rank + (asker.waits ? 3 : 0);
    const last = classes[place] ?? null;
    // Those who wait are looked at seldom, and where a deadline is near every second counts.
    if (!asker.waits && last?.isGood(asker, now) === true) return last;
    return (classes[place] = new Supply(levels, pool, asker, endsAt, now));
  }

  sent(pool: Pool, rank: number, units: Units): void {
    const classes = this.known.get(pool);
    if (classes === undefined) return;
    for (let place = rank; place < classes.length; place += 3) {
      const supply = classes[place];
      if (supply !== null && supply !== undefined) supply.given += units;
    }
  }

  clear(): void {
    this.known.clear();
  }
}
