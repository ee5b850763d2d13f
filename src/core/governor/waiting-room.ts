import { ON_EVENT, type Pool } from '../quota/pool.ts';
import { SECOND, type DurationMs, type EpochMs, type Instant, type MonoMs } from '../units.ts';
import { Alarms } from './alarms.ts';
import { Departures } from './departures.ts';
import type { Core } from './engine.ts';
import { LOOK_AHEAD, mayBePassed } from './fair-backfill.ts';
import { Contention, dominantShare, weightOf, type UnitsOf } from './fair-share.ts';
import { inVain } from './fair-shed.ts';
import { gatesBefore } from './gates.ts';
import {
  byBudget,
  obstacle,
  overLong,
  ownWait,
  standing,
  weigh,
  type Judgement,
  type Obstacle,
} from './judge.ts';
import { WaitLine } from './line.ts';
import type { LiveRequest, PoolDraw } from './request.ts';
import { lookUpAgain } from './regrouping.ts';
import { STOPPING } from './stopping.ts';
import { Tickets, type RuleSlots } from './tickets.ts';
import { isHopeless, learn, spentForLong, turnOf } from './waits.ts';

/** A line is looked at no later than this, lest a clock that was set keep it waiting. */
const MAX_NAP_MS: DurationMs = 30 * SECOND;

/** So many change lines in one step, lest one step take long; the next ones a moment later. */
const MOST_MOVED = 16;
/**
 * Where all who wait also need the pool that the first of them lack, so many of those go there, and
 * the rest is looked at when that pool gives something: else ten thousand would move to and fro.
 */
const ENOUGH_MOVED = 1;
/**
 * So many are let go, and so many alarms heard, in one step: a window's end may free thousands, and
 * nothing else is done meanwhile. The next ones go in a step at once after it, in the same order.
 */
const MOST_SERVED = 64;

/** Everybody who waits, and the one alarm clock for all of them. */
export class WaitingRoom {
  /** Those in which somebody waits. */
  readonly lines = new Map<Pool, WaitLine>();
  /** Requests waiting, by provider. */
  readonly depth = new Map<string, number>();
  private readonly alarms = new Alarms<LiveRequest | WaitLine>();
  private readonly contention = new Contention();
  private readonly tickets = new Tickets();
  private readonly departures: Departures;
  private readonly core: Core;
  private regrouped = false;
  /** The daemon stops: nobody begins to wait any more, whether new or refused by the provider. */
  private stopping = false;

  constructor(core: Core) {
    this.core = core;
    this.departures = new Departures(core, this.contention);
  }

  /** Gates that stand before a request of this party; mostly none. */
  gatesFor(request: LiveRequest): readonly Pool[] {
    const { state } = this.core;
    if (state.gates.size === 0 && state.hidden.size === 0) return NO_GATES;
    return gatesBefore(state, request);
  }

  obstacleFor(request: LiveRequest, at: Instant): Obstacle | null {
    return obstacle(request, this.gatesFor(request), this.lines, this.core, at);
  }

  /** Begins to wait: asleep until `notBefore`, else in the line of what stands in the way. */
  admit(request: LiveRequest, found: Obstacle | null, at: Instant): void {
    // It was sent and refused: it has had nothing yet.
    this.contention.correct(request, nothing);
    this.depth.set(request.provider.id, (this.depth.get(request.provider.id) ?? 0) + 1);
    if (request.notBefore > at.mono || found === null) {
      request.state = 'asleep';
      this.alarms.set(request, Math.min(request.deadline, request.notBefore));
    } else this.queue(request, found, at);
    if (this.stopping) this.refuse(request, STOPPING, at);
  }

  private queue(request: LiveRequest, found: Obstacle, at: Instant): void {
    const line = this.contention.lineOf(found.pool);
    this.lines.set(found.pool, line);
    line.join(request, weightOf(this.core.policy, request), dominantShare(request), at.mono);
    this.alarms.set(request, request.deadline);
    const { flow } = request;
    if (request.promise === null && found.plainMs !== null && flow !== null) {
      const learners = [flow.stretch, line.fair(request.rank).stretch];
      request.promise = { learners, at: at.mono, waitMs: found.plainMs };
    }
    if (found.held && line.fair(request.rank).head() === request) {
      line.hold(request.rank, found.at);
      this.setAlarm(line, found.at, at);
    } else if (line.next(at.wall) === request) this.setAlarm(line, found.at, at);
  }

  /** An alarm that goes off too early does no harm: the line is looked at and set another. */
  private setAlarm(line: WaitLine, wall: EpochMs, at: Instant): void {
    const wakeAt = at.mono + Math.min(MAX_NAP_MS, Math.max(1, wall - at.wall));
    if (line.alarmPlace >= 0 && line.alarmAt <= wakeAt) return;
    this.alarms.set(line, wakeAt);
  }

  wakeAt(): MonoMs | null {
    return this.alarms.next();
  }

  wake(at: Instant): void {
    this.alarms.hear(at.mono, MOST_SERVED, (one) => {
      if (one instanceof WaitLine) this.drain(one, at);
      else this.rouse(one, at);
    });
  }

  /** A request's own alarm: its time is up, or its sleep is over. */
  private rouse(request: LiveRequest, at: Instant): void {
    const { line } = request;
    const found = this.obstacleFor(request, at);
    const asleep = request.state === 'asleep' && request.notBefore > at.mono;
    if (!asleep && found === null) this.serve(request, at);
    else if (request.deadline <= at.mono) this.timedOut(request, found, at);
    else if (request.state === 'asleep' && !asleep && found !== null) {
      const judged = weigh(request, found, 0, null, at);
      if (judged.verdict === 'reject') this.refuse(request, judged, at);
      else this.queue(request, found, at);
    } else this.alarms.set(request, asleep ? request.notBefore : request.deadline);
    if (line !== null && request.line === null) this.drain(line, at);
  }

  private timedOut(request: LiveRequest, found: Obstacle | null, at: Instant): void {
    const wait =
      found === null || found.expected >= ON_EVENT ? null : Math.max(0, found.expected - at.wall);
    const judged = overLong(request, found, wait, at.wall);
    learn(request, at.mono);
    this.refuse(request, { ...judged, code: 'RL_MAX_WAIT' }, at);
  }

  /** Room may have come: serve the line as far as it goes. */
  drain(line: WaitLine, at: Instant): void {
    line.letGo();
    line.unfinished = false;
    let moved = 0;
    let served = 0;
    let stuck = false;
    for (let head = line.next(at.wall); head !== null; head = line.next(at.wall)) {
      const found = this.stillBefore(head, line, at);
      if (served >= MOST_SERVED) {
        line.unfinished = stuck = true;
        this.alarms.goOn(line, at.mono);
        break;
      }
      if (found === null) {
        this.serve(head, at);
        served += 1;
      } else if (found.pool !== line.pool || isHopeless(found)) {
        if (moved >= ENOUGH_MOVED && this.follow(line, found, at)) break;
        line.leave(head);
        this.place(head, found, at);
        moved += 1;
        if (moved < MOST_MOVED) continue;
        this.setAlarm(line, at.wall, at);
        break;
      } else if (found.held) line.hold(head.rank, found.at);
      else if (spentForLong(head, found, at)) {
        this.refuse(head, overLong(head, found, found.at - at.wall, at.wall), at);
      } else {
        this.setAlarm(line, found.at, at);
        const passed = this.backfill(line, head, at);
        served += passed;
        if (passed > 0) continue;
        stuck = true;
        break;
      }
    }
    const held = line.heldNext(at.wall);
    if (held !== null) this.setAlarm(line, held, at);
    if (line.size > 0 && !line.unfinished) this.shed(line, at);
    if (line.size > 0 && line.shedAt > at.mono) {
      this.setAlarm(line, at.wall + line.shedAt - at.mono, at);
    }
    if (line.size === 0) this.close(line, at);
    if (line.followers.length > 0 && !stuck) this.drainFollowers(line, at);
  }

  private shed(line: WaitLine, at: Instant): void {
    for (const late of inVain(line, this.core.protection, at)) {
      const end = (line.pool.resetTime(at.wall) ?? at.wall) - at.wall;
      learn(late, late.deadline);
      this.refuse(late, overLong(late, this.obstacleFor(late, at), end, at.wall), at);
    }
  }

  /** Those left in this line are looked at when the other pool's line moves. False: they need not wait for it. */
  private follow(line: WaitLine, { pool, at: opens }: Obstacle, at: Instant): boolean {
    const other = this.lines.get(pool);
    if (other === undefined || !line.allNeed(pool)) return false;
    if (!other.followers.includes(line)) other.followers.push(line);
    this.setAlarm(line, opens, at);
    return true;
  }

  private drainFollowers(line: WaitLine, at: Instant): void {
    if (line.draining) return;
    line.draining = true;
    for (const follower of line.followers.splice(0)) {
      if (follower.size > 0) this.drain(follower, at);
    }
    line.draining = false;
  }

  /**
   * What stands before whoever's turn it is. As long as his own pool has no room the others do not
   * matter: he changes lines when his turn here has come, not before.
   */
  private stillBefore(request: LiveRequest, own: WaitLine | null, at: Instant): Obstacle | null {
    const gates = this.gatesFor(request);
    if (gates.length > 0) return this.obstacleFor(request, at);
    const here = own === null ? null : ownWait(request, own.pool, at.wall);
    return here ?? standing(request, this.lines, this.core, at.wall);
  }

  private close(line: WaitLine, at: Instant): void {
    line.lastAt = at.mono;
    this.alarms.remove(line);
    if (this.lines.get(line.pool) === line) this.lines.delete(line.pool);
  }

  /** Those behind the head who delay him by nothing. Tells how many there were. */
  private backfill(line: WaitLine, head: LiveRequest, at: Instant): number {
    const { pool } = line;
    const { wall } = at;
    if (line.size < 2 || !mayBePassed(head, pool, wall)) return 0;
    let served = 0;
    for (const other of line.inOrder(LOOK_AHEAD)) {
      if (other === head || other.line !== line) continue;
      if (pool.earliest(other.lineUnits, wall, 0, other.party.identity) > wall) continue;
      if (this.stillBefore(other, null, at) !== null) continue;
      this.serve(other, at);
      served += 1;
    }
    return served;
  }

  /** Somebody who cannot go now, and is in no line. */
  private place(request: LiveRequest, found: Obstacle, at: Instant): void {
    if (isHopeless(found)) this.refuse(request, weigh(request, found, 0, null, at), at);
    else this.queue(request, found, at);
  }

  drainPool(pool: Pool, at: Instant): void {
    if (this.lines.size === 0) return;
    const line = this.lines.get(pool);
    if (line !== undefined) this.drain(line, at);
  }

  /** Pools or policy changed: look pools up again before anybody is served. */
  regroup(): void {
    this.regrouped = true;
  }

  settleRegrouping(at: Instant): void {
    if (!this.regrouped) return;
    const queued: LiveRequest[] = [];
    for (const line of [...this.lines.values()]) {
      queued.push(...line.clear());
      this.close(line, at);
    }
    const changed = (): boolean => {
      const { regrouped } = this;
      this.regrouped = false;
      return regrouped;
    };
    const unpriced = lookUpAgain(this.core, this.everybody(), changed, at);
    for (const [request, budget] of unpriced) this.refuse(request, byBudget(budget), at);
    queued.sort((a, b) => a.rank - b.rank || a.seq - b.seq);
    for (const request of queued) {
      if (unpriced.has(request)) continue;
      const found = this.obstacleFor(request, at);
      if (found !== null) this.place(request, found, at);
      else this.serve(request, at);
    }
  }

  /** How many wait, in a line or asleep. */
  get waiting(): number {
    let count = 0;
    for (const depth of this.depth.values()) count += depth;
    return count;
  }

  private everybody(): LiveRequest[] {
    if (this.waiting === 0) return [];
    return this.core.live
      .values()
      .filter((request) => request.state === 'queued' || request.state === 'asleep');
  }

  /** A client left, or another step took its request out of the room: who is next may go. */
  abandon(request: LiveRequest, at: Instant): void {
    const { line } = request;
    this.leave(request);
    request.state = 'over';
    if (line !== null) this.drain(line, at);
  }

  /** Leaves the room, served or not. */
  private leave(request: LiveRequest): void {
    request.line?.leave(request);
    this.alarms.remove(request);
    const provider = request.provider.id;
    this.depth.set(provider, Math.max(0, (this.depth.get(provider) ?? 1) - 1));
  }

  /** A waiter goes. */
  private serve(request: LiveRequest, at: Instant): void {
    const { line } = request;
    const turn = line === null ? 'turn' : turnOf(line, request, at.wall);
    if (line !== null) this.core.totals.turn(turn);
    learn(request, at.mono);
    this.leave(request);
    this.departures.send(request, this.withGates(request), line, turn, at);
  }

  withGates(request: LiveRequest): readonly PoolDraw[] {
    const gates = this.gatesFor(request);
    if (gates.length === 0) return request.draws;
    return [
      ...request.draws,
      ...gates.map((pool) => ({ pool, units: 0, sure: true, keepShare: 0 })),
    ];
  }

  /** A newcomer goes. */
  forward(request: LiveRequest, at: Instant): void {
    this.departures.forward(request, null, 'turn', at, 'pass');
  }

  /** What a request really took of its pools is known. */
  settled(request: LiveRequest, unitsOf: UnitsOf): void {
    this.contention.correct(request, unitsOf);
  }

  /** Refuses somebody who waited. */
  private refuse(request: LiveRequest, judged: Judgement, at: Instant): void {
    this.leave(request);
    this.departures.refuse(request, this.ticketed(request, judged, at), at);
  }

  /** A newcomer: a slot that was kept for him is used up. */
  returned(request: LiveRequest, at: Instant): void {
    if (this.tickets.size === 0) return;
    const pools = this.withGates(request).map(({ pool }) => pool);
    this.tickets.returned(request, pools, at.wall);
  }

  /**
   * The same refusal with a slot of its own, so that not everybody comes back at once.
   * @param by what refused, where it is not the pool that decided
   */
  ticketed(
    request: LiveRequest,
    judged: Judgement,
    at: Instant,
    by: Pool | RuleSlots | null = judged.blocking,
  ): Judgement {
    return this.tickets.given(request, judged, by, this.core.state.nextSeq, at.wall);
  }

  /** The clock by which slots were given was wrong. */
  forgetTickets(): void {
    this.tickets.clear();
  }

  /** Whether somebody may begin to wait. */
  get isOpen(): boolean {
    return !this.stopping;
  }

  /** The daemon stops. */
  shutDown(at: Instant): void {
    this.stopping = true;
    for (const request of [...this.core.live.values()]) {
      if (request.state !== 'queued' && request.state !== 'asleep') continue;
      this.refuse(request, STOPPING, at);
    }
  }
}

const NO_GATES: readonly Pool[] = [];

function nothing(): number {
  return 0;
}
