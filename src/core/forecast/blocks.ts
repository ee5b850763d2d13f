import type { JsonValue, Units } from '../units.ts';

const MEMORY = 1 / 60;
/** Of a long silence the memory needs only so many empty blocks. */
const MOST_EMPTY = 400;
/** Blocks before anything is told of them. */
const ENOUGH = 5;

/** Units of the current block of time, and weighted moments of past blocks. */
export class Blocks {
  private readonly seconds: number;
  private units: Units = 0;
  /** Epoch second. */
  private end = 0;
  private count = 0;
  private mean = 0;
  private square = 0;

  constructor(seconds: number) {
    this.seconds = seconds;
  }

  get bytes(): number {
    return 5 * 8;
  }

  /** Squared coefficient of variation; 0 while it is not known. */
  get unevenness(): number {
    if (this.count < ENOUGH || this.mean <= 0) return 0;
    return Math.max(0, this.square / this.mean ** 2 - 1);
  }

  /** Units of one second; those that are left out had none. */
  tick(second: number, units: Units): void {
    const { seconds } = this;
    if (this.end === 0) this.end = second + seconds;
    while (second >= this.end) {
      this.close();
      const behind = Math.floor((second - this.end) / seconds);
      if (behind > MOST_EMPTY) this.end += (behind - MOST_EMPTY) * seconds;
      this.end += seconds;
    }
    this.units += units;
  }

  private close(): void {
    const weight = Math.max(MEMORY, 1 / (this.count + 1));
    this.mean += weight * (this.units - this.mean);
    this.square += weight * (this.units ** 2 - this.square);
    this.count += 1;
    this.units = 0;
  }

  save(): JsonValue {
    return [this.units, this.end, this.count, this.mean, this.square];
  }

  load(saved: JsonValue): void {
    const [units, end, count, mean, square] = saved as unknown as Five;
    Object.assign(this, { units, end, count, mean, square });
  }
}

type Five = [number, number, number, number, number];
