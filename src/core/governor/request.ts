import type { Claim, Usage } from '../claim.ts';
import type { RequestHead } from '../head.ts';
import type { Who } from '../ledger/entry.ts';
import type { Provider } from '../provider.ts';
import type { Pool } from '../quota/pool.ts';
import type { DurationMs, EpochMs, Instant, MonoMs, Priority, Seq, Units } from '../units.ts';
import type { Subject } from '../policy/types.ts';
import type { RequestMoney } from './expenses.ts';
import type { Flow } from './fair-class.ts';
import type { Stretch } from './fair-stretch.ts';
import type { FairCharge, WaitLine } from './line.ts';
import type { Party } from './state.ts';

/** A draw with its pool looked up. `keep` units of the pool's limit stay for others. */
export interface PoolDraw {
  pool: Pool;
  readonly units: Units;
  readonly sure: boolean;
  /** 0…1 of the limit that policy reserves for somebody else. */
  readonly keepShare: number;
}

export type RequestState = 'new' | 'asleep' | 'queued' | 'sent' | 'over';

/** A wait as it was worked out when it began. */
export interface Promised {
  readonly learners: readonly Stretch[];
  readonly at: MonoMs;
  readonly waitMs: DurationMs;
}

/** A living request, from arrival to settlement. Volatile: a restart forgets those who waited. */
export interface LiveRequest {
  readonly key: number;
  readonly provider: Provider;
  readonly head: RequestHead;
  readonly claim: Claim;
  party: Party;
  /** What matchers of the policy look at. */
  readonly subject: Subject;
  readonly who: Who;
  readonly priority: Priority;
  /** 0 high, 1 normal, 2 background: smaller goes first. */
  readonly rank: number;
  readonly maxWaitMs: DurationMs;
  readonly arrivedMono: MonoMs;
  arrivedWall: EpochMs;
  readonly deadline: MonoMs;
  /** Warnings from the policy, for the client. */
  readonly warnings: readonly string[];
  seq: Seq;
  state: RequestState;
  draws: PoolDraw[];
  line: WaitLine | null;
  /** Units it was counted with when it joined the line. */
  lineUnits: Units;
  /** Its agent in the line, its place among that one's requests, and what it costs there. */
  flow: Flow | null;
  place: number;
  cost: number;
  /** What it paid in contended pools, until it is corrected; `null` = nothing. */
  charges: readonly FairCharge[] | null;
  /** What was worked out of its wait when it began; `null` = nothing. */
  promise: Promised | null;
  alarmAt: MonoMs;
  alarmPlace: number;
  /** Policy delays end then. */
  notBefore: MonoMs;
  sentWall: EpochMs;
  waitedMs: DurationMs;
  /** Its content can be sent once more. */
  readonly replayable: boolean;
  /** Times it was sent, the present one included. */
  attempts: number;
  /** Spent under way in attempts that the provider refused: no part of its waiting. */
  awayMs: DurationMs;
  /** Its refusal is recorded already, by its head; the content only explains it. */
  refusalTold: boolean;
  status: number;
  usage: Usage | null;
  /** What it costs; `null` where it names no model. */
  readonly money: RequestMoney | null;
}

/** How long policy or quotas made it wait so far, whole milliseconds. */
export function waitedUntil(request: LiveRequest, at: Instant): DurationMs {
  return Math.round(at.mono - request.arrivedMono - request.awayMs);
}

export const RANK: Readonly<Record<Priority, number>> = { high: 0, normal: 1, background: 2 };

/** Units of the pool's limit that this request may not touch. */
export function keptFor(draw: PoolDraw): Units {
  if (draw.keepShare <= 0 || draw.pool.limit === null) return 0;
  return Math.ceil(draw.pool.limit * draw.keepShare);
}

/** An estimate this many times over the limit is believed: it will not fit. */
const CERTAINLY_TOO_LARGE = 2;

/**
 * Units to set aside. An estimate somewhat over what the pool ever holds may well be wrong: such a
 * request waits until the pool is full, and the provider has the last word.
 */
export function unitsFor(draw: PoolDraw): Units {
  const { limit, charging } = draw.pool;
  if (draw.sure || limit === null) return draw.units;
  const units = charging === null ? draw.units : charging.likely(draw.units);
  if (charging?.isTooLarge(draw.units) === true) return Math.max(units, limit + 1);
  if (Math.min(units, draw.units) > limit * CERTAINLY_TOO_LARGE) return units;
  // What money is set aside is no guess but a bound: less would let a budget be overspent.
  if (draw.pool.spec.unit === 'usd') return draw.units;
  return Math.min(units, Math.max(0, limit - keptFor(draw)));
}
