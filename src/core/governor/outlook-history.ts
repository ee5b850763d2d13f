import type { DurationMs, EpochMs, Units } from '../units.ts';

/** Points kept: a window's worth and a little of the one before. */
const POINTS = 144;
const POINTS_A_WINDOW = 120;

export interface UsePoint {
  readonly at: EpochMs;
  /** Used or held then. */
  readonly used: Units;
}

/** How much of a pool was used over about its last window: for pictures. Oldest overwritten first. */
export class UseHistory {
  private readonly spacing: DurationMs;
  private readonly at: EpochMs[] = [];
  private readonly used: Units[] = [];
  private next = 0;
  private dueAt: EpochMs = 0;

  constructor(windowMs: DurationMs) {
    this.spacing = Math.max(1000, windowMs / POINTS_A_WINDOW);
  }

  note(at: EpochMs, used: Units): void {
    if (at < this.dueAt) return;
    this.dueAt = at + this.spacing;
    this.at[this.next] = at;
    this.used[this.next] = used;
    this.next = (this.next + 1) % POINTS;
  }

  clockSetBack(by: DurationMs): void {
    this.dueAt -= by;
    this.at.forEach((at, i) => (this.at[i] = at - by));
  }

  /** Oldest first. */
  points(): UsePoint[] {
    const size = this.at.length;
    const from = size < POINTS ? 0 : this.next;
    return Array.from({ length: size }, (_, i) => {
      const place = (from + i) % size;
      return { at: this.at[place] as EpochMs, used: this.used[place] as Units };
    });
  }
}
