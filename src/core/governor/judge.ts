/**
 * Passing, delaying or refusing one request. Reads state, changes nothing: all pools are asked, and
 * only when every one of them has room does the caller set the units aside, in the same step.
 */
import type { PolicyVerdict } from '../policy/types.ts';
import { Gate } from '../quota/gate.ts';
import { NEVER, ON_EVENT, type Pool } from '../quota/pool.ts';
import { GLOBAL, SECOND, type DurationMs, type EpochMs, type Instant } from '../units.ts';
import type { WaitLine } from './line.ts';
import { keptFor, unitsFor, type LiveRequest } from './request.ts';

export interface Judgement {
  readonly verdict: 'pass' | 'delay' | 'reject';
  /** Stable code of a delay's or refusal's cause; `''` for a pass. */
  readonly code: string;
  readonly reason: string;
  readonly rule?: string;
  /** The pool that decided. */
  readonly blocking: Pool | null;
  /** Expected wait; `null` when only an event can tell. */
  readonly waitMs: DurationMs | null;
  /** When to come back after a refusal; `null` = never. */
  readonly retryInMs: DurationMs | null;
}

export const PASS: Judgement = {
  verdict: 'pass',
  code: '',
  reason: '',
  blocking: null,
  waitMs: 0,
  retryInMs: null,
};

/** A pool that does not let a request through now. */
export interface Obstacle {
  readonly pool: Pool;
  /** When it could, standing first in line; `ON_EVENT`, or `NEVER`. */
  readonly at: EpochMs;
  /** The same with everybody ahead served first. */
  readonly expected: EpochMs;
}

export type Lines = ReadonlyMap<Pool, WaitLine>;

/** The obstacle that lasts longest, or `null` when the request may be sent now. */
export function obstacle(
  request: LiveRequest,
  gates: readonly Gate[],
  lines: Lines,
  now: EpochMs,
): Obstacle | null {
  let worst: Obstacle | null = null;
  for (const gate of gates) worst = worse(worst, check(request, gate, 0, 0, lines, now));
  for (const draw of request.draws) {
    worst = worse(worst, check(request, draw.pool, unitsFor(draw), keptFor(draw), lines, now));
  }
  return worst;
}

function check(
  request: LiveRequest,
  pool: Pool,
  units: number,
  keep: number,
  lines: Lines,
  now: EpochMs,
): Obstacle | null {
  const line = lines.size === 0 ? undefined : lines.get(pool);
  const at = pool.earliest(units, now, keep, request.party.identity);
  const behind = line?.hasBefore(request) === true;
  if (at <= now && !behind) return null;
  const ahead = line === undefined || request.line === line ? 0 : line.ahead(request.rank);
  const expected =
    ahead > 0 ? pool.earliestBehind(ahead, units, now, keep, request.party.identity) : at;
  // Behind somebody with room enough it is that one's turn first, and of an unknown pool the first
  // answer tells: events, of which nobody knows when they come.
  const untold = expected <= now || pool.guessing(now);
  return { pool, at: at <= now ? ON_EVENT : at, expected: untold ? ON_EVENT : expected };
}

function worse(a: Obstacle | null, b: Obstacle | null): Obstacle | null {
  if (a === null) return b;
  if (b === null) return a;
  if (a.at === NEVER) return a;
  if (b.at === NEVER) return b;
  // A known time says more than "after an event".
  if (a.expected >= ON_EVENT) return b;
  if (b.expected >= ON_EVENT) return a;
  return b.expected > a.expected ? b : a;
}

/** Refusal by a rule. */
export function byRule(verdict: PolicyVerdict, resetInMs: DurationMs | null): Judgement {
  const finding = verdict.decidedBy;
  const asked = verdict.retryAfter;
  const retryInMs =
    asked === 'never' ? null : asked === 'auto' || asked === null ? resetInMs : asked;
  const words = finding?.reason ?? '';
  return {
    verdict: 'reject',
    code: 'RL_RULE',
    reason: words === '' ? `rule \`${finding?.rule ?? ''}\` refuses it` : words,
    ...(finding === null ? {} : { rule: finding.rule }),
    blocking: null,
    waitMs: null,
    retryInMs: asked === 'never' ? null : (retryInMs ?? 60 * SECOND),
  };
}

/** Weighs obstacles and policy delays against what the caller is willing to wait. */
export function weigh(
  request: LiveRequest,
  found: Obstacle | null,
  policyWaitMs: DurationMs,
  policyRule: { readonly rule: string; readonly reason: string } | null,
  at: Instant,
): Judgement {
  if (found === null && policyWaitMs <= 0) return PASS;
  if (found !== null && found.at === NEVER) return tooLarge(request, found.pool);
  const gate = found?.pool;
  if (gate instanceof Gate && gate.hopeless) return hopeless(gate);
  const poolWait = found === null ? 0 : waitOf(found, at.wall);
  const known = poolWait === null ? policyWaitMs : Math.max(poolWait, policyWaitMs);
  const left = request.deadline - at.mono;
  const byPolicy = policyWaitMs > (poolWait ?? 0);
  if (known > left || left <= 0) {
    return byPolicy && policyRule !== null
      ? overLongByRule(request, policyRule, policyWaitMs)
      : overLong(request, found, poolWait, at.wall);
  }
  const reason = byPolicy && policyRule !== null ? policyRule.reason : waitReason(found, at.wall);
  return {
    verdict: 'delay',
    code: byPolicy ? 'RL_RULE' : 'RL_QUOTA',
    reason,
    ...(byPolicy && policyRule !== null ? { rule: policyRule.rule } : {}),
    blocking: found?.pool ?? null,
    waitMs: poolWait === null && policyWaitMs <= 0 ? null : known,
    retryInMs: null,
  };
}

function waitOf(found: Obstacle, now: EpochMs): DurationMs | null {
  return found.expected >= ON_EVENT ? null : Math.max(0, found.expected - now);
}

function tooLarge(request: LiveRequest, pool: Pool): Judgement {
  const draw = request.draws.find((candidate) => candidate.pool === pool);
  const units = draw?.units ?? 0;
  const limit = pool.limit ?? 0;
  const kept = draw === undefined ? 0 : keptFor(draw);
  const keptText = kept > 0 ? `, of which ${String(kept)} are kept for others` : '';
  return {
    verdict: 'reject',
    code: 'RL_TOO_LARGE',
    reason:
      `it asks for ${String(units)} ${pool.spec.unit} and \`${pool.spec.name}\` never holds more ` +
      `than ${String(limit)}${keptText}; make it smaller`,
    blocking: pool,
    waitMs: null,
    retryInMs: null,
  };
}

function hopeless(gate: Gate): Judgement {
  return {
    verdict: 'reject',
    code: 'RL_NEVER',
    reason: `the provider refused with \`${gate.blockedFor}\`, which waiting does not clear`,
    blocking: gate,
    waitMs: null,
    retryInMs: null,
  };
}

function overLongByRule(
  request: LiveRequest,
  rule: { readonly rule: string; readonly reason: string },
  waitMs: DurationMs,
): Judgement {
  return {
    verdict: 'reject',
    code: 'RL_RULE',
    reason: `${rule.reason}, longer than the ${seconds(request.maxWaitMs)} it may wait`,
    rule: rule.rule,
    blocking: null,
    waitMs,
    retryInMs: waitMs,
  };
}

/** Refusal because the wait does not fit; also used when a waiter ran out of time. */
export function overLong(
  request: LiveRequest,
  found: Obstacle | null,
  waitMs: DurationMs | null,
  now: EpochMs,
): Judgement {
  const pool = found?.pool ?? null;
  const down = pool instanceof Gate && pool.charged === GLOBAL;
  const retryInMs = waitMs ?? SECOND;
  return {
    verdict: 'reject',
    code: down ? 'RL_PROVIDER_DOWN' : 'RL_QUOTA',
    reason: `${waitReason(found, now)}, longer than the ${seconds(request.maxWaitMs)} it may wait`,
    blocking: pool,
    waitMs,
    retryInMs: Math.max(1, retryInMs),
  };
}

function waitReason(found: Obstacle | null, now: EpochMs): string {
  if (found === null) return 'it waits by policy';
  const { pool } = found;
  if (pool instanceof Gate) {
    return pool.blockedUntil > now
      ? `the provider said \`${pool.blockedFor}\` and asks to wait ${seconds(pool.blockedUntil - now)}`
      : `the provider said \`${pool.blockedFor}\` and one request tries whether that is over`;
  }
  if (pool.unknown) {
    return `nothing is known of \`${pool.spec.name}\` yet and the first request has not been answered`;
  }
  const figures = pool.figures(now);
  const left = `${String(figures.remaining ?? 0)} of ${String(figures.limit ?? 0)} ${pool.spec.unit}`;
  const held = figures.reserved > 0 ? `, ${String(figures.reserved)} held` : '';
  const wait =
    found.expected >= ON_EVENT
      ? 'room comes when one of them ends'
      : `it takes ${seconds(Math.max(0, found.expected - now))}`;
  return `\`${pool.spec.name}\` has ${left} left${held}; ${wait}`;
}

function seconds(ms: DurationMs): string {
  if (ms < 1000) return `${String(Math.round(ms))} ms`;
  if (ms < 120_000) return `${String(Math.ceil(ms / 100) / 10)} s`;
  const minutes = Math.ceil(ms / 60_000);
  return minutes < 120 ? `${String(minutes)} min` : `${String(Math.ceil(minutes / 6) / 10)} h`;
}
