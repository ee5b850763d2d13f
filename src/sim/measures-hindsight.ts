/**
 * Refusals judged in hindsight.
 *
 * A refusal is *false* when the request would have fitted, at some moment between its asking and the
 * end of its greatest wait (or its deadline, if that is earlier), into what the origin's quotas in
 * the end left unused: all its pools at once, without displacing anything that was charged. What one
 * false refusal would have taken is gone for the next, so that a single spare unit makes one of them
 * false and not a thousand. Units are those of the job's real cost.
 */
import { SECOND } from '../core/units.ts';
import type { DurationMs, MonoMs, Units } from '../core/units.ts';
import type { Refused } from './measures-watch.ts';
import type { UpstreamCall, UpstreamPool, UpstreamWindow } from './types.ts';

export interface RefusalTally {
  readonly refusals: number;
  readonly false: number;
  /** False of all; 0 when nothing was refused. */
  readonly ratio: number;
}

/** What a pool left over, and what of it has been given away since. */
interface Room {
  fits(units: Units, at: MonoMs): boolean;
  take(units: Units, at: MonoMs): void;
  /** Moments within the span when it may become roomier, besides its beginning. */
  moments(from: MonoMs, until: MonoMs): readonly MonoMs[];
}

/**
 * Resets are told in whole seconds: a window that began only within the last one of a wait was in time
 * by what nobody could know.
 */
const UNTOLD_MS: DurationMs = SECOND;
/** Looks at so many moments of a wait where room comes back gradually. */
const PROBES = 8;

export function falseRefusals(
  refusals: readonly Refused[],
  pools: readonly UpstreamPool[],
  windows: readonly UpstreamWindow[],
  calls: readonly UpstreamCall[],
): RefusalTally {
  const rooms = roomsOf(pools, windows, calls);
  let wrong = 0;
  for (const { askedAt, job, maxWaitMs } of refusals) {
    const last = Math.min(askedAt + maxWaitMs, job.deadlineAt);
    const needed = Object.entries(job.cost.units)
      .map(([pool, units]) => ({ room: rooms.get(keyOf(job.identity, pool)), units }))
      .filter((one): one is { room: Room; units: Units } => one.room !== undefined);
    const windowed = needed.some(({ room }) => room instanceof FixedRoom);
    const until = windowed ? Math.max(askedAt, last - UNTOLD_MS) : last;
    const moments = needed.flatMap(({ room }) => room.moments(askedAt, until));
    const fitting = [askedAt, ...moments.sort((a, b) => a - b)].find((at) =>
      needed.every(({ room, units }) => room.fits(units, at)),
    );
    if (fitting === undefined) continue;
    for (const { room, units } of needed) room.take(units, fitting);
    wrong += 1;
  }
  const ratio = refusals.length === 0 ? 0 : wrong / refusals.length;
  return { refusals: refusals.length, false: wrong, ratio };
}

function keyOf(identity: string, pool: string): string {
  return `${identity}\n${pool}`;
}

function roomsOf(
  pools: readonly UpstreamPool[],
  windows: readonly UpstreamWindow[],
  calls: readonly UpstreamCall[],
): ReadonlyMap<string, Room> {
  const charges = new Map<string, Charge[]>(
    pools
      .filter(({ kind }) => kind === 'bucket' || kind === 'rolling')
      .map(({ identity, name }) => [keyOf(identity, name), []]),
  );
  for (const { at, identity, charged } of calls) {
    for (const [pool, units] of Object.entries(charged)) {
      if (units > 0) charges.get(keyOf(identity, pool))?.push({ at, units });
    }
  }
  const rooms = new Map<string, Room>();
  for (const pool of pools) {
    const key = keyOf(pool.identity, pool.name);
    const taken = charges.get(key) ?? [];
    if (pool.kind === 'bucket') rooms.set(key, new BucketRoom(pool, taken));
    else if (pool.kind === 'rolling') rooms.set(key, new RollingRoom(pool, taken));
    // Places in a concurrency pool come free again and again: it refuses nobody for long.
    else if (pool.kind === 'fixed') rooms.set(key, new FixedRoom(pool, windows));
  }
  return rooms;
}

interface Charge {
  readonly at: MonoMs;
  readonly units: Units;
}

class FixedRoom implements Room {
  private readonly spans: { from: MonoMs; until: MonoMs; left: Units }[];
  private readonly pool: UpstreamPool;

  constructor(pool: UpstreamPool, windows: readonly UpstreamWindow[]) {
    this.pool = pool;
    this.spans = windows
      .filter((one) => one.pool.identity === pool.identity && one.pool.name === pool.name)
      .map(({ from, until, own, outside }) => ({ from, until, left: pool.limit - own - outside }))
      .sort((a, b) => a.from - b.from);
  }

  fits(units: Units, at: MonoMs): boolean {
    return units <= this.spanAt(at).left;
  }

  take(units: Units, at: MonoMs): void {
    this.spanAt(at).left -= units;
  }

  moments(from: MonoMs, until: MonoMs): readonly MonoMs[] {
    const starts: MonoMs[] = [];
    for (let i = this.after(from); i < this.spans.length; i++) {
      const start = this.spans[i]?.from ?? Infinity;
      if (start > until) break;
      starts.push(start);
    }
    return starts;
  }

  /** The window of that moment. Between two, the request would have opened one of its own. */
  private spanAt(at: MonoMs): { left: Units } {
    const i = this.after(at);
    const before = this.spans[i - 1];
    if (before !== undefined && at < before.until) return before;
    const next = this.spans[i];
    // One that reaches into the next is taken for the next, begun earlier.
    if (next !== undefined && at + this.pool.windowMs > next.from) return next;
    const own = { from: at, until: at + this.pool.windowMs, left: this.pool.limit };
    this.spans.splice(i, 0, own);
    return own;
  }

  /** Index of the first window that begins after that moment. */
  private after(at: MonoMs): number {
    let low = 0;
    for (let high = this.spans.length; low < high;) {
      const middle = (low + high) >> 1;
      if ((this.spans[middle]?.from ?? Infinity) <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Charges by time, with more put in between. */
abstract class ChargedRoom implements Room {
  protected readonly pool: UpstreamPool;
  protected readonly charges: Charge[];

  constructor(pool: UpstreamPool, charges: Charge[]) {
    this.pool = pool;
    this.charges = charges;
  }

  abstract fits(units: Units, at: MonoMs): boolean;

  take(units: Units, at: MonoMs): void {
    this.charges.splice(this.after(at), 0, { at, units });
  }

  moments(from: MonoMs, until: MonoMs): readonly MonoMs[] {
    // A wait without an end is looked at for one window: after that everything is back.
    const span: DurationMs = Math.min(until - from, this.pool.windowMs + SECOND);
    return Array.from({ length: PROBES }, (_, i) => from + (span * (i + 1)) / PROBES);
  }

  /** Index of the first charge after that moment. */
  protected after(at: MonoMs): number {
    let low = 0;
    for (let high = this.charges.length; low < high;) {
      const middle = (low + high) >> 1;
      if ((this.charges[middle]?.at ?? Infinity) <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A bucket's level never falls below nothing, now or later, until the extra is refilled. */
class BucketRoom extends ChargedRoom {
  /** Level after each charge. */
  private readonly levels: Units[];

  constructor(pool: UpstreamPool, charges: Charge[]) {
    super(pool, charges);
    this.levels = this.replay();
  }

  fits(units: Units, at: MonoMs): boolean {
    const { limit, windowMs } = this.pool;
    const { levels } = this;
    const first = this.after(at);
    let level = limit;
    const before = this.charges[first - 1];
    if (before !== undefined) {
      level = Math.min(limit, (levels[first - 1] ?? 0) + ((at - before.at) / windowMs) * limit);
    }
    if (level < units) return false;
    let extra = units;
    let time = at;
    for (let i = first; i < this.charges.length; i++) {
      const charge = this.charges[i] as Charge;
      // What would have run over the brim refills the extra instead.
      extra -= Math.max(0, level + ((charge.at - time) / windowMs) * limit - limit);
      if (extra <= 0) return true;
      level = levels[i] as Units;
      time = charge.at;
      if (level < extra) return false;
    }
    return true;
  }

  override take(units: Units, at: MonoMs): void {
    const { limit, windowMs } = this.pool;
    const first = this.after(at);
    super.take(units, at);
    this.levels.splice(first, 0, 0);
    const before = this.charges[first - 1];
    let level = before === undefined ? limit : (this.levels[first - 1] ?? 0);
    let time = before?.at ?? at;
    for (let i = first; i < this.charges.length; i++) {
      const charge = this.charges[i] as Charge;
      level = Math.min(limit, level + ((charge.at - time) / windowMs) * limit) - charge.units;
      time = charge.at;
      // From here on everything is as it was.
      if (i > first && this.levels[i] === level) return;
      this.levels[i] = level;
    }
  }

  private replay(): Units[] {
    const { limit, windowMs } = this.pool;
    let level = limit;
    let time = 0;
    return this.charges.map(({ at, units }) => {
      level = Math.min(limit, level + ((at - time) / windowMs) * limit) - units;
      time = at;
      return level;
    });
  }
}

/** No window's length that holds the moment has more than the limit. */
class RollingRoom extends ChargedRoom {
  fits(units: Units, at: MonoMs): boolean {
    const { limit, windowMs } = this.pool;
    let sum = this.sumOf(at - windowMs, at) + units;
    if (sum > limit) return false;
    // Then the windows that end with a later charge and still hold the moment.
    let first = this.after(at - windowMs);
    for (let i = this.after(at); i < this.charges.length; i++) {
      const charge = this.charges[i] as Charge;
      if (charge.at >= at + windowMs) return true;
      for (; (this.charges[first]?.at ?? Infinity) <= charge.at - windowMs; first++) {
        sum -= this.charges[first]?.units ?? 0;
      }
      sum += charge.units;
      if (sum > limit) return false;
    }
    return true;
  }

  /** Units of charges after `from`, up to `until`. */
  private sumOf(from: MonoMs, until: MonoMs): Units {
    let sum = 0;
    for (let i = this.after(from); i < this.charges.length; i++) {
      const charge = this.charges[i] as Charge;
      if (charge.at > until) break;
      sum += charge.units;
    }
    return sum;
  }
}
