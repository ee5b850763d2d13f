import type { PoolSpec } from '../claim.ts';
import { HOUR, MINUTE, SECOND } from '../units.ts';
import type { DurationMs, EpochMs, JsonValue, MonoMs, Units } from '../units.ts';
import { Pool, type PoolFigures } from './pool.ts';
import { spanOf } from './span.ts';

/**
 * Constants of CUBIC as the AWS SDKs' adaptive mode has them: the rate drops to β of what was
 * refused, returns to it with the cube of time, rests there, and then tries more.
 */
const BETA = 0.7;
const SCALE = 0.4;
export const LEAST_PER_S = 0.5;
/** Share of the newest count in a measured rate. */
const SMOOTHING = 0.8;
const COUNT_MS: DurationMs = 500;

/**
 * At once goes what a fifth of a second lets through: with that no second sees more than was refused,
 * and of a limit of two in two seconds the third waits.
 */
const BURST_S = 0.2;

/**
 * The SDKs' curve is back at the refused rate within seconds, for a refusal costs them little. Here it
 * shuts everybody out for as long as the provider asks: so much longer than that nothing more is tried.
 */
const REST_PER_WAIT = 6;
/** Each refusal at about the same rate doubles the time until more is tried, up to this. */
const MOST_REST_MS: DurationMs = 60 * MINUTE;
/** Refused again within this part of that time, the rate was far from right. */
const SOON = 0.25;
/** Grown to so many times the refused rate, it limits nobody. */
const FORGOTTEN_AT = 4;
const FORGOTTEN_AFTER_MS: DurationMs = 4 * HOUR;

/** How fast somebody sends, in requests a second: whole counts of half a second, smoothed. */
export class Meter {
  private perS = 0;
  private count = 0;
  private slot: number | null = null;

  sent(at: MonoMs): void {
    this.roll(at);
    this.count += 1;
  }

  /** What was begun counts too, for a burst is as fast as it looks; a single request has no rate. */
  rate(at: MonoMs): number {
    this.roll(at);
    return Math.max(this.perS, this.count < 2 ? 0 : (this.count * SECOND) / COUNT_MS);
  }

  private roll(at: MonoMs): void {
    const slot = Math.floor(at / COUNT_MS);
    if (this.slot === null) this.slot = slot;
    const passed = slot - this.slot;
    if (passed <= 0) return;
    const now = (this.count * SECOND) / (passed * COUNT_MS);
    this.perS = SMOOTHING * now + (1 - SMOOTHING) ** passed * this.perS;
    this.count = 0;
    this.slot = slot;
  }
}

/**
 * A limit nobody documents, of one charged identity on one class of endpoints. It exists from the
 * first refusal that no known quota explains until it has grown out of the way. Holds no units: it
 * gives out slots at a rate, and waiters line up before it as before any pool.
 */
export class HiddenLimit extends Pool {
  /** Rate at the last refusal, requests a second; 0 before the first. */
  private peak = 0;
  private refusals = 0;
  private refusedAt: EpochMs = 0;
  /** Time from the end of a refusal until its rate is reached again. */
  private rest: DurationMs = 0;
  /** Growth begins: when the provider lets anybody in again. */
  private from: EpochMs = 0;
  private slot: EpochMs = 0;

  constructor(id: string, spec: PoolSpec, charged: string) {
    super(id, { ...spec, limit: Infinity }, charged);
  }

  /**
   * The provider refused.
   * @param perS measured rate then
   * @param sentAt when the refused request was sent; what was sent before the last refusal is part of it
   * @param until when the provider lets requests in again
   */
  refused(perS: number, sentAt: EpochMs, at: EpochMs, until: EpochMs): void {
    if (this.isOver(at)) {
      this.refusals = 0;
      this.rest = 0;
    } else if (sentAt <= this.refusedAt) return;
    const known = this.refusals > 0;
    const soon = known && at - this.from < SOON * this.rest && this.peak > LEAST_PER_S;
    const rate = known ? this.rate(at) * (soon ? BETA : 1) : perS;
    this.peak = Math.max(LEAST_PER_S, rate);
    const cubic = Math.cbrt(((1 - BETA) * this.peak) / SCALE) * SECOND;
    const least = Math.max(cubic, REST_PER_WAIT * (until - at), known && !soon ? 2 * this.rest : 0);
    this.rest = Math.min(MOST_REST_MS, Math.max(this.rest, least));
    this.refusals += 1;
    this.refusedAt = at;
    this.from = Math.max(at, until);
    this.slot = this.from;
  }

  /** Requests a second that are let through. */
  rate(now: EpochMs): number {
    const { peak, rest } = this;
    if (rest <= 0) return Math.max(LEAST_PER_S, peak);
    // C·(t − K)³ + W with a K of our own, and the C that begins at β·W.
    const t = Math.max(0, now - this.from) / rest;
    return Math.max(LEAST_PER_S, peak * (1 + (1 - BETA) * (t - 1) ** 3));
  }

  /** It holds nobody up any more. */
  isOver(now: EpochMs): boolean {
    if (this.refusals === 0) return true;
    if (now - this.from > FORGOTTEN_AFTER_MS) return true;
    return this.rate(now) > FORGOTTEN_AT * this.peak;
  }

  protected whenRoom(_units: Units, now: EpochMs): EpochMs {
    const rate = this.rate(now);
    const at = Math.ceil(this.slot - ((Math.max(1, BURST_S * rate) - 1) * SECOND) / rate);
    return at <= now || this.isOver(now) ? now : Math.max(at, this.from);
  }

  protected whenServed(ahead: Units, _units: Units, now: EpochMs): EpochMs {
    return Math.ceil(Math.max(now, this.slot) + (ahead * SECOND) / this.rate(now));
  }

  /** Somebody was sent. Nothing is held: a slot that was taken is gone. */
  take(at: EpochMs): void {
    this.slot = Math.max(this.slot, at) + SECOND / this.rate(at);
  }

  override standing(now: EpochMs): string | null {
    if (this.isOver(now)) return null;
    const rate = perSecond(this.rate(now));
    const next = spanOf(Math.max(0, this.slot - now));
    return (
      `the provider refused at about ${perSecond(this.peak)} with no quota telling why, ` +
      `so ${rate} are let through for now; next slot in ${next}`
    );
  }

  resetTime(): EpochMs | null {
    return null;
  }

  protected onHold(): void {}
  protected onRelease(): void {}
  protected onSettle(): void {}
  protected onAbsorb(): void {}

  protected onClockSetBack(by: DurationMs): void {
    this.refusedAt -= by;
    this.from -= by;
    this.slot -= by;
  }

  protected onReading(): boolean {
    return false;
  }

  figures(): PoolFigures {
    return { ...this.show(null, null, null), limit: null };
  }

  protected saveState(): JsonValue {
    const { peak, refusals, refusedAt, rest, from, slot } = this;
    return { peak, refusals, refusedAt, rest, from, slot };
  }

  protected loadState(state: JsonValue): void {
    Object.assign(this, state);
    this.limit = Infinity;
  }
}

function perSecond(rate: number): string {
  return `${rate < 10 ? rate.toFixed(1) : String(Math.round(rate))} a second`;
}

export function hiddenId(provider: string, charged: string, endpoint: string): string {
  return `${provider}/${charged}/hidden/${endpoint}`;
}

/** The inverse of `hiddenId`. */
export function hiddenFrom(id: string, provider: string): HiddenLimit {
  const cut = id.lastIndexOf('/hidden/');
  const charged = id.slice(provider.length + 1, cut);
  const spec: PoolSpec = {
    provider,
    name: 'hidden',
    partition: id.slice(cut + '/hidden/'.length),
    unit: 'requests',
    kind: 'concurrent',
    source: 'observed',
  };
  return new HiddenLimit(id, spec, charged);
}
