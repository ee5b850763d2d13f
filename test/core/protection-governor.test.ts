/** Protection in the whole governor: what counts as demand, and what a restart remembers. */
import { describe, expect, it } from 'vitest';
import { evolve } from '../../src/core/governor/evolve.ts';
import { loadState, saveState } from '../../src/core/governor/saved-state.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import type { JsonObject } from '../../src/core/units.ts';
import { kinds, spec, World } from './world.ts';

const hourly = spec('hourly', {
  kind: 'fixed',
  limit: 50,
  windowMs: 3_600_000,
  source: 'policy',
});
const FIXED = { path: '/hourly' };

/** The middle of an hour. */
const MIDDLE = 1_700_000_000_000 - (1_700_000_000_000 % 3_600_000) + 1_800_000;

function world(state?: EngineState): World {
  const made = new World([hourly], state === undefined ? {} : { state });
  made.now = { wall: MIDDLE, mono: 1000 };
  return made;
}

function restored(from: World): EngineState {
  const state = new EngineState();
  const saved = JSON.stringify(saveState(from.governor.state, from.now.wall));
  loadState(state, JSON.parse(saved) as JsonObject);
  return state;
}

/** Sends high ones through, then a flood; how many of the flood went at once. */
function flooded(on: World): number {
  let passed = 0;
  for (let i = 0; i < 40; i++) {
    const { effects } = on.arrive({ ...FIXED, priority: 'background', maxWaitMs: 0 });
    if (kinds(effects).includes('forward')) passed += 1;
  }
  return passed;
}

function withHistory(): World {
  const on = world();
  for (let i = 0; i < 10; i++) {
    const { key } = on.arrive({ ...FIXED, priority: 'high' });
    on.end(key);
    on.pass(60_000);
  }
  return on;
}

function asked(state: EngineState, rank: number, now: number): number {
  for (const { offered } of state.pools.values()) {
    if (offered !== null) return offered.asked(rank, 3_600_000, now).units;
  }
  return 0;
}

describe('protection in the governor', () => {
  it('is remembered over a restart, by snapshot and by the entries alone', () => {
    expect(flooded(withHistory())).toBeLessThan(30);
    const before = withHistory();
    const again = world(restored(before));
    again.now = before.now;
    expect(flooded(again)).toBeLessThan(30);
    const folded = new EngineState();
    for (const entry of before.entries) evolve(folded, entry);
    const now = before.now.wall;
    expect(saveState(folded, now)).toEqual(saveState(before.governor.state, now));
    // And costs nothing where nobody of a higher class ever came.
    expect(flooded(world())).toBe(40);
  });

  it('refuses nobody who can wait for the reset, however slowly his class went so far', () => {
    const on = withHistory();
    const patient = { ...FIXED, priority: 'background', maxWaitMs: 2 * 3_600_000 } as const;
    let refused = 0;
    for (let i = 0; i < 90; i++) {
      const agent = `crawler-${String(i % 3)}`;
      if (kinds(on.arrive({ ...patient, agent }).effects).includes('respond')) refused += 1;
      on.pass(12_000);
      on.wake();
    }
    expect(refused).toBe(0);
  });

  it('counts a request once, however often its client comes again within its Retry-After', () => {
    const on = world();
    for (let i = 0; i < 50; i++) on.arrive({ ...FIXED, agent: 'filler' });
    const count = (): number => asked(on.governor.state, 1, on.now.wall);
    expect(count()).toBeCloseTo(50);
    for (let i = 0; i < 5; i++) {
      expect(kinds(on.arrive({ ...FIXED, agent: 'eager', maxWaitMs: 0 }).effects)).toEqual([
        'respond',
      ]);
      on.pass(1000);
    }
    expect(count()).toBeCloseTo(51);
    // Another agent's is another request, and so is one of another size.
    on.arrive({ ...FIXED, agent: 'other', maxWaitMs: 0 });
    on.arrive({ path: '/hourly:3', agent: 'eager', maxWaitMs: 0 });
    expect(count()).toBeCloseTo(55);
    const state = restored(on);
    const copy = world(state);
    copy.now = on.now;
    copy.arrive({ ...FIXED, agent: 'eager', maxWaitMs: 0 });
    expect(asked(state, 1, copy.now.wall)).toBeCloseTo(55);
  });

  it('does not count what can never be served', () => {
    const on = world();
    on.arrive({ ...FIXED });
    on.arrive({ path: '/hourly:80', priority: 'high' });
    expect(asked(on.governor.state, 0, on.now.wall)).toBe(0);
  });
});
