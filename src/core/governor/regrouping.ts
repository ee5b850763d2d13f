import type { RuleFinding } from '../policy/types.ts';
import type { Pool } from '../quota/pool.ts';
import type { Instant } from '../units.ts';
import type { Core } from './engine.ts';
import { poolEntry } from './entries.ts';
import { redraw } from './intake.ts';
import type { LiveRequest } from './request.ts';

/** Looking up may itself replace a pool that somebody had looked up already. */
const MOST_ROUNDS = 3;

/**
 * Pools or policy changed: looks up again what those who wait draw on.
 *
 * @param changed whether pools changed since it was asked last
 * @returns limits that refuse some of them now, because what they cost has no bound
 */
export function lookUpAgain(
  core: Core,
  waiting: readonly LiveRequest[],
  changed: () => boolean,
  at: Instant,
): ReadonlyMap<LiveRequest, RuleFinding> {
  const made: Pool[] = [];
  const unpriced = new Map<LiveRequest, RuleFinding>();
  for (let i = 0; i < MOST_ROUNDS && changed(); i++) {
    for (const request of waiting) {
      const refused = redraw(core.state, request, core.policy, made);
      if (refused !== null) unpriced.set(request, refused);
    }
  }
  // What the last round changed would change again.
  changed();
  for (const pool of made) {
    if (!pool.recorded) core.record(poolEntry(core.state.nextSeq, pool, at.wall));
  }
  return unpriced;
}
