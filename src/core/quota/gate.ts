import type { PoolSpec } from '../claim.ts';
import { SECOND, type EpochMs, type JsonValue } from '../units.ts';
import { Pool, type Hold, type PoolFigures } from './pool.ts';

/**
 * Shut after a refusal that belongs to no pool (secondary limits, an overloaded provider, spent
 * money). Holds no units: it is open or shut, and waiters line up before it as before any pool.
 */
export class Gate extends Pool {
  /** Refusals in a row, for doubling waits. */
  strikes = 0;
  /** True when waiting cannot clear it: refused at once until it is tried again. */
  hopeless = false;
  /** Requests that try whether it is over: those sent since it was last shut. */
  private readonly probes = new Set<Hold>();

  constructor(id: string, spec: PoolSpec, charged: string) {
    super(id, { ...spec, limit: Infinity }, charged);
  }

  override guessing(now: EpochMs): boolean {
    return this.blockedUntil <= now;
  }

  shut(until: EpochMs, why: string, hopeless: boolean): void {
    this.strikes += 1;
    this.hopeless = hopeless;
    this.block(until, why);
    for (const probe of this.probes) probe.open = false;
    this.probes.clear();
    this.ramp.load(1);
  }

  /** A request passed after it had opened again: the trouble is over. */
  passed(sentAt: EpochMs): void {
    if (sentAt >= this.blockedUntil) {
      this.strikes = 0;
      this.hopeless = false;
    }
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
    if (seen || !answered) this.ramp.answered();
    else this.ramp.silent();
  }

  /** Half-open until a request has passed: one tries, the rest wait for its answer. */
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
    return [this.strikes, this.hopeless ? 1 : 0];
  }

  protected loadState(state: JsonValue): void {
    const [strikes, hopeless] = state as unknown as [number, number];
    this.strikes = strikes;
    this.hopeless = hopeless === 1;
    this.limit = Infinity;
  }
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
/** How long a refusal that waiting cannot clear is remembered before one request tries again. */
export const HOPELESS_MS = 30 * SECOND;
