import type { Effect, Engine, Input } from '../engine.ts';
import type { Entry } from '../ledger/entry.ts';
import { GLOBAL, type Instant, type MonoMs, type Seq } from '../units.ts';
import { Arrivals } from './arrivals.ts';
import { momentOf, setBack } from './clock.ts';
import { Course } from './course.ts';
import { entryOf } from './entries.ts';
import { evolve } from './evolve.ts';
import { FROM_HISTORY } from './demand.ts';
import { Intents } from './intents.ts';
import { NumberTable } from './number-table.ts';
import type { EngineOptions } from './options.ts';
import { Outlook } from './outlook.ts';
import { ForecastDemand } from './outlook-demand.ts';
import { tellForecasts, tellLastForecasts } from './outlook-telling.ts';
import type { LiveRequest } from './request.ts';
import { EngineState } from './state.ts';
import { Protection } from './protection.ts';
import { Totals } from './totals.ts';
import { WaitingRoom } from './waiting-room.ts';

/** What the parts of the engine share. */
export interface Core {
  readonly state: EngineState;
  readonly options: EngineOptions;
  readonly totals: Totals;
  /** Living requests by the shell's key. */
  readonly live: NumberTable<LiveRequest>;
  readonly effects: Effect[];
  policy: EngineOptions['policy'];
  /** What is kept for classes above. */
  readonly protection: Protection;
  /** What is to come of every pool. */
  readonly outlook: Outlook;
  /** Makes the entry real: folds it, has it written, counts its events. */
  record(entry: Entry): void;
}

/**
 * The governor. One call of `step` is one atomic decision; see core/engine.ts for the inputs and
 * effects. State that must survive a restart changes only through `evolve`.
 */
export class Governor implements Engine, Core {
  readonly state: EngineState;
  readonly options: EngineOptions;
  readonly totals = new Totals();
  readonly live = new NumberTable<LiveRequest>();
  readonly effects: Effect[] = [];
  policy: EngineOptions['policy'];
  readonly protection: Protection;
  readonly outlook: Outlook;
  readonly room: WaitingRoom;
  /** The newest entry of what a provider told, for whoever handed it in. */
  lastObserved: Entry | null = null;
  private readonly arrivals: Arrivals;
  private readonly course: Course;
  private readonly intents: Intents;

  /** When it was last asked anything. */
  private last: Instant | null = null;

  /** @param outlook over that state; after a restart one that recalls what was asked before */
  constructor(
    options: EngineOptions,
    state: EngineState = new EngineState(),
    outlook: Outlook = new Outlook(state),
  ) {
    this.options = options;
    this.policy = options.policy;
    this.state = state;
    this.outlook = outlook;
    const demand = new ForecastDemand((offered) => outlook.classesOf(offered));
    this.protection = new Protection(this, options.demand === 'estimate' ? FROM_HISTORY : demand);
    this.room = new WaitingRoom(this);
    this.arrivals = new Arrivals(this, this.room);
    this.course = new Course(this, this.room);
    this.intents = new Intents(this, this.arrivals);
    state.onRegrouped = () => {
      this.room.regroup();
    };
  }

  get seq(): Seq {
    return this.state.nextSeq;
  }

  wakeAt(): MonoMs | null {
    return this.room.wakeAt();
  }

  record(entry: Entry): void {
    evolve(this.state, entry);
    this.outlook.take(entry);
    this.totals.count(entry);
    if (entry.kind === 'observed') this.lastObserved = entry;
    this.effects.push({ type: 'append', entry });
  }

  step(told: Input): readonly Effect[] {
    this.effects.length = 0;
    const at = this.timeOf(told.at);
    const input = at === told.at ? told : { ...told, at };
    switch (input.type) {
      case 'arrived':
        this.arrivals.arrived(input);
        break;
      case 'woke':
        this.course.expire(input.at);
        this.room.wake(input.at);
        break;
      case 'head':
        this.course.head(input);
        break;
      case 'tapped':
        this.course.tapped(input);
        break;
      case 'ended':
        this.course.ended(input);
        break;
      case 'passive':
        this.course.passive(input);
        break;
      case 'intent':
        this.intents.ask(input);
        break;
      case 'policy':
        this.adopt(input.policy, input.at);
        break;
      case 'note':
        this.note(input.event, input.at, input, input.payload);
        break;
      case 'closing':
        this.room.shutDown(input.at);
        this.outlook.catchUp();
        tellLastForecasts(this, input.at);
        break;
    }
    this.room.settleRegrouping(input.at);
    if (input.type === 'arrived') {
      // Whoever just came is not kept waiting for it: something else follows, unless he is refused.
      if (this.effects.at(-1)?.type !== 'respond') return this.effects;
      this.outlook.catchUp();
    }
    if (input.at.wall >= this.outlook.dueAt) tellForecasts(this, input.at);
    return this.effects;
  }

  private timeOf(told: Instant): Instant {
    const at = momentOf(this.state, told, this.last);
    if (at === null) {
      setBack(this, told, this.last);
      this.room.forgetTickets();
      this.room.regroup();
    }
    return (this.last = at ?? told);
  }

  private adopt(policy: EngineOptions['policy'], at: Instant): void {
    this.policy = policy;
    const who = { agent: 'sentinel:system', identity: GLOBAL, provider: '' };
    this.note('policy_updated', at, who, { hash: policy.hash, source: policy.source });
    this.room.regroup();
  }

  private note(
    type: string,
    at: Instant,
    who: { readonly agent: string; readonly identity: string; readonly provider: string },
    payload: object,
  ): void {
    this.record(
      entryOf(
        'event',
        this.state.nextSeq,
        1,
        at.wall,
        0,
        {
          agent: who.agent,
          identity: who.identity,
          workload: 'sentinel:system',
          scope: GLOBAL,
          provider: who.provider,
        },
        [],
        [type, payload],
      ),
    );
  }

  /** Settles what was in flight when the last process died: nobody knows what it was charged. */
  settleLost(at: Instant): number {
    this.effects.length = 0;
    return this.course.settleLost(this.timeOf(at));
  }
}
