import type { EndedInput, HeadInput, PassiveInput, TappedInput } from '../engine.ts';
import { endedCount, observedCount } from '../ledger/expand.ts';
import type { EndedData } from '../ledger/layout.ts';
import type { Observation } from '../observation.ts';
import type { Hold, Pool } from '../quota/pool.ts';
import {
  MINUTE,
  UNKNOWN,
  type DurationMs,
  type EpochMs,
  type Instant,
  type MicroUsd,
  type MonoMs,
} from '../units.ts';
import { tellDrift } from './drift.ts';
import type { Core } from './engine.ts';
import { entryOf, PoolIndex } from './entries.ts';
import type { UnitsOf } from './fair-share.ts';
import { paceOf } from './gates.ts';
import { observedData, type Observed } from './observing.ts';
import { waitedUntil, type LiveRequest } from './request.ts';
import { Retries } from './retries.ts';
import { costOf, finalCharges, tokensOf } from './settling.ts';
import type { Flight } from './state.ts';
import type { WaitingRoom } from './waiting-room.ts';

const DEFAULT_TTL_MS: DurationMs = 30 * MINUTE;
const SWEEP_EVERY_MS: DurationMs = MINUTE;

/** What happens to a request after it was sent, and what is seen without sending. */
export class Course {
  private readonly core: Core;
  private readonly room: WaitingRoom;
  private readonly retries: Retries;
  private sweptAt: MonoMs = 0;

  constructor(core: Core, room: WaitingRoom) {
    this.core = core;
    this.room = room;
    this.retries = new Retries(core, room);
  }

  head(input: HeadInput): void {
    const request = this.core.live.get(input.key);
    if (request === undefined) return;
    request.status = input.head.status;
    const observations = request.provider.observe(input.head, request.claim);
    const { status, date } = input.head;
    const refused = request.replayable && status >= 400;
    if (!refused || !this.retried(request, observations, input)) {
      this.observe(request, observations, 'head', status, date, input.at);
    }
    this.expire(input.at);
  }

  /** A refusal that may be retried is observed here, whether it then is or not; false: it may not. */
  private retried(
    request: LiveRequest,
    observations: readonly Observation[],
    input: HeadInput,
  ): boolean {
    const { core, retries } = this;
    const { at, head } = input;
    const told = retries.refusal(request, observations, input);
    if (told === null) return false;
    const { state } = core;
    const { party, sentWall } = request;
    const observed = observedData(
      state,
      party,
      told,
      'head',
      head.status,
      sentWall,
      head.date,
      at.wall,
      paceOf(request, told, at.mono),
    );
    if (observed === null || !retries.fits(request, observed, at)) return false;
    const holds = state.flights.get(request.seq)?.holds ?? [];
    this.recordObserved(observed, request, at);
    tellDrift(core, observed.pools, at.wall);
    this.room.settleRegrouping(at);
    request.refusalTold = !retries.again(request, at);
    this.drain(holds, observed, at);
    return true;
  }

  tapped(input: TappedInput): void {
    const request = this.core.live.get(input.key);
    if (request === undefined) return;
    if (input.usage !== null) request.usage = input.usage;
    const told = request.refusalTold ? input.observations.filter(isNews) : input.observations;
    this.observe(request, told, 'tap', request.status, null, input.at);
  }

  private observe(
    request: LiveRequest,
    observations: readonly Observation[],
    source: 'head' | 'tap',
    status: number,
    date: number | null,
    at: Instant,
  ): void {
    const { core } = this;
    const observed = observedData(
      core.state,
      request.party,
      observations,
      source,
      status,
      request.sentWall,
      date,
      at.wall,
      paceOf(request, observations, at.mono),
    );
    if (observed === null) return;
    const holds = core.state.flights.get(request.seq)?.holds ?? [];
    this.recordObserved(observed, request, at);
    tellDrift(core, observed.pools, at.wall);
    this.room.settleRegrouping(at);
    this.drain(holds, observed, at);
  }

  private drain(holds: readonly Hold[], observed: Observed, at: Instant): void {
    for (const hold of holds) this.room.drainPool(hold.pool, at);
    this.drainNamed(observed, at);
  }

  private recordObserved(observed: Observed, request: LiveRequest, at: Instant): void {
    const { core } = this;
    const seq = core.state.nextSeq;
    const count = observedCount(observed.data);
    core.record(
      entryOf(
        'observed',
        seq,
        count,
        at.wall,
        request.seq,
        request.who,
        observed.pools,
        observed.data,
      ),
    );
  }

  /** Pools that were spoken of: whoever waits for them is looked at again. */
  private drainNamed(observed: Observed, at: Instant): void {
    if (this.room.lines.size === 0) return;
    for (const id of observed.pools) {
      const pool: Pool | undefined = this.core.state.pools.get(id) ?? this.core.state.gates.get(id);
      if (pool !== undefined) this.room.drainPool(pool, at);
    }
  }

  ended(input: EndedInput): void {
    const { core, room } = this;
    const request = core.live.get(input.key);
    if (request === undefined) return;
    core.live.delete(input.key);
    const { state } = request;
    if (state === 'over') return;
    if (state === 'asleep' || state === 'queued') {
      request.waitedMs = waitedUntil(request, input.at);
      room.abandon(request, input.at);
    } else request.state = 'over';
    const flight = core.state.flights.get(request.seq);
    const index = new PoolIndex();
    const ending = state === 'sent' ? input.ending : 'gone';
    const charged = ending !== 'gone' && ending !== 'unreachable';
    const data: EndedData = [
      ending,
      request.status,
      Math.max(0, input.at.wall - request.arrivedWall),
      request.waitedMs,
      input.bytesUp,
      input.bytesDown,
      tokensOf(request),
      input.error ?? '',
      charged ? finalCharges(request, flight, index) : [],
      ...this.costs(request, charged),
    ];
    const holds = flight?.holds ?? [];
    this.recordEnded(request, data, index, input.at);
    if (request.charges !== null) room.settled(request, trueUnits(data, index, charged));
    if (room.lines.size > 0) for (const hold of holds) room.drainPool(hold.pool, input.at);
  }

  /** The last member of its ending, where it has one. */
  private costs(request: LiveRequest, charged: boolean): [cost?: MicroUsd | null] {
    const cost = charged ? costOf(request) : undefined;
    if (cost === undefined) return [];
    this.core.totals.spend(request.claim, cost);
    return [cost];
  }

  private recordEnded(
    request: Pick<LiveRequest, 'seq' | 'who'>,
    data: EndedData,
    index: PoolIndex,
    at: Instant,
  ): void {
    const { core } = this;
    const seq = core.state.nextSeq;
    core.record(
      entryOf('ended', seq, endedCount(data), at.wall, request.seq, request.who, index.ids, data),
    );
  }

  passive(input: PassiveInput): void {
    const { core, room } = this;
    const provider = core.options.provider(input.provider);
    if (provider === undefined) throw new Error(`no provider \`${input.provider}\``);
    const card =
      input.identity === null
        ? core.options.identify(provider.id, input.credential)
        : { id: input.identity, kind: 'configured' };
    const party = core.state.party(provider.id, card.id, card.account);
    const claim = provider.classify(input.head, input.body, core.state);
    const observations = [...provider.observe(input.response, claim)];
    const tap = input.body === undefined ? null : provider.responseTap(input.response, claim);
    if (tap !== null && input.source === 'poll') {
      tap.write(input.body ?? '');
      observations.push(...tap.end(true).observations);
    }
    const { status, date } = input.response;
    const observed = observedData(
      core.state,
      party,
      observations,
      input.source,
      status,
      input.seenAt,
      date,
      Math.min(input.seenAt, input.at.wall),
    );
    if (observed === null) return;
    const who = {
      agent: input.agent,
      identity: card.id,
      workload: UNKNOWN,
      scope: claim.scope,
      provider: provider.id,
    };
    const seq = core.state.nextSeq;
    // Written down when it is told, however old the news: the ledger's own times never go back.
    const at = input.at.wall;
    core.record(
      entryOf(
        'observed',
        seq,
        observedCount(observed.data),
        at,
        0,
        who,
        observed.pools,
        observed.data,
      ),
    );
    tellDrift(core, observed.pools, at);
    room.settleRegrouping(input.at);
    this.drainNamed(observed, input.at);
  }

  /** Reservations that nobody settled in a long time. Looked for once a minute. */
  expire(at: Instant): void {
    if (at.mono - this.sweptAt < SWEEP_EVERY_MS) return;
    this.sweptAt = at.mono;
    const ttl = this.core.options.reservationTtlMs ?? DEFAULT_TTL_MS;
    if (!this.maybeLost(at.wall - ttl)) return;
    const waiting = new Set<number>();
    const sent = new Map<number, LiveRequest>();
    for (const request of this.core.live.values()) {
      if (request.state === 'sent') sent.set(request.seq, request);
      else waiting.add(request.seq);
    }
    for (const flight of [...this.core.state.flights.values()]) {
      if (waiting.has(flight.seq)) continue;
      // An answer that still streams holds nothing but concurrency, and is not lost.
      if ((sent.get(flight.seq)?.status ?? 0) > 0) continue;
      if (at.wall - flight.sentAt >= ttl) this.lose(flight, at, 'RESERVATION_EXPIRED');
    }
  }

  /** Mostly nothing is that old, and somebody waits for whatever was not sent: told without a copy. */
  private maybeLost(sentBefore: EpochMs): boolean {
    let unsent = 0;
    let old = 0;
    this.core.state.flights.forEach(({ sentAt }) => {
      if (sentAt === 0) unsent += 1;
      else if (sentAt <= sentBefore) old += 1;
    });
    return old > 0 || unsent !== this.room.waiting;
  }

  settleLost(at: Instant): number {
    const flights = [...this.core.state.flights.values()];
    for (const flight of flights) this.lose(flight, at, 'PROCESS_ENDED');
    return flights.length;
  }

  private lose(flight: Flight, at: Instant, error: string): void {
    const who = {
      agent: UNKNOWN,
      identity: flight.identity,
      workload: UNKNOWN,
      scope: UNKNOWN,
      provider: flight.provider,
    };
    const ending = flight.sentAt > 0 ? 'failed' : 'gone';
    const duration = flight.sentAt > 0 ? Math.max(0, at.wall - flight.sentAt) : 0;
    const index = new PoolIndex();
    const data: EndedData = [ending, 0, duration, 0, 0, 0, null, error, []];
    this.recordEnded({ seq: flight.seq, who }, data, index, at);
    for (const hold of flight.holds) this.room.drainPool(hold.pool, at);
  }
}

/** What a content says of a refusal that its head had told: only that waiting does not help. */
function isNews(one: Observation): boolean {
  return one.kind !== 'throttled' || one.class === 'never';
}

/** What was charged in the end; slots are held, not charged, and count as they were taken. */
function trueUnits(data: EndedData, index: PoolIndex, charged: boolean): UnitsOf {
  return (pool, estimated) => {
    if (!charged) return 0;
    return data[8].find(([place]) => index.ids[place] === pool.id)?.[1] ?? estimated;
  };
}
