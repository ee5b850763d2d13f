import type { Entry } from '../ledger/entry.ts';
import type { DrawRow } from '../ledger/layout.ts';
import { SECOND, type DurationMs, type EpochMs, type JsonValue } from '../units.ts';

const MOST = 1024;
/** Class of a request that was counted as demand before. */
export const COUNTED = -1;
/** Who was told to come back in so long may take this many times as long, and so much more. */
const PATIENCE = 2;
const GRACE_MS: DurationMs = 30 * SECOND;

interface Expected {
  /** Refusals that have not been followed by a return. */
  count: number;
  until: EpochMs;
}

/**
 * Refused requests whose clients may try again: the same agent asking the same pool for as much
 * within its Retry-After is the demand that was counted already. Part of the fold; bounded, the oldest
 * are forgotten first.
 */
export class Comebacks {
  private expected = new Map<string, Expected>();

  /** Whether a newcomer is one of them; then it is expected no longer. */
  returned(entry: Entry, draws: readonly DrawRow[]): boolean {
    if (this.expected.size === 0) return false;
    const key = keyOf(entry, draws);
    const found = this.expected.get(key);
    if (found === undefined) return false;
    found.count -= 1;
    if (found.count <= 0 || found.until < entry.at) this.expected.delete(key);
    return found.until >= entry.at;
  }

  refused(entry: Entry, draws: readonly DrawRow[], retryInMs: DurationMs | null): void {
    if (retryInMs === null || draws.length === 0) return;
    const key = keyOf(entry, draws);
    const until = entry.at + PATIENCE * retryInMs + GRACE_MS;
    const found = this.expected.get(key);
    const count = found === undefined || found.until < entry.at ? 0 : found.count;
    this.expected.delete(key);
    if (this.expected.size >= MOST) {
      for (const oldest of this.expected.keys()) {
        this.expected.delete(oldest);
        break;
      }
    }
    this.expected.set(key, { count: count + 1, until: Math.max(until, found?.until ?? 0) });
  }

  clear(): void {
    this.expected.clear();
  }

  save(): JsonValue {
    return [...this.expected].map(([key, { count, until }]) => [key, count, until]);
  }

  load(saved: JsonValue | undefined): void {
    for (const [key, count, until] of (saved ?? []) as unknown as [string, number, number][]) {
      this.expected.set(key, { count, until });
    }
  }
}

function keyOf(entry: Entry, draws: readonly DrawRow[]): string {
  const [first] = draws;
  if (first === undefined) return entry.who.agent;
  return `${entry.who.agent}|${entry.pools[first[0]] ?? ''}|${String(first[1])}`;
}
