/**
 * An upstream model in two parts: its rules judge requests in the way of one API and speak its
 * dialect; the origin (origin.ts) around them adds the network, the time it takes to serve, failures
 * and the record. Nothing here shares code with the pools that are judged.
 */
import type { DurationMs, EpochMs, MonoMs, Units } from '../../core/units.ts';
import type { SimRequest, UpstreamPool, UpstreamWindow } from '../types.ts';
import type { PoolShape } from './partition.ts';

/** The moment of judging: the simulation's clock, and the origin server's own wall clock. */
export interface Moment {
  readonly at: MonoMs;
  readonly wall: EpochMs;
}

export interface Verdict {
  readonly status: number;
  /** Quota fields and the content's type; `date` is added when the answer leaves. */
  readonly fields: readonly string[];
  readonly body: string | undefined;
  readonly refused: boolean;
  /** Name of the pool that refused, `''` where none did. */
  readonly refusedBy: string;
  readonly charged: Readonly<Record<string, Units>>;
  /** How long it takes to serve; `null` = the origin's own, refusals are quick. */
  readonly serviceMs: DurationMs | null;
  /** Frees what is held while the request is served (concurrency). */
  readonly left: (() => void) | null;
}

export interface UpstreamRules {
  /** Judges a request at the moment it arrives: charges it, or refuses it and charges nothing. */
  admit(request: SimRequest, moment: Moment): Verdict;
  /**
   * A consumer who does not pass through the governor asks for so many units of a pool.
   * Returns whether it got them.
   */
  outside(identity: string, pool: string, units: Units, moment: Moment): boolean;
  /** What a pool of that name is, for whoever has one; `undefined` = there is none. */
  shape(pool: string): PoolShape | undefined;
  /** Every pool of every identity that was met, as it is enforced. */
  pools(): readonly UpstreamPool[];
  /** Closed windows, and the ones open at `until`. For buckets and rolling windows, spans of one window each from the first call on. */
  windows(until: MonoMs): readonly UpstreamWindow[];
}
