import type { Entry } from '../ledger/entry.ts';
import type { DurationMs } from '../units.ts';

export const CODE = 'clock_set_back';

/** By how much an `alert_raised` says that the clock was set back; 0 when it is about something else. */
export function setBackBy(entry: Entry): DurationMs {
  const { code, by_ms: by } = entry.data[1] as unknown as { code?: string; by_ms: DurationMs };
  return code === CODE ? by : 0;
}
