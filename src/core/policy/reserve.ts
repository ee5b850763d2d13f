import { viewFor } from './by-provider.ts';
import { allHold, matchHolds, poolFits } from './match.ts';
import type { CompiledPolicy, Subject } from './types.ts';

/**
 * The share of a pool's limit, 0…1, that this request must leave for others: what all reservations
 * on the pool keep for somebody else, together.
 */
export function reserveShare(policy: CompiledPolicy, subject: Subject, poolName: string): number {
  const { reserves } = viewFor(policy, subject.provider);
  let share = 0;
  for (const { reserve, match } of reserves) {
    if (!poolFits(match, poolName) || !allHold(match.request, subject)) continue;
    if (!matchHolds(reserve.for, subject, poolName)) share += reserve.share;
  }
  return Math.min(1, share);
}
