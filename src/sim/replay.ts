/**
 * What the ledger recorded, decided again under another policy by the real engine. As long as every
 * decision is the recorded one, the recorded answers hold: that part is record. From the first
 * decision that differs, providers are modelled from what they told: that part is simulation.
 *
 * Clients are not modelled: who is refused asks again exactly when the record says so.
 */
import { evolve } from '../core/governor/evolve.ts';
import type { Entry } from '../core/ledger/entry.ts';
import { RETRIED, type EndedData } from '../core/ledger/layout.ts';
import type { ReplayReport } from '../core/replay-report.ts';
import { DAY, type EpochMs, type Seq } from '../core/units.ts';
import { arrivalOf, claimOf } from './replay-arrival.ts';
import { priceRatio } from './replay-money.ts';
import {
  readRecording,
  type Outcome,
  type RecordedRequest,
  type Recording,
} from './replay-record.ts';
import { report } from './replay-report.ts';
import { ReplayStage, TOLERANCE_MS, type Replayed, type ReplayOptions } from './replay-stage.ts';

export type { ReplayOptions } from './replay-stage.ts';

export function replay(options: ReplayOptions): ReplayReport {
  const recording = readRecording(options.entries, options.restore(), options.waiting);
  const stage = new ReplayStage(options, recording.requests, recording.entries[0]?.at ?? 0);
  new Replay(options, recording, stage).play();
  return report(options, stage.all, stage.divergence);
}

/** Reads the record through, and hands it to the engine. */
class Replay {
  private readonly options: ReplayOptions;
  private readonly recording: Recording;
  private readonly stage: ReplayStage;
  /** By the number of the recorded request. */
  private readonly bySeq = new Map<Seq, Replayed>();

  constructor(options: ReplayOptions, recording: Recording, stage: ReplayStage) {
    this.options = options;
    this.recording = recording;
    this.stage = stage;
  }

  /** Recorded entries, answers of the model and alarms in order of time; of one moment in that order. */
  play(): void {
    const { entries, requests } = this.recording;
    for (const request of requests.values()) if (request.carried) this.arrive(request);
    const end = (entries.at(-1)?.at ?? 0) + DAY;
    for (let i = 0; ;) {
      const entry = entries[i];
      const entryAt = entry === undefined ? Infinity : Math.max(entry.at, this.stage.now);
      const eventAt = this.stage.events.peek()?.at ?? Infinity;
      const alarmAt = this.alarmAt();
      const next = Math.min(entryAt, eventAt, alarmAt);
      if (next > end) return;
      this.stage.now = Math.max(this.stage.now, next);
      if (entry !== undefined && entryAt === next) {
        i += 1;
        this.take(entry);
      } else if (eventAt === next) this.stage.events.pop()?.run();
      else this.stage.step({ type: 'woke', at: this.stage.instant() });
    }
  }

  /** Within the record, waiters wake when the record says so, unless that is too late. */
  private alarmAt(): EpochMs {
    const mono = this.stage.governor.wakeAt();
    if (mono === null) return Infinity;
    return this.stage.start + Math.ceil(mono) + (this.stage.divergence === null ? TOLERANCE_MS : 0);
  }

  private take(entry: Entry): void {
    if (entry.kind === 'decided') {
      const request = this.recording.requests.get(entry.seq);
      if (request !== undefined) this.arrive(request);
      return;
    }
    if (entry.kind === 'event') {
      // Only who is who: what the policy made and what was told of pools comes about again.
      const [type] = entry.data;
      if (typeof type === 'string' && type.startsWith('identity_'))
        evolve(this.stage.governor.state, entry);
      return;
    }
    const replayed = this.bySeq.get(entry.request);
    if (replayed === undefined) this.fold(entry);
    else if (entry.kind === 'woke') this.wokeInRecord(replayed, entry);
    else if (entry.kind === 'observed') this.answeredInRecord(replayed, entry);
    else this.endedInRecord(replayed, entry);
  }

  /** Of no request here: one that was under way before, or what was told without asking. */
  private fold(entry: Entry): void {
    if (entry.request === 0 && this.stage.divergence !== null) return;
    const { governor } = this.stage;
    evolve(governor.state, entry);
    governor.outlook.take(entry);
    for (const id of entry.pools) {
      const pool = governor.state.pools.get(id) ?? governor.state.gates.get(id);
      if (pool !== undefined) {
        this.stage.perform(() => governor.room.drainPool(pool, this.stage.instant()));
      }
    }
  }

  private arrive(request: RecordedRequest): void {
    const key = this.stage.all.length + 1;
    const after: Outcome = {
      ...{ verdict: '', decision: 'open', code: '', reason: '', waitedMs: 0, cost: null },
    };
    const replayed: Replayed = {
      ...{ request, key, after, state: 'new', lane: 'record', sends: 0, answered: false },
    };
    this.stage.enter(replayed);
    this.bySeq.set(request.seq, replayed);
    const factor = priceRatio(this.options, request) ?? 1;
    this.stage.providers.claim = claimOf(request, factor === Infinity ? 1 : factor);
    this.stage.current = replayed;
    const { recordedBy } = this.options;
    const again =
      this.stage.divergence === null
        ? request.retried
        : request.retried || request.asked[3] === 'GET';
    this.stage.step(arrivalOf(request, key, this.stage.instant(), recordedBy, again));
    this.stage.current = null;
    if (replayed.state === 'new') replayed.state = 'waiting';
    // What was only watched went out at once, whatever had been decided.
    const watched = request.observing && request.before.verdict !== 'pass';
    if (request.carried) return;
    if (watched || after.verdict !== request.before.verdict) this.stage.diverge(request.seq);
  }

  private wokeInRecord(replayed: Replayed, entry: Entry): void {
    if (this.stage.divergence !== null) return;
    const passed = entry.data[0] === 'pass';
    if (replayed.state === 'waiting') this.stage.step({ type: 'woke', at: this.stage.instant() });
    if (replayed.state !== 'waiting') return;
    if (!passed) this.stage.after(TOLERANCE_MS, () => this.expectOver(replayed));
    else {
      const sends = replayed.sends;
      this.stage.after(TOLERANCE_MS, () => {
        if (replayed.sends === sends) this.stage.diverge(replayed.request.seq);
      });
    }
  }

  private expectOver(replayed: Replayed): void {
    if (replayed.state !== 'over') this.stage.diverge(replayed.request.seq);
  }

  private answeredInRecord(replayed: Replayed, entry: Entry): void {
    if (replayed.lane !== 'record' || replayed.state !== 'sent') return;
    const answer = this.recording.answers.get(entry.seq);
    if (answer === undefined) return;
    const { source, status, date, observations } = answer;
    if (source === 'head') this.stage.head(replayed, status, observations, date);
    else {
      const at = this.stage.instant();
      this.stage.step({ type: 'tapped', at, key: replayed.key, observations, usage: null });
    }
  }

  private endedInRecord(replayed: Replayed, entry: Entry): void {
    const data = entry.data as unknown as EndedData;
    if (replayed.state === 'waiting' && data[0] === 'gone') {
      replayed.after.decision = 'left';
      this.stage.end(replayed, 'gone', data);
    } else if (replayed.lane === 'record' && replayed.state === 'sent') {
      if (data[0] !== RETRIED) this.stage.end(replayed, data[0], data);
      else {
        // It was sent once more then, and is not now.
        this.stage.diverge(replayed.request.seq);
        this.stage.end(replayed, 'complete', data);
      }
    }
  }
}
