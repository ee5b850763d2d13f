import type { RuleFinding } from '../types.ts';
import type { Occasion } from './action.ts';

/** A finding about the rule at hand; `extra` is what the action itself has to add. */
export function finding(
  occasion: Occasion,
  effect: RuleFinding['effect'],
  extra: string,
): RuleFinding {
  const { rule, pool, seen } = occasion;
  const detail = extra === '' ? seen : seen === '' ? extra : `${extra}; ${seen}`;
  return pool === null
    ? { rule: rule.id, effect, reason: rule.reason, detail }
    : { rule: rule.id, effect, pool: pool.id, reason: rule.reason, detail };
}

/** `2s`, `1.5s`, `250ms`, `4m`, `6h`: the way policies write it. */
export function durationText(ms: number): string {
  if (ms >= 3_600_000 && ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms >= 60_000 && ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms >= 1000 ? `${Math.round(ms / 100) / 10}s` : `${Math.round(ms)}ms`;
}
