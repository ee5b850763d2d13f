import type { Pool } from '../quota/pool.ts';
import type { MonoMs, Units } from '../units.ts';
import { Heap } from './heap.ts';
import { unitsFor, type LiveRequest } from './request.ts';

/** First come, first served within a priority; higher priorities first. */
export function goesBefore(a: LiveRequest, b: LiveRequest): boolean {
  return a.rank !== b.rank ? a.rank < b.rank : a.seq < b.seq;
}

/** Those who wait for one pool. Leavers are dropped lazily: whoever's `line` is not this one. */
export class WaitLine {
  readonly pool: Pool;
  /** When it is next looked at, monotonic; `null` = only after an event. */
  wakeAt: MonoMs | null = null;
  private readonly heap = new Heap<LiveRequest>(goesBefore);
  private count = 0;
  /** Units asked by those in line, by rank. */
  private readonly units: [Units, Units, Units] = [0, 0, 0];

  constructor(pool: Pool) {
    this.pool = pool;
  }

  get size(): number {
    return this.count;
  }

  /** Units that go before a newcomer of this rank. */
  ahead(rank: number): Units {
    let sum = 0;
    for (let i = 0; i <= rank && i < 3; i++) sum += this.units[i] as number;
    return sum;
  }

  head(): LiveRequest | null {
    for (;;) {
      const first = this.heap.peek();
      if (first === undefined) return null;
      if (first.line === this) return first;
      this.heap.pop();
    }
  }

  /** Whether somebody waits here who goes before this request. */
  hasBefore(request: LiveRequest): boolean {
    if (this.count === 0) return false;
    const head = this.head();
    return head !== null && head !== request && goesBefore(head, request);
  }

  /** Takes everybody out, in order. */
  clear(): LiveRequest[] {
    const all: LiveRequest[] = [];
    for (let head = this.head(); head !== null; head = this.head()) {
      this.leave(head);
      all.push(head);
    }
    this.wakeAt = null;
    return all;
  }

  join(request: LiveRequest): void {
    request.line = this;
    request.state = 'queued';
    this.heap.push(request);
    this.count += 1;
    request.lineUnits = unitsIn(request, this.pool);
    this.units[request.rank as 0 | 1 | 2] += request.lineUnits;
  }

  leave(request: LiveRequest): void {
    if (request.line !== this) return;
    request.line = null;
    this.count -= 1;
    this.units[request.rank as 0 | 1 | 2] -= request.lineUnits;
    if (this.heap.peek() === request) this.heap.pop();
  }
}

function unitsIn(request: LiveRequest, pool: Pool): Units {
  for (const draw of request.draws) if (draw.pool === pool) return unitsFor(draw);
  return 1;
}
