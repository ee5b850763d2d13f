import type { Claim, Usage } from '../claim.ts';
import type { RequestHead } from '../head.ts';
import type { Who } from '../ledger/entry.ts';
import type { Provider } from '../provider.ts';
import type { Pool } from '../quota/pool.ts';
import type { DurationMs, EpochMs, MonoMs, Priority, Seq, Units } from '../units.ts';
import type { Subject } from '../policy/types.ts';
import type { WaitLine } from './line.ts';
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
  readonly arrivedWall: EpochMs;
  readonly deadline: MonoMs;
  /** Warnings from the policy, for the client. */
  readonly warnings: readonly string[];
  seq: Seq;
  state: RequestState;
  draws: PoolDraw[];
  line: WaitLine | null;
  /** Units it was counted with when it joined the line. */
  lineUnits: Units;
  /** Policy delays end then. */
  notBefore: MonoMs;
  sentWall: EpochMs;
  waitedMs: DurationMs;
  status: number;
  usage: Usage | null;
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
  const { limit } = draw.pool;
  if (draw.sure || limit === null || draw.units > limit * CERTAINLY_TOO_LARGE) return draw.units;
  return Math.min(draw.units, Math.max(0, limit - keptFor(draw)));
}
