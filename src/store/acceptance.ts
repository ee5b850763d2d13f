import type { Entry } from '../core/ledger/entry.ts';
import type { Seq } from '../core/units.ts';

/** Days have four-digit years in a segment's name. */
const LATEST_AT = Date.UTC(9999, 11, 31);

/** Why an entry cannot be appended after `last`; `null` when it can. */
export function defectOf(entry: Entry, last: Seq): string | null {
  const { seq, count, at } = entry;
  if (!Number.isSafeInteger(seq) || seq <= last) {
    return `entry ${String(seq)} does not follow ${String(last)}`;
  }
  if (!Number.isSafeInteger(count) || count < 1) {
    return `entry ${String(seq)} has count ${String(count)}`;
  }
  if (!Number.isSafeInteger(at) || at < 0 || at >= LATEST_AT) {
    return `entry ${String(seq)} has time ${String(at)}`;
  }
  return null;
}
