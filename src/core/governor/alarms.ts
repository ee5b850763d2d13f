import type { MonoMs } from '../units.ts';
import { IndexedHeap } from './heap.ts';

/** Somebody to look at at a time: a request (its sleep or deadline ends) or a line. */
export interface Sleeper {
  alarmAt: MonoMs;
  /** Place among the alarms; −1: none is set. */
  alarmPlace: number;
}

/** The one alarm clock of all who wait; each has one alarm, and none that came to nothing stays. */
export class Alarms<Kind extends Sleeper> {
  private readonly heap = new IndexedHeap<Kind>((a, b) => a.alarmAt < b.alarmAt, place);

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
    return this.heap.peek()?.alarmAt ?? null;
  }

  /** Takes out one that goes off by then. */
  take(by: MonoMs): Kind | null {
    const first = this.heap.peek();
    if (first === undefined || first.alarmAt > by) return null;
    this.heap.removeAt(first.alarmPlace);
    return first;
  }
}

function place(sleeper: Sleeper, index: number): void {
  sleeper.alarmPlace = index;
}
