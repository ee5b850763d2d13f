import { evenRate } from '../pacing.ts';
import type { ApplyAction } from './action.ts';
import { finding } from './finding.ts';

/**
 * Spaces requests out: at a fixed rate, or (`spread`) so that what remains, without what is kept for
 * others, lasts until the reset. With nothing left to spread the request waits for the reset itself.
 */
export const applyPace: ApplyAction<'pace'> = (action, occasion, tally) => {
  const { rule, pool } = occasion;
  if (action.perSecond !== 'spread') {
    const found = finding(occasion, 'pace', `at ${rate(action.perSecond)}`);
    tally.pace(found, { rule: rule.id, perSecond: action.perSecond });
    return null;
  }
  if (pool === null) return 'pool.remaining';
  const { remaining, reset_in: resetInS } = occasion.readings.pool(occasion.poolIndex);
  if (remaining === null) return 'pool.remaining';
  if (resetInS === null) return 'pool.reset_in';
  const units = Math.max(1, pool.units);
  const left = remaining - (pool.kept ?? 0);
  if (left <= 0) {
    tally.defer(finding(occasion, 'defer', 'nothing left to spread'), pool.id, resetInS);
    return null;
  }
  // A reset less than a second away is as good as now: resets are told in whole seconds.
  const perSecond = evenRate(left / units, Math.max(1, resetInS) * 1000) * 1000;
  const found = finding(occasion, 'pace', `at ${rate(perSecond)}`);
  tally.pace(found, {
    rule: rule.id,
    perSecond,
    pool: pool.id,
    units,
    resetInMs: resetInS * 1000,
    ...(action.burst === undefined ? {} : { burst: action.burst * left }),
  });
  return null;
};

function rate(perSecond: number): string {
  return perSecond >= 0.1
    ? `${Math.round(perSecond * 100) / 100}/s`
    : `${Math.round(perSecond * 360_000) / 100}/h`;
}
