import type { DurationMs } from '../units.ts';

/** A length of time for people. */
export function spanOf(ms: DurationMs): string {
  if (ms < 1000) return `${String(Math.round(ms))} ms`;
  if (ms < 120_000) return `${String(Math.ceil(ms / 100) / 10)} s`;
  const minutes = Math.ceil(ms / 60_000);
  return minutes < 120 ? `${String(minutes)} min` : `${String(Math.ceil(minutes / 6) / 10)} h`;
}
