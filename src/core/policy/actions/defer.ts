import type { ApplyAction } from './action.ts';
import { durationText, finding } from './finding.ts';

/** Holds the request until its pool resets. */
export const applyDefer: ApplyAction<'defer'> = (_action, occasion, tally) => {
  const { pool, readings, poolIndex } = occasion;
  if (pool === null) return 'pool.reset_in';
  const resetInS = readings.pool(poolIndex).reset_in;
  if (resetInS === null) return 'pool.reset_in';
  const extra = `until reset in ${durationText(Math.max(0, resetInS) * 1000)}`;
  tally.defer(finding(occasion, 'defer', extra), pool.id, Math.max(0, resetInS));
  return null;
};
