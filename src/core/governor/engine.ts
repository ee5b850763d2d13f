import type { Effect, Engine, Input } from '../engine.ts';
import type { Entry } from '../ledger/entry.ts';
import { GLOBAL, type Instant, type MonoMs, type Seq } from '../units.ts';
import { Arrivals } from './arrivals.ts';
import { Course } from './course.ts';
import { entryOf } from './entries.ts';
import { evolve } from './evolve.ts';
import { Intents } from './intents.ts';
import { NumberTable } from './number-table.ts';
import type { EngineOptions } from './options.ts';
import type { LiveRequest } from './request.ts';
import { EngineState } from './state.ts';
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
  readonly room: WaitingRoom;
  /** The newest entry of what a provider told, for whoever handed it in. */
  lastObserved: Entry | null = null;
  private readonly arrivals: Arrivals;
  private readonly course: Course;
  private readonly intents: Intents;

  constructor(options: EngineOptions, state: EngineState = new EngineState()) {
    this.options = options;
    this.policy = options.policy;
    this.state = state;
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
    this.totals.count(entry);
    if (entry.kind === 'observed') this.lastObserved = entry;
    this.effects.push({ type: 'append', entry });
  }

  step(input: Input): readonly Effect[] {
    this.effects.length = 0;
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
        this.room.close(input.at);
        break;
    }
    this.room.settleRegrouping(input.at);
    return this.effects;
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
    return this.course.settleLost(at);
  }
}
