/**
 * Retry-After as a ticket: whoever is refused gets a slot of his own, so that those who come back
 * after a reset do not come all at once. Slots continue past the line at the pool's sustainable rate,
 * each with a jitter that is a hash. A slot whose holder came back is given to the next one.
 */
import type { Pool } from '../quota/pool.ts';
import { SECOND, type DurationMs, type EpochMs, type Seq, type Units } from '../units.ts';
import { unitsFor, type LiveRequest } from './request.ts';

/** Where no rate is known: ten a second. */
const UNRATED_MS: DurationMs = 100;
/** Of a window that gives all back at once nobody need come later than one a second. */
const WIDEST_IN_WINDOW_MS: DurationMs = SECOND;
/** Two resets at most this far apart, in windows, are one. */
const SAME_WINDOW = 0.5;
/** The same question again after this long is a client that does not heed Retry-After. */
const AGAIN_MS: DurationMs = 400;
/** `Retry-After` is rounded up to seconds, and clients are not punctual. */
const LATE_MS: DurationMs = 3 * SECOND;
const MAX_TICKETS = 4096;
const MAX_POOLS = 512;

interface Ticket {
  readonly agent: string;
  /** What was asked, so that the same question is known again. */
  readonly asked: string;
  readonly slot: EpochMs;
  givenAt: EpochMs;
}

interface Slots {
  /** The next that was never given. */
  next: EpochMs;
  /** When the window in which slots are given began, and units booked in it. */
  from: EpochMs;
  booked: Units;
  readonly byAgent: Map<string, Ticket[]>;
  count: number;
  /** Slots given back, ascending. */
  readonly back: EpochMs[];
}

interface InHand {
  readonly slots: Slots;
  readonly slot: EpochMs;
}

export class Tickets {
  private readonly pools = new Map<Pool, Slots>();
  /** The slot of whoever came back too early: his again if he is refused again. */
  private inHand: InHand | null = null;

  get size(): number {
    return this.pools.size;
  }

  /**
   * Somebody asks: was he given a slot, then it is used up.
   * @param pools those that he may have been refused by
   */
  returned(request: LiveRequest, pools: Iterable<Pool>, now: EpochMs): void {
    if (this.inHand !== null) giveBack(this.inHand.slots, this.inHand.slot, now);
    this.inHand = null;
    for (const pool of pools) {
      const slots = this.pools.get(pool);
      const mine = slots?.byAgent.get(request.who.agent);
      if (slots === undefined || mine === undefined) continue;
      const index = mine.findIndex(
        (one) =>
          one.slot <= now + SECOND ||
          (now - one.givenAt >= AGAIN_MS && one.asked === questionOf(request)),
      );
      if (index < 0) continue;
      const [ticket] = mine.splice(index, 1);
      slots.count -= 1;
      if (mine.length === 0) slots.byAgent.delete(request.who.agent);
      if (ticket !== undefined && ticket.slot > now) this.inHand = { slots, slot: ticket.slot };
      return;
    }
  }

  /**
   * A slot for somebody who is refused.
   * @param from when the pool is expected to have room again, those who wait served
   * @returns milliseconds from now, jitter included
   */
  take(request: LiveRequest, pool: Pool, from: EpochMs, seq: Seq, now: EpochMs): DurationMs {
    const slots = this.slotsOf(pool, now);
    const stepMs = stepOf(request, pool);
    const slot =
      this.reused(slots, from) ?? nextSlot(slots, pool, from, stepMs, unitsOf(request, pool));
    const agent = request.who.agent;
    if (slots.count < MAX_TICKETS) {
      const ticket = { agent, asked: questionOf(request), slot, givenAt: now };
      const mine = slots.byAgent.get(agent);
      if (mine === undefined) slots.byAgent.set(agent, [ticket]);
      else mine.push(ticket);
      slots.count += 1;
    }
    return Math.ceil(slot - now + hashed(seq) * Math.max(SECOND, stepMs));
  }

  private reused(slots: Slots, from: EpochMs): EpochMs | null {
    const { inHand } = this;
    if (inHand?.slots === slots && inHand.slot >= from) {
      this.inHand = null;
      return inHand.slot;
    }
    const { back } = slots;
    while (back.length > 0) {
      const slot = back.shift() as EpochMs;
      if (slot >= from) return slot;
    }
    return null;
  }

  private slotsOf(pool: Pool, now: EpochMs): Slots {
    let slots = this.pools.get(pool);
    if (slots !== undefined && slots.next + LATE_MS < now) slots = undefined;
    if (slots === undefined) {
      if (this.pools.size >= MAX_POOLS) this.sweep(now);
      slots = { next: 0, from: 0, booked: 0, byAgent: new Map(), count: 0, back: [] };
      this.pools.set(pool, slots);
    }
    return slots;
  }

  clear(): void {
    this.pools.clear();
    this.inHand = null;
  }

  /** Slots that all have passed concern nobody any more. Called now and then. */
  sweep(now: EpochMs): void {
    for (const [pool, slots] of this.pools) {
      if (slots.next + LATE_MS < now) this.pools.delete(pool);
    }
    if (this.pools.size >= MAX_POOLS) this.pools.clear();
  }
}

function nextSlot(
  slots: Slots,
  pool: Pool,
  from: EpochMs,
  stepMs: DurationMs,
  units: Units,
): EpochMs {
  const { windowMs, limit } = pool;
  if (pool.spec.kind !== 'fixed' || windowMs === null || limit === null) {
    const slot = Math.max(slots.next, from);
    slots.next = slot + stepMs;
    return slot;
  }
  if (from >= slots.from + windowMs * SAME_WINDOW) {
    slots.from = from;
    slots.booked = 0;
  } else if (slots.booked + units > limit) {
    // The window is booked out: whoever comes now is served in the one after it.
    slots.from += windowMs;
    slots.booked = 0;
  }
  const slot = Math.max(slots.booked === 0 ? 0 : slots.next, slots.from, from);
  slots.booked += units;
  slots.next = slot + stepMs;
  return slot;
}

/** How long the pool takes to afford such a request. */
function stepOf(request: LiveRequest, pool: Pool): DurationMs {
  const own = perUnit(pool);
  if (own !== null) {
    const step = own * unitsOf(request, pool);
    return pool.spec.kind === 'fixed' ? Math.min(WIDEST_IN_WINDOW_MS, step) : step;
  }
  for (const draw of request.draws) {
    const step = perUnit(draw.pool);
    if (step !== null) return Math.min(WIDEST_IN_WINDOW_MS, step * Math.max(1, unitsFor(draw)));
  }
  return UNRATED_MS;
}

function perUnit({ limit, windowMs }: Pool): DurationMs | null {
  if (limit === null || limit <= 0 || limit === Infinity || windowMs === null) return null;
  return windowMs / limit;
}

function unitsOf(request: LiveRequest, pool: Pool): Units {
  for (const draw of request.draws) if (draw.pool === pool) return Math.max(1, unitsFor(draw));
  return 1;
}

function questionOf({ head }: LiveRequest): string {
  return `${head.method} ${head.host}${head.path}`;
}

function giveBack(slots: Slots, slot: EpochMs, now: EpochMs): void {
  if (slot <= now || slots.back.length >= MAX_TICKETS) return;
  let at = slots.back.length;
  while (at > 0 && (slots.back[at - 1] as EpochMs) > slot) at -= 1;
  slots.back.splice(at, 0, slot);
}

/** 0…1, the same for the same request whenever it is worked out (the mixer of MurmurHash3). */
export function hashed(seq: Seq): number {
  let mixed = Math.imul((seq | 0) ^ 0x9e3779b9, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}
