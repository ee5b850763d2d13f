import { agentSettings } from '../policy/agents.ts';
import { pacingOf } from '../policy/pacing.ts';
import type { CompiledPolicy } from '../policy/types.ts';
import type { Pool } from '../quota/pool.ts';
import type { DurationMs, MonoMs, Units } from '../units.ts';
import { WaitLine, type FairCharge, type Turn } from './line.ts';
import { unitsFor, type LiveRequest } from './request.ts';

/** What a request weighs of which no pool's limit is known: turns alone count. */
const NOMINAL_SHARE = 1e-3;
/** A pool for which nobody waited for this long is contended no more: its virtual times are forgotten. */
const CALM_MS: DurationMs = 30_000;
const SWEEP_EVERY_MS: DurationMs = 5_000;

/** Units that a request takes of a pool. */
export type UnitsOf = (pool: Pool, estimated: Units) => Units;

/** Largest share of a limit that the request takes, over the pools it draws on (dominant share). */
export function dominantShare(request: LiveRequest, unitsOf: UnitsOf | null = null): number {
  let share = -1;
  for (const draw of request.draws) {
    const { limit } = draw.pool;
    if (limit === null || limit <= 0 || limit === Infinity) continue;
    const estimated = unitsFor(draw);
    const units = unitsOf === null ? estimated : unitsOf(draw.pool, estimated);
    if (units / limit > share) share = units / limit;
  }
  return share < 0 ? NOMINAL_SHARE : share;
}

export function weightOf(policy: CompiledPolicy, request: LiveRequest): number {
  return agentSettings(policy, request.who.agent).weight;
}

export function floorOf(policy: CompiledPolicy): number {
  return pacingOf(policy).floor;
}

/**
 * The lines of pools that somebody waits for, or did a moment ago. Whoever is let through such a pool
 * pays in it, whether he waited or not. Volatile: a restart forgets those who waited, too.
 */
export class Contention {
  private readonly lines = new Map<Pool, WaitLine>();
  private sweptAt: MonoMs = 0;

  get size(): number {
    return this.lines.size;
  }

  lineOf(pool: Pool): WaitLine {
    let line = this.lines.get(pool);
    if (line === undefined) this.lines.set(pool, (line = new WaitLine(pool)));
    return line;
  }

  /** Somebody is let through: what he pays in each contended pool. */
  charge(
    request: LiveRequest,
    policy: CompiledPolicy,
    from: WaitLine | null,
    turn: Turn,
    now: MonoMs,
  ): void {
    this.sweep(now);
    const charges: FairCharge[] = [];
    const cost = dominantShare(request);
    const weight = weightOf(policy, request);
    const floor = floorOf(policy);
    for (const draw of request.draws) {
      const line = this.lines.get(draw.pool);
      if (line === undefined || line === from) continue;
      if (line.size > 0) line.served(request.rank, unitsFor(draw), now);
      charges.push(line.charge(request, weight, cost, this.turnIn(line, request, turn), floor));
    }
    if (from !== null) {
      from.served(request.rank, from.unitsOf(request), now);
      charges.push(from.charge(request, weight, cost, turn, floor));
    }
    request.charges = charges.length === 0 ? null : charges;
  }

  /** One who passes a line goes in turn there only if nobody was before him. */
  private turnIn(line: WaitLine, request: LiveRequest, turn: Turn): Turn {
    if (turn === 'backfill' || line.size === 0) return turn;
    return line.fair(request.rank).precedes(request) ? 'turn' : 'backfill';
  }

  /** What it really cost is known: who paid too little pays the rest, and the other way round. */
  correct(request: LiveRequest, unitsOf: UnitsOf): void {
    const { charges } = request;
    if (charges === null) return;
    request.charges = null;
    const actual = dominantShare(request, unitsOf);
    for (const { fair, flow, cost } of charges) fair.correct(flow, actual, cost);
  }

  private sweep(now: MonoMs): void {
    if (now - this.sweptAt < SWEEP_EVERY_MS) return;
    this.sweptAt = now;
    for (const [pool, line] of this.lines) {
      if (line.size === 0 && now - line.lastAt > CALM_MS) this.lines.delete(pool);
    }
  }
}
