import { requestId } from '../ledger/expand.ts';
import type { WokeData } from '../ledger/layout.ts';
import { Gate, gateId } from '../quota/gate.ts';
import { NEVER, ON_EVENT, type Pool } from '../quota/pool.ts';
import {
  GLOBAL,
  SECOND,
  type DurationMs,
  type EpochMs,
  type Instant,
  type MonoMs,
} from '../units.ts';
import { Alarms } from './alarms.ts';
import type { Core } from './engine.ts';
import { drawRows, entryOf, NO_SPECS, poolEntry, PoolIndex } from './entries.ts';
import { redraw } from './intake.ts';
import { obstacle, overLong, weigh, type Judgement, type Obstacle } from './judge.ts';
import { goesBefore, WaitLine } from './line.ts';
import { quotaFields } from './quota-fields.ts';
import { refusalOf } from './refusing.ts';
import type { LiveRequest, PoolDraw } from './request.ts';

/** A line is looked at no later than this, lest a clock that was set keep it waiting. */
const MAX_NAP_MS: DurationMs = 30 * SECOND;

/** Everybody who waits, and the one alarm clock for all of them. */
export class WaitingRoom {
  readonly lines = new Map<Pool, WaitLine>();
  private readonly alarms = new Alarms();
  private readonly core: Core;
  private regrouped = false;
  /** Requests waiting, by provider. */
  readonly depth = new Map<string, number>();

  constructor(core: Core) {
    this.core = core;
  }

  /** Gates that stand before a request of this party; mostly none. */
  gatesFor(request: LiveRequest): readonly Gate[] {
    const { gates } = this.core.state;
    if (gates.size === 0) return NO_GATES;
    const provider = gates.get(gateId(request.provider.id, GLOBAL));
    const own = request.party.gate;
    const found: Gate[] = [];
    if (provider !== undefined && provider.strikes > 0) found.push(provider);
    if (own !== null && own.strikes > 0) found.push(own);
    return found;
  }

  obstacleFor(request: LiveRequest, at: Instant): Obstacle | null {
    return obstacle(request, this.gatesFor(request), this.lines, at.wall);
  }

  /** Begins to wait: asleep until `notBefore`, else in the line of what stands in the way. */
  admit(request: LiveRequest, found: Obstacle | null, at: Instant): void {
    this.depth.set(request.provider.id, (this.depth.get(request.provider.id) ?? 0) + 1);
    this.alarms.forRequest(request, request.deadline);
    if (request.notBefore > at.mono || found === null) {
      request.state = 'asleep';
      this.alarms.forRequest(request, request.notBefore);
    } else this.queue(request, found, at);
  }

  private queue(request: LiveRequest, found: Obstacle, at: Instant): void {
    let line = this.lines.get(found.pool);
    if (line === undefined) {
      line = new WaitLine(found.pool);
      this.lines.set(found.pool, line);
    }
    line.join(request);
    if (line.head() === request) this.setAlarm(line, found.at, at);
  }

  /** An alarm that goes off too early does no harm: the line is looked at and set another. */
  private setAlarm(line: WaitLine, wall: EpochMs, at: Instant): void {
    const wakeAt = at.mono + Math.min(MAX_NAP_MS, Math.max(1, wall - at.wall));
    if (line.wakeAt !== null && line.wakeAt <= wakeAt) return;
    line.wakeAt = wakeAt;
    this.alarms.forLine(line, wakeAt);
  }

  wakeAt(): MonoMs | null {
    return this.alarms.next();
  }

  wake(at: Instant): void {
    for (let next = this.alarms.take(at.mono); next !== null; next = this.alarms.take(at.mono)) {
      if (next.line !== null) {
        next.line.wakeAt = null;
        this.drain(next.line, at);
      } else if (next.request !== null) this.rouse(next.request, at);
    }
  }

  /** A request's own alarm: its time is up, or its sleep is over. */
  private rouse(request: LiveRequest, at: Instant): void {
    const { line } = request;
    const found = this.obstacleFor(request, at);
    const asleep = request.state === 'asleep' && request.notBefore > at.mono;
    if (!asleep && found === null) {
      this.leave(request);
      this.send(request, at);
    } else if (request.deadline <= at.mono) this.timedOut(request, found, at);
    else if (request.state === 'asleep' && !asleep && found !== null) {
      const judged = weigh(request, found, 0, null, at);
      if (judged.verdict === 'reject') this.refuse(request, judged, at);
      else this.queue(request, found, at);
    }
    if (line !== null && request.line === null) this.drain(line, at);
  }

  private timedOut(request: LiveRequest, found: Obstacle | null, at: Instant): void {
    const wait =
      found === null || found.expected >= ON_EVENT ? null : Math.max(0, found.expected - at.wall);
    const judged = overLong(request, found, wait, at.wall);
    this.refuse(request, { ...judged, code: 'RL_MAX_WAIT' }, at);
  }

  /** Room may have come: serve the line as far as it goes. */
  drain(line: WaitLine, at: Instant): void {
    for (let head = line.head(); head !== null; head = line.head()) {
      const found = this.obstacleFor(head, at);
      if (found === null) {
        this.leave(head);
        this.send(head, at);
      } else if (found.pool === line.pool && !isHopeless(found)) {
        this.setAlarm(line, found.at, at);
        return;
      } else {
        line.leave(head);
        this.place(head, found, at);
      }
    }
    line.wakeAt = null;
    if (this.lines.get(line.pool) === line) this.lines.delete(line.pool);
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
    for (const line of this.lines.values()) queued.push(...line.clear());
    this.lines.clear();
    const waiting = this.waiting();
    const made: Pool[] = [];
    // Looking up may itself replace a pool that somebody had looked up already.
    for (let i = 0; this.regrouped && i < 3; i++) {
      this.regrouped = false;
      for (const request of waiting) {
        redraw(this.core.state, request, this.core.policy, made);
      }
    }
    this.regrouped = false;
    for (const pool of made)
      if (!pool.recorded) this.core.record(poolEntry(this.core.state.nextSeq, pool, at.wall));
    queued.sort((a, b) => (goesBefore(a, b) ? -1 : 1));
    for (const request of queued) {
      const found = this.obstacleFor(request, at);
      if (found !== null) this.place(request, found, at);
      else {
        this.leave(request);
        this.send(request, at);
      }
    }
  }

  private waiting(): LiveRequest[] {
    let count = 0;
    for (const depth of this.depth.values()) count += depth;
    if (count === 0) return [];
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

  /** Leaves the room, served or not. Expired alarms are dropped when they come up. */
  leave(request: LiveRequest): void {
    request.line?.leave(request);
    const provider = request.provider.id;
    this.depth.set(provider, Math.max(0, (this.depth.get(provider) ?? 1) - 1));
  }

  /** A waiter's turn has come: set its units aside and send it. */
  private send(request: LiveRequest, at: Instant): void {
    const index = new PoolIndex();
    const rows = drawRows(this.withGates(request), index, at.wall);
    request.waitedMs = Math.round(at.mono - request.arrivedMono);
    const data: WokeData = ['pass', '', '', request.waitedMs, rows, -1, null, NO_SPECS];
    this.recordWoke(request, data, index, at);
    this.forward(request, at, 'delay');
  }

  withGates(request: LiveRequest): readonly PoolDraw[] {
    const gates = this.gatesFor(request);
    if (gates.length === 0) return request.draws;
    return [
      ...request.draws,
      ...gates.map((pool) => ({ pool, units: 0, sure: true, keepShare: 0 })),
    ];
  }

  forward(request: LiveRequest, at: Instant, decision: 'pass' | 'delay'): void {
    request.state = 'sent';
    request.sentWall = at.wall;
    const fields = quotaFields(request.draws, at.wall);
    this.core.effects.push({
      type: 'forward',
      key: request.key,
      id: requestId(request.seq),
      decision,
      waitedMs: request.waitedMs,
      claim: request.claim,
      warnings: request.warnings,
      quotaPolicyField: fields.policy,
      quotaField: fields.state,
    });
  }

  /** Refuses somebody who waited. */
  refuse(request: LiveRequest, judged: Judgement, at: Instant): void {
    this.leave(request);
    request.state = 'over';
    request.waitedMs = Math.round(at.mono - request.arrivedMono);
    const index = new PoolIndex();
    const rows = drawRows(request.draws, index, at.wall);
    const blocking = judged.blocking === null ? -1 : index.of(judged.blocking.id);
    const { code, reason, retryInMs } = judged;
    const waited: DurationMs = request.waitedMs;
    this.recordWoke(
      request,
      ['reject', code, reason, waited, rows, blocking, retryInMs, NO_SPECS],
      index,
      at,
    );
    this.core.effects.push({
      type: 'respond',
      key: request.key,
      waitedMs: waited,
      refusal: refusalOf(request, judged, at.wall),
    });
  }

  private recordWoke(request: LiveRequest, data: WokeData, index: PoolIndex, at: Instant): void {
    const { core } = this;
    const seq = core.state.nextSeq;
    core.record(entryOf('woke', seq, 1, at.wall, request.seq, request.who, index.ids, data));
  }

  /** The daemon stops. */
  close(at: Instant): void {
    for (const request of [...this.core.live.values()]) {
      if (request.state !== 'queued' && request.state !== 'asleep') continue;
      this.refuse(
        request,
        {
          verdict: 'reject',
          code: 'RL_SHUTDOWN',
          reason: 'ratelord is stopping; ask again when it is back',
          blocking: null,
          waitMs: null,
          retryInMs: 1000,
        },
        at,
      );
    }
  }
}

const NO_GATES: readonly Gate[] = [];

/** Waiting does not help. */
function isHopeless({ at, pool }: Obstacle): boolean {
  return at === NEVER || (pool instanceof Gate && pool.hopeless);
}
