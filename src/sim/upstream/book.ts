/** What was taken of a pool, by spans of its window's length. */
import type { MonoMs, Units } from '../../core/units.ts';
import type { UpstreamPool, UpstreamWindow } from '../types.ts';

interface Tally {
  from: MonoMs;
  until: MonoMs;
  own: Units;
  outside: Units;
  refused: number;
}

/** Use by spans of a window's length. Fixed windows open a span themselves; others have one follow the other. */
export class Book {
  private readonly pool: UpstreamPool;
  private readonly spans: Tally[] = [];
  private current: Tally | null = null;

  constructor(pool: UpstreamPool) {
    this.pool = pool;
  }

  open(from: MonoMs): void {
    this.current = { from, until: from + this.pool.windowMs, own: 0, outside: 0, refused: 0 };
    this.spans.push(this.current);
  }

  at(at: MonoMs): Tally {
    if (this.current === null) this.open(at);
    else if (at >= this.current.until && Number.isFinite(this.pool.windowMs)) {
      const { windowMs } = this.pool;
      const skipped = Math.floor((at - this.current.until) / windowMs);
      this.open(this.current.until + skipped * windowMs);
    }
    return this.current as unknown as Tally;
  }

  /** The span open now, without opening another; a refusal may come when none is. */
  get newest(): Tally | null {
    return this.current;
  }

  list(until: MonoMs): UpstreamWindow[] {
    return this.spans.map((span) => ({
      pool: this.pool,
      ...span,
      until: Math.min(span.until, until),
    }));
  }
}
