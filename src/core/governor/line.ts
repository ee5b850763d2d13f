import type { Pool } from '../quota/pool.ts';
import type { DurationMs, EpochMs, MonoMs, Units } from '../units.ts';
import { FairClass, type Ahead, type Flow } from './fair-class.ts';
import { ServiceMeter } from './fair-meter.ts';
import { unitsFor, type LiveRequest } from './request.ts';

/** What made a request go. */
export type Turn = 'turn' | 'floor' | 'backfill';

/** What a request paid in a line, to be corrected when its true cost is known. */
export interface FairCharge {
  readonly fair: FairClass;
  readonly flow: Flow;
  readonly cost: number;
}

/** Who goes before a newcomer, and whether he may be passed without harm. */
export interface Blocker {
  readonly request: LiveRequest;
  /** Held back for a class above him, or about to go: his own class does not pass him. */
  readonly held: boolean;
}

const OPEN: EpochMs = 0;

/**
 * Those who wait for one pool: classes in order (high, normal, background), in a class agents by
 * start-time fair queueing, of one agent the earliest deadline. Its virtual times outlive the moments
 * in which nobody waits: a bucket's line is empty every few milliseconds.
 */
export class WaitLine {
  readonly pool: Pool;
  readonly meter = new ServiceMeter();
  /** When it is next looked at, monotonic, while `alarmPlace` ≥ 0. */
  alarmAt: MonoMs = 0;
  alarmPlace = -1;
  /** Until then nobody is looked for who waits in vain. */
  shedAt: MonoMs = 0;
  /** When somebody last waited. */
  lastAt: MonoMs = 0;
  size = 0;
  /** Lines whose waiters all need this pool, too: they are looked at after it. */
  readonly followers: WaitLine[] = [];
  draining = false;
  /** Its service was broken off and goes on at once: there is room for whoever is next. */
  unfinished = false;
  /** How many of those who wait draw on each pool. */
  private readonly needs = new Map<Pool, number>();
  readonly classes: readonly [FairClass, FairClass, FairClass] = [
    new FairClass(),
    new FairClass(),
    new FairClass(),
  ];
  /** Classes held back until then for a class above. */
  private readonly heldUntil: [EpochMs, EpochMs, EpochMs] = [OPEN, OPEN, OPEN];

  constructor(pool: Pool) {
    this.pool = pool;
  }

  get units(): Units {
    const [high, normal, background] = this.classes;
    return high.units + normal.units + background.units;
  }

  fair(rank: number): FairClass {
    return this.classes[rank as 0 | 1 | 2];
  }

  join(request: LiveRequest, weight: number, cost: number, now: MonoMs): void {
    if (this.size === 0) this.meter.resume(now);
    request.line = this;
    request.state = 'queued';
    request.lineUnits = this.unitsOf(request);
    this.size += 1;
    this.count(request, 1);
    this.lastAt = now;
    this.fair(request.rank).join(request, weight, cost, now);
  }

  leave(request: LiveRequest): void {
    if (request.line !== this) return;
    request.line = null;
    this.size -= 1;
    this.count(request, -1);
    this.fair(request.rank).leave(request);
  }

  /** Whether everybody who waits draws on this pool as well. */
  allNeed(pool: Pool): boolean {
    return this.needs.get(pool) === this.size;
  }

  private count(request: LiveRequest, by: number): void {
    const { needs } = this;
    if (this.size === 0) return needs.clear();
    for (const { pool } of request.draws) {
      if (pool === this.pool) continue;
      const count = (needs.get(pool) ?? 0) + by;
      if (count > 0) needs.set(pool, count);
      else needs.delete(pool);
    }
  }

  /** Takes everybody out, in no order. */
  clear(): LiveRequest[] {
    const all = this.classes.flatMap((fair) => fair.all());
    for (const request of all) this.leave(request);
    return all;
  }

  /** Whose turn it is: a class that is owed its floor, else the highest that is not held back. */
  next(now: EpochMs): LiveRequest | null {
    const owed = this.owedFloor(now);
    if (owed !== null) return owed;
    for (let rank = 0; rank < 3; rank++) {
      if (!this.isHeld(rank, now)) {
        const head = this.fair(rank).head();
        if (head !== null) return head;
      }
    }
    return null;
  }

  /** The head of a lower class that was passed over for so long that it goes first now. */
  owedFloor(now: EpochMs): LiveRequest | null {
    for (let rank = 1; rank < 3; rank++) {
      const fair = this.fair(rank);
      if (fair.size === 0 || fair.owed <= 0 || this.isHeld(rank, now)) continue;
      const head = fair.head();
      if (head !== null && fair.owed >= head.cost) return head;
    }
    return null;
  }

  /** Who stands before this request (in line or a newcomer); `null`: it is its turn. */
  before(request: LiveRequest, now: EpochMs): Blocker | null {
    if (this.size === 0) return null;
    const next = this.next(now);
    if (next === request) return null;
    const { rank } = request;
    for (let above = 0; above <= rank; above++) {
      if (!this.isHeld(above, now)) continue;
      const held = this.fair(above).head();
      if (held !== null && held !== request) return { request: held, held: true };
    }
    if (next === null || next.rank > rank) {
      if (next === null || next !== this.owedFloor(now)) return null;
    } else if (next.rank === rank && request.line !== this && this.fair(rank).precedes(request)) {
      return null;
    }
    // In the middle of letting many go nobody passes: there may be no room for the last of them.
    return { request: next, held: this.unfinished };
  }

  hold(rank: number, until: EpochMs): void {
    this.heldUntil[rank as 0 | 1 | 2] = until;
  }

  /** All classes are asked again. */
  letGo(): void {
    this.heldUntil.fill(OPEN);
  }

  /** When the first class that is held back may be asked again, or `null`. */
  heldNext(now: EpochMs): EpochMs | null {
    let first: EpochMs | null = null;
    for (let rank = 0; rank < 3; rank++) {
      const until = this.heldUntil[rank as 0 | 1 | 2];
      if (until <= now || this.fair(rank).size === 0) continue;
      if (first === null || until < first) first = until;
    }
    return first;
  }

  isHeld(rank: number, now: EpochMs): boolean {
    return this.heldUntil[rank as 0 | 1 | 2] > now;
  }

  /**
   * Somebody was let through, from this line or past it.
   * @param cost in dominant share
   * @param floor share owed to each lower class that waits
   */
  charge(
    request: LiveRequest,
    weight: number,
    cost: number,
    turn: Turn,
    floor: number,
  ): FairCharge {
    const { rank } = request;
    const fair = this.fair(rank);
    if (fair.owed > 0) fair.owed = Math.max(0, fair.owed - cost);
    for (let below = rank + 1; below < 3; below++) {
      const lower = this.fair(below);
      const head = lower.head();
      // No more than its next request costs: what is owed is served, not saved.
      if (head !== null) lower.owed = Math.min(head.cost, lower.owed + floor * cost);
    }
    const flow = fair.charge(request.who.agent, weight, cost, turn !== 'backfill');
    return { fair, flow, cost };
  }

  /** What is served before this newcomer as things stand. */
  ahead(request: LiveRequest, weight: number, floor: number, deadline = request.deadline): Ahead {
    const own = this.fair(request.rank);
    const found = own.ahead(request, weight, deadline);
    if (request.rank === 0) return found;
    const { units, requests } = found;
    let higher = 0;
    for (let above = 0; above < request.rank; above++) {
      const fair = this.fair(above);
      higher += fair.units;
      found.requests += fair.size;
      found.agents += fair.agents;
    }
    // However many are above, its class gets its floor meanwhile.
    const mine = this.unitsOf(request);
    const byFloor = floor > 0 ? (units + mine) / floor : Infinity;
    found.units = Math.min(units + higher, byFloor);
    found.requests = Math.max(requests, found.requests);
    return found;
  }

  /** The first so many behind whoever's turn it is, about in order. */
  inOrder(most: number): LiveRequest[] {
    const found: LiveRequest[] = [];
    for (const fair of this.classes) {
      if (found.length < most && fair.size > 0) found.push(...fair.inOrder(most - found.length));
    }
    return found;
  }

  unitsOf(request: LiveRequest): Units {
    for (const draw of request.draws) if (draw.pool === this.pool) return unitsFor(draw);
    return 1;
  }

  /** Somebody takes units while others wait. */
  served(rank: number, units: Units, now: MonoMs): void {
    this.meter.served(units, now);
    this.fair(rank).meter.served(units, now);
  }

  /** Expected wait behind so many units where only events make room; `null`: too little was seen. */
  waitBehind(units: Units, now: MonoMs): DurationMs | null {
    const rate = this.meter.rate(now);
    return rate === null ? null : units / rate;
  }
}
