import type { Question } from '../forecast/forecaster.ts';
import type { Pool } from '../quota/pool.ts';
import { RollingWindowPool } from '../quota/rolling.ts';
import { MINUTE, type EpochMs, type Units } from '../units.ts';

/** Whether it can run dry at all: slots are held, not used up. */
export function runsDry(pool: Pool): boolean {
  return pool.spec.kind !== 'concurrent' && pool.limit !== null;
}

/**
 * What a forecast of a pool needs to know; `null` while its limit is not known.
 *
 * Fixed windows end at their reset; one that is not open yet is taken to be opened now. Buckets and
 * rolling windows have no such end: they are looked at over one window's length, in which a bucket
 * gets its limit back and a rolling window what is used of it now, each unit when its turn comes.
 */
export function questionOf(pool: Pool, now: EpochMs): Question | null {
  if (!runsDry(pool)) return null;
  const { limit, used, remaining, reserved, resetAt, windowMs, observedAt } = pool.figures(now);
  if (limit === null || limit === Infinity) return null;
  const left = Math.max(0, (remaining ?? limit) - reserved);
  const told = pool.spec.source === 'policy' || observedAt === null ? now : observedAt;
  const ageMs = Math.max(0, now - told);
  if (pool.spec.kind === 'fixed') {
    const resetInMs = resetAt !== null && resetAt > now ? resetAt - now : windowMs;
    return { remaining: left, resetInMs, refill: 0, ageMs };
  }
  const back = pool.spec.kind === 'bucket' ? limit : Math.max(0, (used ?? 0) + reserved);
  // Where nobody told how long it is the pools themselves count with a minute.
  const span = windowMs === null || windowMs <= 0 ? MINUTE : windowMs;
  const question = { remaining: left, resetInMs: span, refill: (back * 1000) / span, ageMs };
  if (!(pool instanceof RollingWindowPool)) return question;
  const by = (seconds: number): Units => pool.backIn(seconds * 1000, now);
  return { ...question, returns: { windowS: span / 1000, by } };
}
