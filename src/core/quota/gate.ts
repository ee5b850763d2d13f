import type { PoolSpec } from '../claim.ts';
import { GLOBAL, SECOND, type DurationMs, type EpochMs, type JsonValue } from '../units.ts';
import { Pool, type Hold, type PoolFigures } from './pool.ts';
import { RAMP_MAX } from './ramp.ts';
import { spanOf } from './span.ts';

interface Cause {
  readonly sentAt: EpochMs;
  readonly at: EpochMs;
  readonly before: number;
}

/** The ramp back ends at this part of what was under way before. */
const RAMP_TARGET = 0.7;

/**
 * Shut after a refusal that belongs to no pool (secondary limits, an overloaded provider, spent
 * money) or after failures in a row. Holds no units: it is open or shut, and waiters line up before
 * it as before any pool.
 *
 *     open ──shut()──► shut ──time──► half-open: one tries ──passed()──► ramping: 2, 4, 8 … ──► open
 *                       ▲───────────────── refused, or failed ◄──────────────┘
 */
export class Gate extends Pool {
  /** Times it was shut in a row, for doubling waits. */
  strikes = 0;
  /** True when waiting cannot clear it: refused at once until it is tried again. */
  hopeless = false;
  /** One has passed since it was shut; the rest follow step by step. */
  private ramping = false;
  /** When it was last shut: what was sent before belongs to the same trouble. */
  private shutAt: EpochMs = 0;
  /** At so many at once the trouble is over. */
  private target = 1;
  /** Requests that try whether it is over: those sent since it was last shut. */
  private readonly probes = new Set<Hold>();

  constructor(id: string, spec: PoolSpec, charged: string) {
    super(id, { ...spec, limit: Infinity }, charged);
  }

  /** True where it stands before everybody who uses the provider, or one of its hosts. */
  get isOfProvider(): boolean {
    return this.charged === GLOBAL || this.charged.startsWith('host:');
  }

  override guessing(now: EpochMs): boolean {
    return this.blockedUntil <= now;
  }

  /** How often a wait without a word of the provider has doubled, for a refusal of what was sent then. */
  doublings(sentAt: EpochMs): number {
    return this.sameTrouble(sentAt) ? this.strikes - 1 : this.strikes;
  }

  private sameTrouble(sentAt: EpochMs): boolean {
    return this.strikes > 0 && sentAt <= this.shutAt;
  }

  /**
   * @param cause when the request was sent that shuts it, the time now, and how many requests were
   *   under way
   */
  shut(until: EpochMs, why: string, hopeless: boolean, { sentAt, at, before }: Cause): void {
    // Many at once that were refused together are one refusal.
    if (!this.sameTrouble(sentAt)) {
      if (this.strikes === 0) this.target = Math.max(1, Math.floor(before * RAMP_TARGET));
      this.strikes += 1;
      this.shutAt = at;
    }
    this.hopeless = hopeless;
    this.ramping = false;
    this.block(until, why);
    for (const probe of this.probes) probe.open = false;
    this.probes.clear();
    this.ramp.load(1);
  }

  /** A request passed after it had opened again: more may follow, and in the end all. */
  passed(hold: Hold): void {
    if (this.strikes === 0 || !hold.open || hold.at < this.blockedUntil) return;
    this.close(hold);
    if (this.probes.delete(hold)) this.ramp.answered();
    this.hopeless = false;
    this.ramping = true;
    // One more for each that passed: twice as many a round trip.
    this.ramp.widenTo(this.ramp.width + 1);
    if (this.ramp.width < Math.min(this.target, RAMP_MAX)) return;
    this.strikes = 0;
    this.ramping = false;
  }

  /** What holds people up, for them to read; `null` when it is open. */
  override standing(now: EpochMs): string | null {
    const said = `the provider said \`${this.blockedFor}\``;
    if (this.blockedUntil > now) {
      return `${said} and asks to wait ${spanOf(this.blockedUntil - now)}`;
    }
    if (this.strikes === 0) return null;
    if (!this.ramping) return `${said} and one request tries whether that is over (half-open)`;
    const width = String(this.ramp.width);
    return `${said} a while ago and requests are let through step by step (ramping, ${width} at once)`;
  }

  /** `open`, `shut`, `half-open` or `ramping`. */
  phase(now: EpochMs): 'open' | 'shut' | 'half-open' | 'ramping' {
    if (this.blockedUntil > now) return 'shut';
    if (this.strikes === 0) return 'open';
    return this.ramping ? 'ramping' : 'half-open';
  }

  /** Nothing of it matters any more. */
  isOver(now: EpochMs): boolean {
    return (
      this.strikes === 0 && this.held === 0 && this.probes.size === 0 && this.blockedUntil <= now
    );
  }

  override release(hold: Hold): void {
    if (!hold.open) return;
    this.close(hold);
    if (this.probes.delete(hold)) this.ramp.answered();
  }

  /** A probe that was answered and yet did not open the gate lets more of them try. */
  override settle(hold: Hold, _u: number, _at: EpochMs, seen: boolean, answered = true): void {
    if (!hold.open) return;
    this.close(hold);
    if (!this.probes.delete(hold)) return;
    if (seen || !answered || this.ramping || this.strikes === 0) this.ramp.answered();
    else this.ramp.silent();
  }

  /** Half-open: one tries and the rest wait for its answer. Ramping: so many at once. */
  protected whenRoom(_units: number, now: EpochMs): EpochMs {
    return this.strikes > 0 ? this.ramp.earliest(now) : now;
  }

  protected whenServed(_ahead: number, _units: number, now: EpochMs): EpochMs {
    return now;
  }

  resetTime(now: EpochMs): EpochMs | null {
    return this.blockedUntil > now ? this.blockedUntil : null;
  }

  protected onHold(hold: Hold): void {
    this.probes.add(hold);
    this.ramp.sent(hold.at);
  }

  protected onAbsorb(other: Gate): void {
    this.strikes = Math.max(this.strikes, other.strikes);
    this.hopeless ||= other.hopeless;
    this.shutAt = Math.max(this.shutAt, other.shutAt);
    this.target = Math.max(this.target, other.target);
    this.ramping &&= other.ramping;
  }

  protected onClockSetBack(by: DurationMs): void {
    this.shutAt -= by;
  }

  protected onRelease(): void {}
  protected onSettle(): void {}

  protected onReading(): boolean {
    return false;
  }

  figures(now: EpochMs): PoolFigures {
    const shut = this.blockedUntil > now;
    const figures = this.show(null, shut ? 0 : null, shut ? this.blockedUntil : null);
    return { ...figures, limit: null };
  }

  protected saveState(): JsonValue {
    const { strikes, hopeless, ramping, shutAt, target } = this;
    return { strikes, hopeless, ramping, shutAt, target };
  }

  protected loadState(state: JsonValue): void {
    const saved = state as unknown as Pick<Gate, 'strikes' | 'hopeless'>;
    Object.assign(this, saved);
    this.limit = Infinity;
  }
}

/** Who stands for one host of a provider: it may fail alone. */
export function hostGate(host: string): string {
  return `host:${host}`;
}

export function gateId(provider: string, charged: string): string {
  return `${provider}/${charged}/throttle`;
}

/** GitHub's own rule: at least a minute, then doubling; capped so that a mistake heals. */
export function backoffMs(strikes: number, first: number, cap: number): number {
  return Math.min(cap, first * 2 ** Math.min(10, Math.max(0, strikes)));
}

export const SECONDARY_FIRST_MS = 60 * SECOND;
export const SECONDARY_CAP_MS = 960 * SECOND;
export const OVERLOAD_FIRST_MS = SECOND;
export const OVERLOAD_CAP_MS = 60 * SECOND;
/** Failures in a row, within `FAILING_MS`, after which a provider is taken to be down. */
export const FAILURES_TO_SHUT = 5;
export const FAILING_MS = 30 * SECOND;
/** How long a refusal that waiting cannot clear is remembered before one request tries again. */
export const HOPELESS_MS = 30 * SECOND;
