import type { MonoMs } from '../units.ts';
import { Heap } from './heap.ts';
import type { WaitLine } from './line.ts';
import type { LiveRequest } from './request.ts';

/** Something to look at at a time: a request (its sleep or deadline ends) or a line. */
export interface Alarm {
  readonly at: MonoMs;
  readonly request: LiveRequest | null;
  readonly line: WaitLine | null;
}

/** Alarms that came to nothing stay until their time, or until there are many of them. */
const FEW = 256;

/** The one alarm clock of all who wait. */
export class Alarms {
  private readonly heap = new Heap<Alarm>((a, b) => a.at < b.at);
  private sweepAbove = FEW;

  forRequest(request: LiveRequest, at: MonoMs): void {
    this.push({ at, request, line: null });
  }

  forLine(line: WaitLine, at: MonoMs): void {
    this.push({ at, request: null, line });
  }

  private push(alarm: Alarm): void {
    this.heap.push(alarm);
    if (this.heap.size <= this.sweepAbove) return;
    this.heap.keep(isDue);
    this.sweepAbove = Math.max(FEW, 2 * this.heap.size);
  }

  /** When the next one goes off, or `null`. */
  next(): MonoMs | null {
    for (;;) {
      const first = this.heap.peek();
      if (first === undefined) return null;
      if (isDue(first)) return first.at;
      this.heap.pop();
    }
  }

  /** Takes out one that goes off by then. */
  take(by: MonoMs): Alarm | null {
    const at = this.next();
    return at === null || at > by ? null : (this.heap.pop() ?? null);
  }
}

function isDue(alarm: Alarm): boolean {
  if (alarm.line !== null) return alarm.line.wakeAt === alarm.at;
  const { request } = alarm;
  return request !== null && (request.state === 'asleep' || request.state === 'queued');
}
