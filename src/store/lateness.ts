import type { Entry } from '../core/ledger/entry.ts';
import type { DurationMs, MonoMs, Seq } from '../core/units.ts';

/** How far behind commits are, without a time kept for each entry: never less than it is. */
export class Lateness {
  /** The oldest queued entry was queued at this time or later. */
  #since: MonoMs = 0;
  /** Entries above `seq` were queued after `mono`. */
  #mark: { readonly seq: Seq; readonly mono: MonoMs } = { seq: 0, mono: 0 };

  /** The first entry of an empty queue. */
  began(now: MonoMs): void {
    this.#since = now;
  }

  /** A commit begun at `now` left `first` as the oldest of what goes up to `lastSeq`. */
  committed(first: Entry | undefined, lastSeq: Seq, now: MonoMs): void {
    if (first !== undefined && first.seq <= this.#mark.seq) return;
    this.#since = Math.max(this.#since, this.#mark.mono);
    this.#mark = { seq: lastSeq, mono: now };
  }

  ms(now: MonoMs): DurationMs {
    return now - this.#since;
  }
}
