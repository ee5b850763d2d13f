/**
 * Retry-After as a ticket: whoever is refused gets a slot of his own, so that those who come back
 * after a reset do not come all at once. Slots follow one another past the line at the pool's
 * sustainable rate, each with a jitter that is a hash, and a window takes them until it is booked out.
 * A slot is the first free one from when the caller himself would be served: whom others do not hold
 * up in the line, by class or by fair share, they do not hold up here. A slot whose holder came back is
 * given to the next one.
 */
import { ON_EVENT, type Pool } from '../quota/pool.ts';
import { SECOND, type DurationMs, type EpochMs, type Seq, type Units } from '../units.ts';
import type { Judgement } from './judge.ts';
import { unitsFor, type LiveRequest } from './request.ts';
import {
  forgetPast,
  lane,
  MAX_WINDOWS,
  nextFree,
  windowAt,
  type Booking,
  type Lane,
} from './ticket-slots.ts';

/** Where no rate is known: ten a second. */
const UNRATED_MS: DurationMs = 100;
/** Of a window that gives all back at once nobody need come later than one a second. */
const WIDEST_IN_WINDOW_MS: DurationMs = SECOND;
/** The same question again after this long is a client that does not heed Retry-After. */
const AGAIN_MS: DurationMs = 400;
/** `Retry-After` is rounded up to seconds, and clients are not punctual. */
const LATE_MS: DurationMs = 3 * SECOND;
const MAX_TICKETS = 4096;
const MAX_PLACES = 512;
interface Ticket {
  readonly agent: string;
  /** What was asked, so that the same question is known again. */
  readonly asked: string;
  readonly slot: EpochMs;
  givenAt: EpochMs;
}

interface Slots {
  /** Those of whoever has more slots than others, and of those who have fewer. */
  readonly lanes: readonly [Lane, Lane];
  readonly byAgent: Map<string, Ticket[]>;
  count: number;
  /** Slots given back, ascending. */
  readonly back: EpochMs[];
}

/** A rule that refuses: its requests may come back one after the other, so far apart. */
export interface RuleSlots {
  readonly rule: string;
  /** `null` = nobody said. */
  readonly stepMs: DurationMs | null;
}

interface InHand {
  readonly slots: Slots;
  readonly slot: EpochMs;
}

export class Tickets {
  private readonly places = new Map<Pool | string, Slots>();
  /** How many of them are of rules. */
  private rules = 0;
  /** The slot of whoever came back too early: his again if he is refused again. */
  private inHand: InHand | null = null;

  get size(): number {
    return this.places.size;
  }

  /**
   * Somebody asks: was he given a slot, then it is used up.
   * @param pools those that he may have been refused by
   */
  returned(request: LiveRequest, pools: Iterable<Pool>, now: EpochMs): void {
    if (this.inHand !== null) giveBack(this.inHand.slots, this.inHand.slot, now);
    this.inHand = null;
    for (const pool of pools) if (this.useUp(this.places.get(pool), request, now)) return;
    if (this.rules === 0) return;
    for (const [place, slots] of this.places) {
      if (typeof place === 'string' && this.useUp(slots, request, now)) return;
    }
  }

  /** Whether he held one of these slots. */
  private useUp(slots: Slots | undefined, request: LiveRequest, now: EpochMs): boolean {
    const mine = slots?.byAgent.get(request.who.agent);
    if (slots === undefined || mine === undefined) return false;
    const index = mine.findIndex(
      (one) =>
        one.slot <= now + SECOND ||
        (now - one.givenAt >= AGAIN_MS && one.asked === questionOf(request)),
    );
    if (index < 0) return false;
    const [ticket] = mine.splice(index, 1);
    slots.count -= 1;
    if (mine.length === 0) slots.byAgent.delete(request.who.agent);
    if (ticket !== undefined && ticket.slot > now) this.inHand = { slots, slot: ticket.slot };
    return true;
  }

  /** The same refusal with a slot of its own; `by`: what refused, a pool or a rule. */
  given(
    request: LiveRequest,
    judged: Judgement,
    by: Pool | RuleSlots | null,
    seq: Seq,
    now: EpochMs,
  ): Judgement {
    const { retryInMs, verdict } = judged;
    if (by === null || retryInMs === null || verdict !== 'reject') return judged;
    return { ...judged, retryInMs: this.take(request, by, now + retryInMs, seq, now) };
  }

  /**
   * A slot for somebody who is refused.
   * @param from when there is expected to be room again, those who wait served
   * @returns milliseconds from now, jitter included
   */
  private take(
    request: LiveRequest,
    by: Pool | RuleSlots,
    from: EpochMs,
    seq: Seq,
    now: EpochMs,
  ): DurationMs {
    const ofRule = 'rule' in by;
    const slots = this.slotsAt(ofRule ? by.rule : by, now);
    const { agent } = request.who;
    const lane = laneFor(slots, agent);
    const stepMs = ofRule ? (by.stepMs ?? UNRATED_MS) : stepOf(request, by);
    const slot =
      this.reused(slots, lane, from, now) ??
      nextFree(lane, ofRule ? from : bookedFrom(lane, request, by, from, now), stepMs);
    if (slots.count < MAX_TICKETS) {
      const ticket = { agent, asked: questionOf(request), slot, givenAt: now };
      const mine = slots.byAgent.get(agent);
      if (mine === undefined) slots.byAgent.set(agent, [ticket]);
      else mine.push(ticket);
      slots.count += 1;
    }
    return Math.ceil(slot - now + hashed(seq) * Math.max(SECOND, stepMs));
  }

  private reused(slots: Slots, lane: Lane, from: EpochMs, now: EpochMs): EpochMs | null {
    const { inHand } = this;
    if (inHand?.slots === slots && inHand.slot >= from) {
      this.inHand = null;
      return inHand.slot;
    }
    // Those given back are mostly of whoever had many: they may be later than his own lane's.
    if (lane !== slots.lanes[0]) return null;
    const { back } = slots;
    while (back.length > 0 && (back[0] as EpochMs) <= now) back.shift();
    const index = back.findIndex((slot) => slot >= from);
    return index < 0 ? null : (back.splice(index, 1)[0] ?? null);
  }

  private slotsAt(place: Pool | string, now: EpochMs): Slots {
    let slots = this.places.get(place);
    if (slots !== undefined && isOver(slots, now)) this.forget(place);
    else if (slots !== undefined) {
      for (const one of slots.lanes) forgetPast(one, now - LATE_MS);
      return slots;
    }
    if (this.places.size >= MAX_PLACES) this.sweep(now);
    slots = { lanes: [lane(), lane()], byAgent: new Map(), count: 0, back: [] };
    this.places.set(place, slots);
    if (typeof place === 'string') this.rules += 1;
    return slots;
  }

  private forget(place: Pool | string): void {
    if (this.places.delete(place) && typeof place === 'string') this.rules -= 1;
  }

  clear(): void {
    this.places.clear();
    this.rules = 0;
    this.inHand = null;
  }

  /** Slots that all have passed concern nobody any more. Called now and then. */
  sweep(now: EpochMs): void {
    for (const [place, slots] of this.places) if (isOver(slots, now)) this.forget(place);
    if (this.places.size >= MAX_PLACES) this.clear();
  }
}

function isOver({ lanes }: Slots, now: EpochMs): boolean {
  return lanes.every(({ given }) => (given.at(-1)?.to ?? 0) + LATE_MS < now);
}

/**
 * Whoever has fewer slots than his share does not queue behind the many of another agent: he will not
 * stand behind them in the line either, where each agent has its turn.
 */
function laneFor({ lanes, byAgent, count }: Slots, agent: string): Lane {
  const mine = byAgent.get(agent)?.length ?? 0;
  const agents = byAgent.size + (mine === 0 ? 1 : 0);
  return lanes[(mine + 1) * agents <= count ? 1 : 0];
}

/** From when on a pool has room for the caller and for those who hold slots in the same window. */
function bookedFrom(
  { windows }: Lane,
  request: LiveRequest,
  pool: Pool,
  from: EpochMs,
  now: EpochMs,
): EpochMs {
  const { windowMs, limit } = pool;
  const { kind, unit } = pool.spec;
  if ((kind !== 'fixed' && kind !== 'rolling') || windowMs === null || limit === null) return from;
  // Of what is set aside for money nearly all comes back with the answer: it books nothing out.
  if (unit === 'usd') return from;
  while (windows.length > 1 && (windows[0] as Booking).from + windowMs < now) windows.shift();
  const units = unitsOf(request, pool);
  let booking = windowAt(windows, from, windowMs);
  // Whoever comes when a window is booked out is served in the one after it.
  for (let i = 0; i < MAX_WINDOWS && booking.units > 0 && booking.units + units > limit; i++) {
    booking = windowAt(windows, booking.from + windowMs, windowMs);
  }
  booking.units += units;
  const opens = Math.max(from, booking.from);
  if (kind === 'fixed' || booking.from !== windows[0]?.from) return opens;
  // A rolling window gives units back when it took them, which it knows.
  const back = pool.earliest(Math.min(limit, booking.units), now, 0, request.party.identity);
  return back < ON_EVENT ? Math.max(opens, back) : opens;
}

/** How long the pool takes to afford such a request. */
function stepOf(request: LiveRequest, pool: Pool): DurationMs {
  const own = perUnit(pool);
  if (own !== null) {
    const step = own * unitsOf(request, pool);
    const { kind, unit } = pool.spec;
    const steady = kind === 'bucket' && unit !== 'usd';
    return steady ? step : Math.min(WIDEST_IN_WINDOW_MS, step);
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
