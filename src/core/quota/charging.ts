/**
 * What a provider charges for what we estimate. Its buckets tell what is left in every answer, and
 * between the answers of two requests that followed each other only the later one was charged: what
 * is missing more, and was refilled meanwhile, is what it cost.
 */
import type { DurationMs, EpochMs, JsonValue, Seq, Units } from '../units.ts';
import { ChargedRatios } from './charging-ratios.ts';

/** Requests sent within this of each other may have been charged in either order. */
const JITTER_MS: DurationMs = 20;
/** Requests remembered until those sent before them were answered. */
const MAX_SENDS = 128;
/** One that so many later ones overtook is not waited for. */
const OVERTAKEN = 32;
/** A measurement counts when it is known this closely. */
const PRECISION = 0.1;
const MAX_REFUSED = 32;
/** Of what is missing no more than this part is put down to others. */
const MOST_OTHERS = 0.75;
/** The provider may have given another limit meanwhile, and nobody was answered who could tell. */
const TOO_LARGE_MS: DurationMs = 24 * 3_600_000;

const OPEN = 0;
const CHARGED = 1;
const REFUSED = 2;
const UNKNOWN = 3;

interface Send {
  readonly seq: Seq;
  readonly asked: Units;
  at: EpochMs;
  state: number;
  /** When the bucket would be full by its answer, counted from when it was sent. */
  full: EpochMs;
}

/** Learned from one bucket, and folded with it. */
export class Charging {
  private readonly sends: Send[] = [];
  private anchor: Send | null = null;
  private perUnit: DurationMs = 0;
  /** What is being measured: several small requests are measured as one. */
  private charged: Units = 0;
  private asked: Units = 0;
  private gap: Units = 0;
  private error: Units = 0;
  private others: Units = 0;
  /** Units a millisecond that others are known to take. */
  private othersPerMs = 0;
  private running = false;
  /** Why they were is told after their heads. */
  private readonly refused: [seq: Seq, asked: Units][] = [];
  private ratios = new ChargedRatios();
  private tooLarge: Units = Infinity;
  private tooLargeAt: EpochMs = 0;

  /** Whether what is charged beyond what is set aside is not ours. */
  get settled(): boolean {
    return this.ratios.settled;
  }

  /** Whether some requests are charged clearly more by the unit than most. */
  get uneven(): boolean {
    return this.ratios.uneven;
  }

  /** What is set aside for an estimated unit; `null` while nothing was learned. */
  get ratio(): number | null {
    return this.ratios.empty ? null : this.ratios.likely;
  }

  /** Units to set aside for what is estimated at `asked`. */
  likely(asked: Units): Units {
    return Math.ceil(asked * this.ratios.likely);
  }

  /** The provider said of this request that it never grants so much at once. */
  refusedAsTooLarge(seq: Seq, limit: Units | null, at: EpochMs): void {
    const asked = this.refused.findLast(([refused]) => refused === seq)?.[1];
    if (asked === undefined) return;
    this.forgetTooLarge(at);
    // Whatever comes to more than the limit by the lowest of charges is so as well.
    const any = limit !== null && this.settled ? (limit + 1) / this.ratios.least : asked;
    this.tooLarge = Math.min(this.tooLarge, asked, any);
    this.tooLargeAt = at;
  }

  isTooLarge(asked: Units): boolean {
    return asked >= this.tooLarge;
  }

  /** What was too large long ago is tried again. */
  forgetTooLarge(now: EpochMs): void {
    if (now - this.tooLargeAt > TOO_LARGE_MS) this.tooLarge = Infinity;
  }

  sent(seq: Seq, asked: Units, at: EpochMs): void {
    if (asked <= 0) return;
    this.sends.push({ seq, asked, at, state: OPEN, full: 0 });
    if (this.sends.length > MAX_SENDS) this.follow();
  }

  /**
   * Its answer came.
   * @param missing from the limit, as the answer has it
   * @param refused it was not charged
   * @param perUnit milliseconds that refilling a unit takes
   * @param othersPerS units a second that others are known to take
   */
  answered(
    seq: Seq,
    missing: Units,
    refused: boolean,
    perUnit: DurationMs,
    othersPerS: number,
  ): void {
    if (perUnit !== this.perUnit) this.restart(perUnit);
    this.othersPerMs = othersPerS / 1000;
    const send = this.open(seq);
    if (send === null) return;
    send.state = refused ? REFUSED : CHARGED;
    if (refused && this.refused.push([seq, send.asked]) > MAX_REFUSED) this.refused.shift();
    send.full = send.at + missing * perUnit;
    this.follow();
  }

  /** It ended without one. `reached`: it may have been charged. */
  lost(seq: Seq, reached: boolean): void {
    const send = this.open(seq);
    if (send === null) return;
    if (reached) send.state = UNKNOWN;
    else this.sends.splice(this.sends.indexOf(send), 1);
    this.follow();
  }

  /** Two pools turned out to be one: those under way are measured by nobody. */
  join(other: Charging): void {
    if (this.ratios.empty) this.ratios.learnFrom(other.ratios);
    this.tooLarge = Math.min(this.tooLarge, other.tooLarge);
    this.tooLargeAt = Math.max(this.tooLargeAt, other.tooLargeAt);
    this.sends.length = 0;
    this.forgetAnchor();
  }

  /** Another limit: levels told before cannot be compared with those told now. */
  private restart(perUnit: DurationMs): void {
    if (this.perUnit > 0) this.tooLarge = Infinity;
    this.perUnit = perUnit;
    const kept = this.sends.filter((send) => send.state === OPEN);
    this.sends.length = 0;
    this.sends.push(...kept);
    this.forgetAnchor();
  }

  clockSetBack(by: DurationMs): void {
    for (const send of this.sends) {
      send.at -= by;
      send.full -= by;
    }
    this.tooLargeAt -= by;
    this.forgetAnchor();
  }

  private open(seq: Seq): Send | null {
    for (let i = this.sends.length - 1; i >= 0; i--) {
      const send = this.sends[i] as Send;
      if (send.seq === seq && send.state === OPEN) return send;
    }
    return null;
  }

  /** Measures those of whom everybody before is known. */
  private follow(): void {
    const { sends } = this;
    for (;;) {
      const first = sends.findIndex((send) => send.state === OPEN);
      if (first < 0) {
        this.measure(sends.splice(0));
        return;
      }
      const next = sends[first] as Send;
      let ready = first;
      while (ready > 0 && (sends[ready - 1] as Send).at >= next.at - JITTER_MS) ready -= 1;
      if (ready > 0) this.measure(sends.splice(0, ready));
      const overtaken = sends.filter((send) => send.state !== OPEN).length;
      if (overtaken < OVERTAKEN && sends.length <= MAX_SENDS) return;
      next.state = UNKNOWN;
    }
  }

  private measure(batch: Send[]): void {
    const lost = batch.filter((send) => send.state === UNKNOWN);
    for (const { at } of lost) {
      // Whether they were charged before it or after nobody knows.
      for (const send of batch) if (Math.abs(send.at - at) <= JITTER_MS) send.state = UNKNOWN;
    }
    let from = 0;
    for (let i = 0; i <= batch.length; i++) {
      if (i < batch.length && (batch[i] as Send).state !== UNKNOWN) continue;
      this.chain(batch.slice(from, i));
      if (i < batch.length) this.forgetAnchor();
      from = i + 1;
    }
  }

  /** Each charge makes the bucket full later, whatever the order in which they were sent. */
  private chain(batch: Send[]): void {
    batch.sort((a, b) => a.full - b.full || a.seq - b.seq);
    for (const send of batch) {
      if (this.anchor === null) this.anchor = send;
      else if (send.state === CHARGED) this.step(this.anchor, send);
    }
  }

  private step(from: Send, to: Send): void {
    const { perUnit } = this;
    const wasFull = to.at >= from.full;
    this.charged += (to.full - Math.max(from.full, to.at)) / perUnit;
    this.asked += to.asked;
    const gap = Math.max(0, to.at - from.at);
    this.gap += gap / perUnit;
    // Of a full bucket what others took was refilled.
    if (!wasFull) this.others += gap * this.othersPerMs;
    // `remaining` is floored; of a bucket that was not full before, when each was charged counts too.
    this.error += wasFull || this.running ? 1 : 1 + (2 * JITTER_MS) / perUnit;
    this.running = !wasFull;
    this.anchor = to;
    if (this.error > PRECISION * this.asked) return;
    const own = this.charged - Math.min(this.others, this.charged * MOST_OTHERS);
    if (own > 0) this.ratios.learn(own / this.asked, this.gap / this.asked);
    this.forgetGroup();
  }

  private forgetAnchor(): void {
    this.anchor = null;
    this.forgetGroup();
  }

  private forgetGroup(): void {
    this.charged = this.asked = this.gap = this.error = this.others = 0;
    this.running = false;
  }

  save(): JsonValue {
    const { anchor, perUnit, charged, asked, gap, error, others, running, othersPerMs } = this;
    return {
      sends: this.sends.map(rowOf),
      anchor: anchor === null ? null : rowOf(anchor),
      now: [perUnit, charged, asked, gap, error, others, running ? 1 : 0, othersPerMs],
      ratios: this.ratios.save(),
      refused: this.refused.map(([seq, units]) => [seq, units]),
      tooLarge: this.tooLarge === Infinity ? null : [this.tooLarge, this.tooLargeAt],
    };
  }

  static load(saved: JsonValue): Charging {
    const { sends, anchor, now, ratios, refused, tooLarge } = saved as unknown as SavedCharging;
    const charging = new Charging();
    charging.sends.push(...sends.map(sendOf));
    charging.anchor = anchor === null ? null : sendOf(anchor);
    const [perUnit, charged, asked, gap, error, others, running, othersPerMs] = now;
    Object.assign(charging, { perUnit, charged, asked, gap, error, others, othersPerMs });
    charging.running = running === 1;
    charging.ratios = ChargedRatios.load(ratios);
    for (const [seq, units] of refused) charging.refused.push([seq, units]);
    if (tooLarge !== null) [charging.tooLarge, charging.tooLargeAt] = tooLarge;
    return charging;
  }
}

type Four = readonly [number, number, number, number];
type SendRow = readonly [seq: Seq, asked: Units, at: EpochMs, state: number, full: EpochMs];

interface SavedCharging {
  readonly sends: readonly SendRow[];
  readonly anchor: SendRow | null;
  readonly now: readonly [...Four, ...Four];
  readonly ratios: JsonValue;
  readonly refused: readonly (readonly [Seq, Units])[];
  readonly tooLarge: readonly [Units, EpochMs] | null;
}

function rowOf({ seq, asked, at, state, full }: Send): [number, number, number, number, number] {
  return [seq, asked, at, state, full];
}

function sendOf([seq, asked, at, state, full]: SendRow): Send {
  return { seq, asked, at, state, full };
}
