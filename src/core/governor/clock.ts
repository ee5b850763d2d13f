/**
 * A wall clock that was ahead and is set right. Everything that was noted by it would lie in the
 * future: buckets full, windows that never end, gates shut for as long as it was wrong.
 */
import type { Entry } from '../ledger/entry.ts';
import { GLOBAL, SECOND, SYSTEM, type DurationMs, type EpochMs, type Instant } from '../units.ts';
import type { Core } from './engine.ts';
import { entryOf } from './entries.ts';
import { CODE, setBackBy } from './set-back.ts';
import type { EngineState } from './state.ts';

/** Less than this is waited for: time stands still until the clock is there again. */
const SET_BACK_MS: DurationMs = 2 * SECOND;

/** Latest moment at which anybody may have looked: what was over then stays over. */
function seenUntil(state: EngineState, last: Instant | null): EpochMs {
  return last === null ? state.newestAt : Math.max(state.newestAt, last.wall);
}

/**
 * The moment to go by: time never runs backwards unless a clock was set back for good.
 * @param last when the engine was last asked anything
 * @returns `null` when it was set back
 */
export function momentOf(state: EngineState, at: Instant, last: Instant | null): Instant | null {
  const until = seenUntil(state, last);
  if (at.wall >= until) return at;
  return at.wall < until - SET_BACK_MS ? null : { wall: until, mono: at.mono };
}

/**
 * Records it, so that a restart moves the same things.
 * @param last when the engine was last asked anything: its monotonic clock tells what has passed
 *   since, which must not be added to every wait. Null at a start, when nothing tells.
 */
export function setBack(core: Core, at: Instant, last: Instant | null): void {
  const { state } = core;
  const expected = last === null ? 0 : last.wall + Math.max(0, at.mono - last.mono);
  const by = Math.ceil(Math.max(seenUntil(state, last), expected) - at.wall);
  const who = {
    agent: SYSTEM,
    identity: GLOBAL,
    workload: SYSTEM,
    scope: GLOBAL,
    provider: '',
  };
  const data = ['alert_raised', { code: CODE, by_ms: by }];
  core.record(entryOf('event', state.nextSeq, 1, at.wall, 0, who, [], data));
  for (const request of core.live.values()) {
    request.sentWall -= by;
    request.arrivedWall -= by;
  }
}

/** After a start, what was told then is taken to be told now: no time has passed, for all that is known. */
export function evolveClock(state: EngineState, entry: Entry): void {
  const by = setBackBy(entry);
  if (by === 0) return;
  for (const flight of state.flights.values()) {
    flight.sentAt = movedBack(flight.sentAt, by);
    for (const hold of flight.holds) hold.at -= by;
  }
  for (const all of [state.pools, state.gates, state.hidden]) {
    for (const pool of all.values()) pool.clockSetBack(by, entry.at);
  }
  for (const failing of state.failing.values()) failing.since -= by;
  state.comebacks.clear();
  state.spent.clockSetBack(entry.at);
}

/** 0 = never. */
function movedBack(at: EpochMs, by: DurationMs): EpochMs {
  return at === 0 ? 0 : at - by;
}
