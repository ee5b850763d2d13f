/**
 * Start-time fair queueing (Goyal, Vin, Cheng 1996) over the agents of one class in one pool. An
 * agent's tag is the virtual time at which its next request may start; whoever's tag is smallest goes
 * first, and pays `cost / weight` of virtual time. Virtual time is the start of the last dispatch, so
 * it never runs ahead of somebody who waits (no credit winds up), and who was idle starts at it
 * (nothing is banked).
 */
import type { DurationMs, MonoMs, Units } from '../units.ts';
import { ServiceMeter } from './fair-meter.ts';
import { Stretch } from './fair-stretch.ts';
import { Heap } from './heap.ts';
import type { LiveRequest } from './request.ts';

/** What one agent has waiting in a class of a pool, and how far it got. */
export interface Flow {
  readonly agent: string;
  weight: number;
  /** Virtual time at which its next request may start. */
  tag: number;
  /** Its costliest request so far, in dominant share. */
  largest: number;
  /** Sums over those who wait. */
  cost: number;
  units: Units;
  /** Order in which agents began to wait: breaks ties. */
  since: number;
  place: number;
  /** Latest deadline of those who waited since it last had nobody waiting. */
  latest: MonoMs;
  /** How much longer its requests wait than was worked out, because others come and go first. */
  readonly stretch: Stretch;
  /** Earliest deadline first. */
  readonly waiting: Heap<LiveRequest>;
}

/** What is served before a newcomer of a class. */
export interface Ahead {
  units: Units;
  requests: number;
  /** Those of its own class among the units. */
  own: Units;
  agents: number;
  /** Of the newcomer's agent. */
  readonly weight: number;
}

/**
 * A debt comes of estimates that were too low, one for each request under way, and of going first
 * where nobody else could. Beyond so many of an agent's own largest requests it is forgiven: nobody
 * has that many under way, and a debt that grows without bound would shut an agent out for hours for
 * what it took when it did no harm. A credit needs no bound: nobody who waits falls behind.
 */
const MOST_OWED_REQUESTS = 100;
/** Nor does anybody owe more than the whole of a pool. */
const MOST_OWED_SHARE = 1;
/** Agents with a tag beyond virtual time are remembered; the others are like new ones. */
const FEW_FLOWS = 64;
const MAX_IDLE_FLOWS = 4096;
/** Of more agents, or more requests of one agent, so many are looked at and stand for the rest. */
const SAMPLE = 64;
const OVERTAKEN_SAMPLE = 16;
const NOBODY: MonoMs[] = [];

export class FairClass {
  private readonly flows = new Map<string, Flow>();
  private readonly backlog = new Heap<Flow>(startsBefore, placeFlow);
  /** How fast this class is served, whatever goes before it or is kept from it. */
  readonly meter = new ServiceMeter();
  /** Of all its agents together. */
  readonly stretch = new Stretch();
  private virtual = 0;
  private turns = 0;
  private sweepAbove = FEW_FLOWS;
  size = 0;
  units: Units = 0;
  /** What it is owed as the floor of a class that others go before, in dominant share. */
  owed = 0;

  /** Agents of whom somebody waits. */
  get agents(): number {
    return this.backlog.size;
  }

  head(): LiveRequest | null {
    return this.backlog.peek()?.waiting.peek() ?? null;
  }

  join(request: LiveRequest, weight: number, cost: number, now: MonoMs): void {
    if (this.size === 0) this.meter.resume(now);
    const flow = this.flowOf(request.who.agent, weight);
    flow.waiting.push(request);
    flow.cost += cost;
    flow.units += request.lineUnits;
    if (flow.waiting.size === 1 || request.deadline > flow.latest) flow.latest = request.deadline;
    request.flow = flow;
    request.cost = cost;
    this.size += 1;
    this.units += request.lineUnits;
    if (flow.place >= 0) return;
    flow.tag = Math.max(this.virtual, flow.tag);
    flow.since = ++this.turns;
    this.backlog.push(flow);
  }

  leave(request: LiveRequest): void {
    const { flow } = request;
    if (flow === null) return;
    flow.waiting.removeAt(request.place);
    flow.cost -= request.cost;
    flow.units -= request.lineUnits;
    request.flow = null;
    this.size -= 1;
    this.units -= request.lineUnits;
    if (flow.waiting.size > 0) return;
    this.backlog.removeAt(flow.place);
    // Rounding must not add up.
    flow.cost = 0;
    if (this.size > 0) return;
    this.units = 0;
    this.owed = 0;
  }

  /** Whether a newcomer would be served before those who wait. */
  precedes(request: LiveRequest): boolean {
    const first = this.backlog.peek();
    if (first === undefined) return true;
    const own = this.flows.get(request.who.agent);
    if (own === undefined) return this.virtual < first.tag;
    if (own === first) return earlier(request, first.waiting.peek() ?? request);
    if (own.place >= 0) return startsBefore(own, first);
    return Math.max(this.virtual, own.tag) < first.tag;
  }

  /**
   * Somebody of an agent was let through.
   * @param cost in dominant share
   * @param inTurn false when it went before others whose turn it was: time stands still then
   */
  charge(agent: string, weight: number, cost: number, inTurn: boolean): Flow {
    const flow = this.flowOf(agent, weight);
    const start = flow.place >= 0 ? flow.tag : Math.max(this.virtual, flow.tag);
    if (inTurn && start > this.virtual) this.virtual = start;
    if (cost > flow.largest) flow.largest = cost;
    this.move(flow, start + cost / weight);
    return flow;
  }

  /** It cost so much more (or less) than it was charged. */
  correct(flow: Flow, actual: number, charged: number): void {
    if (actual === charged) return;
    if (actual > flow.largest) flow.largest = actual;
    this.move(flow, flow.tag + (actual - charged) / flow.weight);
  }

  private move(flow: Flow, tag: number): void {
    const { largest, weight } = flow;
    const most = Math.max(largest, Math.min(MOST_OWED_SHARE, MOST_OWED_REQUESTS * largest));
    flow.tag = Math.min(tag, this.virtual + most / weight);
    if (flow.place >= 0) this.backlog.moveAt(flow.place);
  }

  private flowOf(agent: string, weight: number): Flow {
    let flow = this.flows.get(agent);
    if (flow !== undefined) {
      flow.weight = weight;
      return flow;
    }
    if (this.flows.size >= this.sweepAbove) this.sweep();
    flow = {
      agent,
      weight,
      tag: this.virtual,
      largest: 0,
      cost: 0,
      units: 0,
      since: 0,
      place: -1,
      latest: 0,
      stretch: new Stretch(),
      waiting: new Heap<LiveRequest>(earlier, placeRequest),
    };
    this.flows.set(agent, flow);
    return flow;
  }

  /** Forgets those who neither wait nor owe anything; of very many, all who do not wait. */
  private sweep(): void {
    const idle = this.flows.size - this.backlog.size;
    for (const [agent, flow] of this.flows) {
      if (flow.place < 0 && (flow.tag <= this.virtual || idle > MAX_IDLE_FLOWS)) {
        this.flows.delete(agent);
      }
    }
    this.sweepAbove = Math.max(FEW_FLOWS, 2 * this.flows.size);
  }

  /**
   * How many are served before this newcomer as things stand, the own agent's earlier ones included.
   * @param deadline of the newcomer, or a later one
   */
  ahead(request: LiveRequest, weight: number, deadline: MonoMs): Ahead {
    const own = this.flows.get(request.who.agent);
    const waits = own !== undefined && own.place >= 0;
    const share = waits ? earlierShare(own, deadline) : 0;
    const found: Ahead = {
      units: waits ? own.units * share : 0,
      requests: waits ? own.waiting.size * share : 0,
      own: 0,
      agents: 0,
      weight,
    };
    const start = waits ? own.tag : Math.max(this.virtual, own?.tag ?? 0);
    const until = start + (waits ? (own.cost * share) / weight : 0);
    const count = this.backlog.size;
    const step = Math.max(1, count / SAMPLE);
    for (let i = 0; i < count; i += step) {
      const flow = this.backlog.at(Math.floor(i)) as Flow;
      const waiting = flow.waiting.size;
      if (flow === own || flow.tag > until || waiting === 0) continue;
      const each = flow.cost / waiting;
      const turns =
        each <= 0 ? waiting : 1 + Math.floor(((until - flow.tag) * flow.weight) / each + 1e-9);
      const served = Math.min(waiting, turns);
      found.units += step * flow.units * (served / waiting);
      found.requests += step * served;
      found.agents += step;
    }
    found.requests = Math.min(this.size, Math.round(found.requests));
    found.units = Math.min(this.units, found.units);
    found.own = found.units;
    found.agents = Math.min(count, Math.round(found.agents));
    return found;
  }

  stretchOf(agent: string, plainMs: DurationMs): number {
    const others = this.stretch.factor(1, plainMs);
    return this.flows.get(agent)?.stretch.factor(others, plainMs) ?? others;
  }

  /** The same, as well as it goes for one in ten. */
  leastStretchOf(agent: string, plainMs: DurationMs): number {
    const others = this.stretch.least(1, plainMs);
    return this.flows.get(agent)?.stretch.least(others, plainMs) ?? others;
  }

  /** Deadlines of the own agent's requests that this newcomer would go before, ascending; a sample. */
  overtaken(request: LiveRequest): MonoMs[] {
    const own = this.flows.get(request.who.agent);
    if (own === undefined || own.place < 0 || request.deadline >= own.latest) return NOBODY;
    const { waiting } = own;
    const step = Math.max(1, waiting.size / OVERTAKEN_SAMPLE);
    const found: MonoMs[] = [];
    for (let i = waiting.size - 1; i >= 0; i -= step) {
      const { deadline } = waiting.at(Math.floor(i)) as LiveRequest;
      if (deadline > request.deadline) found.push(deadline);
    }
    return found.sort((a, b) => a - b);
  }

  /** Share of the class's service that an agent of this weight gets while all of them wait. */
  fairShare(agent: string, weight: number): number {
    const count = this.backlog.size;
    const step = Math.max(1, count / SAMPLE);
    let weights = 0;
    for (let i = 0; i < count; i += step) {
      weights += step * (this.backlog.at(Math.floor(i)) as Flow).weight;
    }
    const waits = (this.flows.get(agent)?.place ?? -1) >= 0;
    return weight / Math.max(weight, waits ? weights : weights + weight);
  }

  /** The first so many, about in the order in which they would be served. */
  inOrder(most: number): LiveRequest[] {
    const flows = this.backlog.first(most);
    const each = Math.max(1, Math.floor(most / Math.max(1, flows.length)));
    return flows.flatMap((flow) => flow.waiting.first(each));
  }

  /** Of all who wait, he whose deadline is earliest. */
  soonest(): LiveRequest | null {
    let soonest: LiveRequest | null = null;
    for (let i = 0; i < this.backlog.size; i++) {
      const first = this.backlog.at(i)?.waiting.peek();
      if (first !== undefined && (soonest === null || earlier(first, soonest))) soonest = first;
    }
    return soonest;
  }

  /** Everybody, in no order. */
  all(): LiveRequest[] {
    const all: LiveRequest[] = [];
    for (let i = 0; i < this.backlog.size; i++) {
      const { waiting } = this.backlog.at(i) as Flow;
      for (let j = 0; j < waiting.size; j++) all.push(waiting.at(j) as LiveRequest);
    }
    return all;
  }
}

function startsBefore(a: Flow, b: Flow): boolean {
  return a.tag !== b.tag ? a.tag < b.tag : a.since < b.since;
}

export function earlier(a: LiveRequest, b: LiveRequest): boolean {
  return a.deadline !== b.deadline ? a.deadline < b.deadline : a.seq < b.seq;
}

function placeFlow(flow: Flow, index: number): void {
  flow.place = index;
}

function placeRequest(request: LiveRequest, index: number): void {
  request.place = index;
}

/** 0…1 of an agent's waiting requests whose deadline is no later than this one. */
function earlierShare({ waiting, latest }: Flow, deadline: MonoMs): number {
  if (deadline >= latest) return 1;
  const count = waiting.size;
  const step = Math.max(1, count / SAMPLE);
  let before = 0;
  let seen = 0;
  // From the end: the last ones to come stand there, and mostly have the latest deadlines.
  for (let i = count - 1; i >= 0; i -= step) {
    seen += 1;
    if ((waiting.at(Math.floor(i)) as LiveRequest).deadline <= deadline) before += 1;
  }
  return seen === 0 ? 0 : before / seen;
}
