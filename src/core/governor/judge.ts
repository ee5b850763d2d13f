/**
 * Passing, delaying or refusing one request. Reads state, changes nothing: all pools are asked, and
 * only when every one of them has room does the caller set the units aside, in the same step.
 */
import type { PolicyVerdict, RuleFinding } from '../policy/types.ts';
import { amountText, unitsText } from '../money.ts';
import { Gate } from '../quota/gate.ts';
import { NEVER, ON_EVENT, type Pool } from '../quota/pool.ts';
import { spanOf } from '../quota/span.ts';
import { SECOND, type DurationMs, type EpochMs, type Instant } from '../units.ts';
import type { Core } from './engine.ts';
import { mayPass } from './fair-backfill.ts';
import type { Ahead } from './fair-class.ts';
import { inLine } from './fair-place.ts';
import { placeWords, waitReason } from './fair-words.ts';
import type { WaitLine } from './line.ts';
import { keptFor, unitsFor, type LiveRequest, type PoolDraw } from './request.ts';

const CROWDED = ', and others of its agent that came before would not be served in time';
/** A wait that was only measured may turn out this much shorter. */
const ROUGHLY = 1.25;

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
  /** The same if it goes well: who would be served in time one time in ten may wait for it. */
  readonly soonest: EpochMs;
  /** The wait that `expected` was made of, before what was learned of such waits. */
  readonly plainMs: DurationMs | null;
  /** Others of its agent who wait would miss their deadlines by it. */
  readonly crowds: boolean;
  /** Whether `expected` was measured, not worked out. */
  readonly rough: boolean;
  /** There is room, but it is kept for a class above. */
  readonly held: boolean;
  /** Said instead of the pool's figures. */
  readonly words: (() => string | null) | null;
  /** The line of the pool, when others wait in it, and how many of them go first. */
  readonly line: WaitLine | null;
  readonly ahead: Ahead | null;
}

export type Lines = ReadonlyMap<Pool, WaitLine>;

/** What is asked besides the pools themselves. */
export type Surroundings = Pick<Core, 'policy' | 'protection'>;

/** The obstacle that lasts longest, or `null` when the request may be sent now. */
export function obstacle(
  request: LiveRequest,
  gates: readonly Pool[],
  lines: Lines,
  around: Surroundings,
  at: Instant,
): Obstacle | null {
  let worst: Obstacle | null = null;
  for (const gate of gates) worst = worse(worst, check(request, gate, null, lines, around, at));
  for (const draw of request.draws) {
    worst = worse(worst, check(request, draw.pool, draw, lines, around, at));
  }
  if (worst !== null || request.state !== 'new') return worst;
  // Of newcomers asked last: it is the dearest question, and who must wait is asked again anyway.
  for (const draw of request.draws) {
    worst = worse(worst, heldBack(request, draw, around, at.wall));
  }
  return worst;
}

/**
 * What still stands before somebody who waits, or `null`. Of several pools the one that opens last,
 * without what the lines before them will take: it is asked of every head of a line whenever
 * something moves, and how long he will wait was said when he came.
 */
export function standing(
  request: LiveRequest,
  lines: Lines,
  around: Surroundings,
  now: EpochMs,
): Obstacle | null {
  let worst: Obstacle | null = null;
  for (const draw of request.draws) {
    const { pool } = draw;
    const at = pool.earliest(unitsFor(draw), now, keptFor(draw), request.party.identity);
    if (at > now && (worst === null || !outlasts(worst, at))) {
      worst = plain(pool, at, untold(pool, at, now));
    }
  }
  if (worst !== null) return worst;
  // There is room everywhere: only now are the dearer questions asked.
  for (const draw of request.draws) {
    const line = lines.get(draw.pool);
    if (line === undefined || mayGoFirst(request, line, draw, now)) {
      worst = worse(worst, heldBack(request, draw, around, now));
    } else worst ??= plain(draw.pool, ON_EVENT, ON_EVENT);
  }
  return worst;
}

/** What is left to wait for in the line's own pool, where there is no room; `null`: there is, or it is a gate. */
export function ownWait(request: LiveRequest, pool: Pool, now: EpochMs): Obstacle | null {
  for (const draw of request.draws) {
    if (draw.pool !== pool) continue;
    const at = pool.earliest(unitsFor(draw), now, keptFor(draw), request.party.identity);
    return at <= now ? null : plain(pool, at, untold(pool, at, now));
  }
  return null;
}

/** Whether it is the worse one already, so that the other need not be made. */
function outlasts({ at, expected }: Obstacle, other: EpochMs): boolean {
  return at === NEVER || (expected < ON_EVENT && other !== NEVER && expected >= other);
}

/** @param draw `null` at a gate */
function check(
  request: LiveRequest,
  pool: Pool,
  draw: PoolDraw | null,
  lines: Lines,
  around: Surroundings,
  now: Instant,
): Obstacle | null {
  const line = lines.size === 0 ? undefined : lines.get(pool);
  const { wall } = now;
  const units = draw === null ? 0 : unitsFor(draw);
  const keep = draw === null ? 0 : keptFor(draw);
  const at = pool.earliest(units, wall, keep, request.party.identity);
  if (at <= wall && (line === undefined || mayGoFirst(request, line, draw, wall))) {
    const asked = draw !== null && request.state !== 'new';
    return asked ? heldBack(request, draw, around, wall) : null;
  }
  if (line === undefined || request.line === line) {
    return plain(pool, at <= wall ? ON_EVENT : at, untold(pool, at, wall));
  }
  // Others of its class are held back before it: it cannot go before the first of them may.
  const held = at > wall || draw === null ? null : heldBack(request, draw, around, wall);
  return inLine(request, { pool, draw, line, at, units, keep, held }, around, now);
}

/** Nobody stands before it there, or he loses nothing by it. */
function mayGoFirst(
  request: LiveRequest,
  line: WaitLine,
  draw: PoolDraw | null,
  now: EpochMs,
): boolean {
  const blocker = line.before(request, now);
  if (blocker === null) return true;
  return draw !== null && !blocker.held && mayPass(blocker.request, request, now);
}

function heldBack(
  request: LiveRequest,
  draw: PoolDraw,
  { protection }: Surroundings,
  now: EpochMs,
): Obstacle | null {
  const until = protection.holdsBackUntil(request, draw, now);
  if (until <= now) return null;
  const words = (): string | null => protection.words(request, draw, now);
  const { pool } = draw;
  const first = { ...UNSAID, pool, at: until, held: true, words };
  if (request.state !== 'new') return { ...first, expected: until, soonest: until };
  const soonest = Math.min(until, protection.turnBehind(request, draw, 0, now));
  return { ...first, expected: until, soonest };
}

const UNSAID = {
  plainMs: null,
  crowds: false,
  rough: false,
  held: false,
  words: null,
  line: null,
  ahead: null,
} as const;

function plain(pool: Pool, at: EpochMs, expected: EpochMs): Obstacle {
  return {
    pool,
    at,
    expected,
    soonest: expected,
    plainMs: null,
    crowds: false,
    rough: false,
    held: false,
    words: null,
    line: null,
    ahead: null,
  };
}

/** Of an unknown pool the first answer tells, of one with room somebody else's turn: events. */
function untold(pool: Pool, at: EpochMs, now: EpochMs): EpochMs {
  return at <= now || pool.guessing(now) ? ON_EVENT : at;
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

/** Refusal by a limit in money: what the request may cost has no bound. */
export function byBudget({ rule, detail }: RuleFinding): Judgement {
  return {
    verdict: 'reject',
    code: 'RL_UNPRICED',
    reason: `${detail}, and budget \`${rule}\` lets through only what it can count`,
    rule,
    blocking: null,
    waitMs: null,
    retryInMs: null,
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
  const soonest = found === null ? 0 : Math.max(0, found.soonest - at.wall);
  const least = poolWait === null ? policyWaitMs : Math.max(soonest, policyWaitMs);
  const left = request.deadline - at.mono;
  // What was only measured must be well beyond its patience before it is refused for it.
  const patience = found?.rough === true ? left * ROUGHLY : left;
  const byPolicy = policyWaitMs > (poolWait ?? 0);
  if (found?.crowds === true && request.state === 'new' && least <= patience) {
    const reason = waitReason(found, at.wall) + placeWords(found, request) + CROWDED;
    return { ...overLong(request, found, poolWait, at.wall), reason };
  }
  if (least > patience || left <= 0) {
    return byPolicy && policyRule !== null
      ? overLongByRule(request, policyRule, policyWaitMs)
      : overLong(request, found, poolWait, at.wall);
  }
  const reason =
    byPolicy && policyRule !== null
      ? policyRule.reason
      : waitReason(found, at.wall) + placeWords(found, request);
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
  const { unit } = pool.spec;
  const keptText = kept > 0 ? `, of which ${unitsText(kept, unit)} are kept for others` : '';
  const asks = unit === 'usd' ? 'it may cost' : 'it asks for';
  const name = `\`${pool.spec.name}\``;
  const bound =
    pool.charging?.isTooLarge(units) === true
      ? `one no larger was too large for ${name} by the provider's count`
      : `${name} never holds more than ${unitsText(limit, unit)}${keptText}`;
  return {
    verdict: 'reject',
    code: 'RL_TOO_LARGE',
    reason: `${asks} ${amountText(units, unit)} and ${bound}; make it smaller`,
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
    reason: `${rule.reason}, longer than the ${spanOf(request.maxWaitMs)} it may wait`,
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
  const down = pool instanceof Gate && pool.isOfProvider;
  const retryInMs = waitMs ?? SECOND;
  return {
    verdict: 'reject',
    code: down ? 'RL_PROVIDER_DOWN' : 'RL_QUOTA',
    reason: `${waitReason(found, now)}${placeWords(found, request)}, longer than the ${spanOf(request.maxWaitMs)} it may wait`,
    blocking: pool,
    waitMs,
    retryInMs: Math.max(1, retryInMs),
  };
}
