import type { JsonValue, Units } from '../units.ts';
import { exact } from './exact.ts';

const READINGS = 20;

/**
 * How fast it went over the last stretch of a length: so many readings, all of the same weight. It
 * forgets what was before a change at once, which an exponential mean drags along.
 */
export class Readings {
  /** Units a second, oldest overwritten first. */
  private readonly rates = new Float32Array(READINGS);
  private readonly everyS: number;
  private next = 0;
  private size = 0;
  /** Epoch second at which the present reading began; negative: none did. */
  private begun = -1;
  private units: Units = 0;

  /** @param seconds that all of them span together */
  constructor(seconds: number) {
    this.everyS = Math.max(1, Math.round(seconds / READINGS));
  }

  get bytes(): number {
    return this.rates.byteLength + 4 * 8;
  }

  /** Units of one second; those that are left out had none. */
  tick(second: number, units: Units): void {
    if (this.begun < 0) this.begun = second;
    if (second >= this.begun + this.everyS) this.close(second);
    this.units += units;
  }

  private close(second: number): void {
    const ended = Math.floor((second - this.begun) / this.everyS);
    for (let i = 0; i < Math.min(ended, READINGS); i++) {
      this.rates[this.next] = this.units / this.everyS;
      this.next = (this.next + 1) % READINGS;
      this.size = Math.min(READINGS, this.size + 1);
      this.units = 0;
    }
    this.begun += ended * this.everyS;
  }

  /**
   * Units a second.
   * @param untold units of the last second, which was not told yet
   */
  mean(second: number, untold: Units): number {
    const ended = this.begun < 0 ? 0 : Math.floor((second - this.begun) / this.everyS);
    const fresh = Math.min(READINGS, ended);
    const kept = Math.min(this.size, READINGS - fresh);
    // Before the first one has ended, what was seen of it.
    if (kept + fresh === 0) return (this.units + untold) / Math.max(1, second - this.begun);
    // Of the readings that ended since, all but the first had nothing.
    let sum = ended > 0 && ended <= READINGS ? (this.units + untold) / this.everyS : 0;
    for (let i = 1; i <= kept; i++) {
      sum += this.rates[(this.next - i + READINGS) % READINGS] as number;
    }
    return sum / Math.max(1, kept + fresh);
  }

  save(): JsonValue {
    return [Array.from(this.rates, exact), this.next, this.size, this.begun, this.units];
  }

  load(saved: JsonValue): void {
    const [rates, next, size, begun, units] = saved as unknown as [
      number[],
      number,
      number,
      number,
      number,
    ];
    this.rates.set(rates);
    this.next = next;
    this.size = size;
    this.begun = begun;
    this.units = units;
  }
}
