import { requestId } from '../ledger/expand.ts';
import type { WokeData } from '../ledger/layout.ts';
import { Gate } from '../quota/gate.ts';
import { ON_EVENT, type Pool } from '../quota/pool.ts';
import { GLOBAL, type DurationMs, type Instant, type MonoMs } from '../units.ts';
import type { Core } from './engine.ts';
import { drawRows, entryOf, PoolIndex, NO_SPECS } from './entries.ts';
import { Heap } from './heap.ts';
import { obstacle, overLong, weigh, type Judgement, type Obstacle } from './judge.ts';
import { WaitLine } from './line.ts';
import { quotaFields } from './quota-fields.ts';
import { refusalOf } from './refusing.ts';
import type { LiveRequest, PoolDraw } from './request.ts';
import { gateId } from './state.ts';

/** Something to look at at a time: a request (its sleep or deadline ends) or a line. */
interface Alarm {
  readonly at: MonoMs;
  readonly request: LiveRequest | null;
  readonly line: WaitLine | null;
}

/** Everybody who waits, and the one alarm clock for all of them. */
export class WaitingRoom {
  readonly lines = new Map<Pool, WaitLine>();
  private readonly alarms = new Heap<Alarm>((a, b) => a.at < b.at);
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
    this.alarms.push({ at: request.deadline, request, line: null });
    if (request.notBefore > at.mono || found === null) {
      request.state = 'asleep';
      this.alarms.push({ at: request.notBefore, request, line: null });
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

  private setAlarm(line: WaitLine, wall: number, at: Instant): void {
    if (wall >= ON_EVENT) {
      line.wakeAt = null;
      return;
    }
    line.wakeAt = at.mono + Math.max(1, wall - at.wall);
    this.alarms.push({ at: line.wakeAt, request: null, line });
  }

  wakeAt(): MonoMs | null {
    for (;;) {
      const next = this.alarms.peek();
      if (next === undefined) return null;
      if (isDue(next)) return next.at;
      this.alarms.pop();
    }
  }

  wake(at: Instant): void {
    for (;;) {
      const next = this.alarms.peek();
      if (next === undefined || next.at > at.mono) break;
      this.alarms.pop();
      if (!isDue(next)) continue;
      if (next.line !== null) {
        next.line.wakeAt = null;
        this.drain(next.line, at);
      } else if (next.request !== null) this.rouse(next.request, at);
    }
    this.settleRegrouping(at);
  }

  /** A request's own alarm: its time is up, or its sleep is over. */
  private rouse(request: LiveRequest, at: Instant): void {
    const found = this.obstacleFor(request, at);
    const asleep = request.state === 'asleep' && request.notBefore > at.mono;
    if (!asleep && found === null) {
      this.leave(request);
      this.send(request, at);
      return;
    }
    if (request.deadline <= at.mono) {
      this.timedOut(request, found, at);
      return;
    }
    if (request.state !== 'asleep' || asleep || found === null) return;
    const judged = weigh(request, found, 0, null, at);
    if (judged.verdict === 'reject') this.refuse(request, judged, at);
    else this.queue(request, found, at);
  }

  private timedOut(request: LiveRequest, found: Obstacle | null, at: Instant): void {
    const wait =
      found === null || found.expected >= ON_EVENT ? null : Math.max(0, found.expected - at.wall);
    const judged = overLong(request, found, wait, at.wall);
    this.refuse(request, { ...judged, code: 'RL_MAX_WAIT' }, at);
  }

  /** Room may have come: serve the line as far as it goes. */
  drain(line: WaitLine, at: Instant): void {
    for (;;) {
      const head = line.head();
      if (head === null) {
        this.lines.delete(line.pool);
        return;
      }
      const found = this.obstacleFor(head, at);
      if (found === null) {
        this.leave(head);
        this.send(head, at);
      } else if (found.pool === line.pool) {
        if (line.pool instanceof Gate && line.pool.hopeless) this.refuseHopeless(head, found, at);
        else {
          this.setAlarm(line, found.at, at);
          return;
        }
      } else {
        line.leave(head);
        this.queue(head, found, at);
      }
    }
  }

  private refuseHopeless(request: LiveRequest, found: Obstacle, at: Instant): void {
    this.refuse(request, weigh(request, found, 0, null, at), at);
  }

  drainPool(pool: Pool, at: Instant): void {
    if (this.lines.size === 0) return;
    const line = this.lines.get(pool);
    if (line !== undefined) this.drain(line, at);
  }

  drainAll(at: Instant): void {
    for (const line of [...this.lines.values()]) this.drain(line, at);
  }

  /** Pools were renamed or joined while folding: look them up again before anybody is served. */
  regroup(): void {
    this.regrouped = true;
  }

  settleRegrouping(at: Instant): void {
    if (!this.regrouped) return;
    this.regrouped = false;
    const waiting: LiveRequest[] = [];
    for (const line of this.lines.values()) waiting.push(...line.clear());
    this.lines.clear();
    for (const request of waiting) {
      request.draws = request.draws.map((draw) => this.regroupedDraw(request, draw));
    }
    for (const request of waiting) this.requeue(request, at);
  }

  private regroupedDraw(request: LiveRequest, draw: PoolDraw): PoolDraw {
    return { ...draw, pool: this.core.state.poolFor(request.party, draw.pool.spec, []) };
  }

  private requeue(request: LiveRequest, at: Instant): void {
    const found = this.obstacleFor(request, at);
    if (found !== null) this.queue(request, found, at);
    else {
      this.leave(request);
      this.send(request, at);
    }
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

function isDue(alarm: Alarm): boolean {
  if (alarm.line !== null) return alarm.line.wakeAt === alarm.at;
  const { request } = alarm;
  return request !== null && (request.state === 'asleep' || request.state === 'queued');
}
