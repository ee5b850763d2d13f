import type { MonoMs } from '../units.ts';
import { Heap } from './heap.ts';

/** Somebody to look at at a time: a request (its sleep or deadline ends) or a line. */
export interface Sleeper {
  alarmAt: MonoMs;
  /** Place among the alarms; −1: none is set. */
  alarmPlace: number;
}

/** The one alarm clock of all who wait; each has one alarm, and none that came to nothing stays. */
export class Alarms<Kind extends Sleeper> {
  private readonly heap = new Heap<Kind>((a, b) => a.alarmAt < b.alarmAt, place);

  /** Those that go off in the next round whatever they are set to, since that time. */
  private again: Kind[] = [];
  private againAt: MonoMs = 0;

  get size(): number {
    return this.heap.size;
  }

  set(sleeper: Kind, at: MonoMs): void {
    sleeper.alarmAt = at;
    if (sleeper.alarmPlace < 0) this.heap.push(sleeper);
    else this.heap.moveAt(sleeper.alarmPlace);
  }

  remove(sleeper: Kind): void {
    if (sleeper.alarmPlace >= 0) this.heap.removeAt(sleeper.alarmPlace);
  }

  /** When the next one goes off, or `null`. */
  next(): MonoMs | null {
    return this.again.length > 0 ? this.againAt : (this.heap.peek()?.alarmAt ?? null);
  }

  /** It was not done with it: it goes off again at once, in a round of its own. */
  goOn(sleeper: Kind, at: MonoMs): void {
    if (this.again.length === 0) this.againAt = at;
    if (!this.again.includes(sleeper)) this.again.push(sleeper);
  }

  /** Hears those that go off by then, so many of them; the others are for the next round. */
  hear(by: MonoMs, most: number, hears: (sleeper: Kind) => void): void {
    const { again } = this;
    if (again.length > 0) this.again = [];
    for (const sleeper of again) hears(sleeper);
    for (let heard = 0; heard < most; heard++) {
      const first = this.heap.peek();
      if (first === undefined || first.alarmAt > by) return;
      this.heap.removeAt(first.alarmPlace);
      hears(first);
    }
  }
}

function place(sleeper: Sleeper, index: number): void {
  sleeper.alarmPlace = index;
}
