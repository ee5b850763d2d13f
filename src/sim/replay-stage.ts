/**
 * The engine under a replay: its inputs go in here, its effects are performed. A request that goes out
 * as it did in the record gets the recorded answer; from the first one that does not, the model's.
 */
import type { Input } from '../core/engine.ts';
import { Governor } from '../core/governor/engine.ts';
import { Heap } from '../core/governor/heap.ts';
import type { EngineOptions } from '../core/governor/options.ts';
import { Outlook } from '../core/governor/outlook.ts';
import type { EngineState } from '../core/governor/state.ts';
import type { Entry } from '../core/ledger/entry.ts';
import { RETRIED, type DecidedData, type EndedData, type WokeData } from '../core/ledger/layout.ts';
import type { Observation } from '../core/observation.ts';
import type { CompiledPolicy } from '../core/policy/types.ts';
import type { DurationMs, EpochMs, Instant, Seq } from '../core/units.ts';
import { RecordedProviders } from './replay-arrival.ts';
import { paidFactor } from './replay-money.ts';
import type { Outcome, RecordedRequest } from './replay-record.ts';
import { medianLatency, ReplayUpstream } from './replay-upstream.ts';

/** The recorded process's timers were late: what differs by less is no difference. */
export const TOLERANCE_MS: DurationMs = 250;

export interface ReplayOptions {
  readonly policy: CompiledPolicy;
  /** The policy that is in force, to tell what clients asked for from what it gave them. */
  readonly recordedBy: CompiledPolicy | null;
  /** By the identity's id, which stands for its credential. */
  readonly identify: EngineOptions['identify'];
  readonly prices?: NonNullable<EngineOptions['prices']>;
  /** Ascending. */
  readonly entries: readonly Entry[];
  /** Entries from the hours before the first, ascending: what was asked then tells what is to come. */
  readonly before: readonly Entry[];
  /** `decided` entries from before, ascending, of those who waited when the first entry was made. */
  readonly waiting: readonly Entry[];
  /** The fold of everything before the first entry; a fresh one with each call. */
  restore(): EngineState;
}

/** A request of the record, and how it fares now. */
export interface Replayed {
  readonly request: RecordedRequest;
  readonly key: number;
  readonly after: Outcome;
  state: 'new' | 'waiting' | 'sent' | 'over';
  /** Whose answer it gets. */
  lane: 'record' | 'model';
  sends: number;
  /** Its head was handed in. */
  answered: boolean;
}

export interface Divergence {
  readonly seq: Seq;
  readonly at: EpochMs;
}

export interface Scheduled {
  readonly at: EpochMs;
  readonly order: number;
  run(): void;
}

export class ReplayStage {
  readonly all: Replayed[] = [];
  divergence: Divergence | null = null;
  readonly governor: Governor;
  readonly providers = new RecordedProviders();
  readonly start: EpochMs;
  now: EpochMs;
  /** Whoever arrives in this step. */
  current: Replayed | null = null;
  readonly events = new Heap<Scheduled>((a, b) =>
    a.at !== b.at ? a.at < b.at : a.order < b.order,
  );
  private readonly options: ReplayOptions;
  private readonly recorded: ReadonlyMap<Seq, RecordedRequest>;
  private readonly byKey = new Map<number, Replayed>();
  /** By the number that it has in this run. */
  private readonly byOwnSeq = new Map<Seq, Replayed>();
  private upstream: ReplayUpstream | null = null;
  private made = 0;

  constructor(options: ReplayOptions, recorded: ReadonlyMap<Seq, RecordedRequest>, start: EpochMs) {
    this.options = options;
    this.recorded = recorded;
    this.start = start;
    this.now = start;
    const state = options.restore();
    this.governor = new Governor(
      {
        provider: (id) => this.providers.of(id),
        policy: options.policy,
        mode: () => 'enforce',
        identify: options.identify,
        ...(options.prices === undefined ? {} : { prices: options.prices }),
      },
      state,
      recall(options, state),
    );
    // They arrive anew.
    for (const { seq } of options.waiting) this.governor.state.flights.delete(seq);
  }

  /** One more request of the record. */
  enter(replayed: Replayed): void {
    this.all.push(replayed);
    this.byKey.set(replayed.key, replayed);
  }

  instant(): Instant {
    return { wall: this.now, mono: this.now - this.start };
  }

  after(ms: DurationMs, run: () => void): void {
    this.events.push({ at: Math.ceil(this.now + ms), order: this.made++, run });
  }

  head(
    replayed: Replayed,
    status: number,
    observations: readonly Observation[],
    date: EpochMs | null,
  ): void {
    replayed.answered = true;
    this.providers.observations = observations;
    const head = { status, fields: [], date };
    this.step({ type: 'head', at: this.instant(), key: replayed.key, head });
  }

  end(replayed: Replayed, ending: string, data: EndedData | null): void {
    const { key } = replayed;
    const at = this.instant();
    if (replayed.state === 'sent') {
      const status = data?.[1] ?? 0;
      // An answer that told nothing left no entry of its own.
      if (!replayed.answered && status > 0) this.head(replayed, status, [], null);
      const tokens = data?.[6] ?? null;
      if (tokens !== null) {
        const [inputTokens, cachedTokens, outputTokens, reasoningTokens] = tokens;
        const told = { inputTokens, cachedTokens, outputTokens, reasoningTokens };
        const priceFactor = paidFactor(this.options, replayed.request, told, data?.[9]);
        const usage = priceFactor === undefined ? told : { ...told, priceFactor };
        this.step({ type: 'tapped', at, key, observations: [], usage });
      }
    }
    replayed.state = 'over';
    this.step({
      ...{ type: 'ended', at, key, ending: ending as 'complete' },
      ...{ bytesUp: data?.[4] ?? 0, bytesDown: data?.[5] ?? 0 },
    });
  }

  /** From here on it is simulation. */
  diverge(seq: Seq): void {
    if (this.divergence !== null) return;
    this.divergence = { seq, at: this.now };
    const latency = medianLatency(this.recorded.values());
    this.upstream = new ReplayUpstream(this.governor.state.pools.values(), latency, this.now);
  }

  step(input: Input): void {
    this.perform(() => this.governor.step(input));
  }

  perform(work: () => unknown): void {
    const { effects } = this.governor;
    if (effects.length > 0) effects.length = 0;
    work();
    // The engine uses its array again with the next step.
    const over: Replayed[] = [];
    for (const effect of [...effects]) {
      if (effect.type === 'append') this.appended(effect.entry);
      else if (effect.type !== 'answer') {
        const replayed = this.byKey.get(effect.key);
        if (replayed === undefined) continue;
        if (effect.type === 'forward') this.sent(replayed);
        else if (effect.type === 'retry') replayed.state = 'waiting';
        else over.push(replayed);
      }
    }
    for (const replayed of over) this.refused(replayed);
  }

  private appended(entry: Entry): void {
    if (entry.kind === 'decided' && this.current !== null) {
      const [verdict, code, reason] = entry.data as unknown as DecidedData;
      Object.assign(this.current.after, { verdict, code, reason });
      this.byOwnSeq.set(entry.seq, this.current);
      return;
    }
    const replayed = this.byOwnSeq.get(entry.request);
    if (replayed === undefined) return;
    const { after } = replayed;
    if (entry.kind === 'woke') {
      const [verdict, code, reason, waitedMs] = entry.data as unknown as WokeData;
      after.waitedMs = waitedMs;
      if (verdict === 'reject') Object.assign(after, { code, reason });
    } else if (entry.kind === 'ended' && entry.data[0] !== RETRIED) {
      const cost = (entry.data as unknown as EndedData)[9] ?? null;
      after.cost = cost !== null && cost >= 0 ? cost : null;
    }
  }

  private sent(replayed: Replayed): void {
    const { request, after } = replayed;
    const first = replayed.state === 'new';
    after.decision = first ? 'pass' : 'delay';
    replayed.state = 'sent';
    replayed.answered = false;
    const then = request.sentAt[replayed.sends];
    replayed.sends += 1;
    // An answer that came before it was sent here is none to this.
    const answeredAt = request.headAt ?? request.endedAt ?? Infinity;
    const asThen =
      then !== undefined && Math.abs(then - this.now) <= TOLERANCE_MS && answeredAt >= this.now;
    replayed.lane = this.divergence === null && asThen ? 'record' : 'model';
    if (replayed.lane === 'record') return;
    this.diverge(request.seq);
    this.model(replayed);
  }

  /** The model answers it. */
  private model(replayed: Replayed): void {
    const { request, key } = replayed;
    replayed.lane = 'model';
    const { upstream } = this;
    const live = this.governor.live.get(key);
    if (upstream === null || live === undefined) return;
    const ids = live.draws.map(({ pool }) => pool.id);
    const answer = upstream.answer(request, ids, this.now);
    const { sends } = replayed;
    this.after(answer.headMs, () => {
      this.head(replayed, answer.status, answer.observations, this.now);
      if (replayed.state !== 'sent' || replayed.sends !== sends) return;
      const recorded = request.ended;
      const ending = recorded === null || recorded[0] === 'gone' ? 'complete' : recorded[0];
      this.after(answer.tailMs, () => {
        if (replayed.state === 'sent') this.end(replayed, ending, recorded);
      });
    });
  }

  private refused(replayed: Replayed): void {
    const { request, after } = replayed;
    const known = request.before.decision;
    after.decision = 'reject';
    if (known !== 'reject') this.diverge(request.seq);
    this.end(replayed, 'gone', null);
  }
}

/** What is to come of the pools, by what was asked before: as a daemon has it that is started then. */
function recall({ before, waiting }: ReplayOptions, state: EngineState): Outlook {
  const outlook = new Outlook(state);
  const anew = new Set(waiting.map(({ seq }) => seq));
  outlook.recalling(true);
  for (const entry of before) if (!anew.has(entry.seq)) outlook.take(entry);
  outlook.recalling(false);
  return outlook;
}
