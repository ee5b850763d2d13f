/**
 * Use by others is told only when it is certain: whatever travels how long, arrives out of order,
 * costs nothing, is lost or is given up, our own requests are never taken for somebody else's.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Effect, Ending } from '../../src/core/engine.ts';
import { evolve } from '../../src/core/governor/evolve.ts';
import { loadState, saveState } from '../../src/core/governor/saved-state.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import type { Observation } from '../../src/core/observation.ts';
import { spec, World } from '../core/world.ts';

const WINDOW_MS = 20_000;
const LIMIT = 40;
const core = spec('core', { windowMs: WINDOW_MS });
const bucket = spec('bucket', { kind: 'bucket', windowMs: WINDOW_MS });

const asks = fc.array(
  fc.record({
    gap: fc.constantFrom(0, 0, 1, 30, 200, 900, 9000, 30_000),
    there: fc.integer({ min: 0, max: 1500 }),
    back: fc.integer({ min: 0, max: 1500 }),
    units: fc.integer({ min: 1, max: 3 }),
    how: fc.constantFrom('told', 'told', 'told', 'told', 'mute', 'free', 'lost', 'left', 'never'),
    others: fc.nat(6),
  }),
  { minLength: 3, maxLength: 60 },
);
type Ask = typeof asks extends fc.Arbitrary<readonly (infer One)[]> ? One : never;

/** Counts for itself; tells what is used. */
interface Origin {
  take(now: number, units: number): void;
  told(now: number): Observation;
}

/** Opened by its first counted request; resets are whole seconds, floored. */
class FixedOrigin implements Origin {
  used = 0;
  reset = 0;

  take(now: number, units: number): void {
    this.roll(now);
    if (this.used === 0) this.reset = Math.floor((now + WINDOW_MS) / 1000) * 1000;
    this.used = Math.min(LIMIT, this.used + units);
  }

  private roll(now: number): void {
    if (now >= this.reset) this.used = 0;
  }

  told(now: number): Observation {
    this.roll(now);
    const { used } = this;
    const resetAt = used === 0 ? Math.floor((now + WINDOW_MS) / 1000) * 1000 : this.reset;
    return { kind: 'quota', spec: core, limit: LIMIT, used, remaining: LIMIT - used, resetAt };
  }
}

class BucketOrigin implements Origin {
  private level = LIMIT;
  private at = 0;

  private refill(now: number): void {
    const more = ((now - this.at) * LIMIT) / WINDOW_MS;
    this.level = this.at === 0 ? LIMIT : Math.min(LIMIT, this.level + more);
    this.at = now;
  }

  take(now: number, units: number): void {
    this.refill(now);
    this.level = Math.max(0, this.level - units);
  }

  told(now: number): Observation {
    this.refill(now);
    const remaining = Math.floor(this.level);
    return { kind: 'quota', spec: bucket, limit: LIMIT, remaining, windowMs: WINDOW_MS };
  }
}

interface Played {
  readonly world: World;
  /** Units that others really took. */
  readonly taken: number;
  /** The most that was ever said of them in one window, and the sum over windows. */
  readonly said: number;
}

function play(history: readonly Ask[], name: 'core' | 'bucket', withOthers: boolean): Played {
  const world = new World([core, bucket]);
  const origin: Origin = name === 'core' ? new FixedOrigin() : new BucketOrigin();
  const events: { at: number; order: number; run: () => void }[] = [];
  const routes = new Map<number, Ask>();
  let order = 0;
  let taken = 0;
  let said = 0;
  let before = 0;
  const plan = (ms: number, run: () => void) =>
    events.push({ at: world.now.mono + ms, order: ++order, run });
  const outside = () => world.governor.state.pools.get(`test/cred-a/${name}`)?.outside?.units ?? 0;
  const answered = (key: number, ask: Ask, told: Observation): void => {
    const charge: Observation[] =
      ask.how === 'free'
        ? [{ kind: 'charge', spec: name === 'core' ? core : bucket, units: 0 }]
        : [];
    took(world.head(key, ask.how === 'mute' ? [] : [told, ...charge]));
    const now = outside();
    said += Math.max(0, now - (now < before ? 0 : before));
    before = now;
    took(world.end(key));
  };
  const took = (effects: readonly Effect[]): void => {
    for (const effect of [...effects]) {
      if (effect.type !== 'forward') continue;
      const { key } = effect;
      const ask = routes.get(key);
      if (ask === undefined) continue;
      const lost: Partial<Record<Ask['how'], Ending>> = { lost: 'failed', left: 'aborted' };
      if (ask.how === 'never') plan(ask.there, () => took(world.end(key, 'unreachable')));
      else
        plan(ask.there, () => {
          if (ask.how !== 'free') origin.take(world.now.wall, ask.units);
          const told = origin.told(world.now.wall);
          const ending = lost[ask.how];
          plan(ask.back, () => {
            if (ending === undefined) answered(key, ask, told);
            else took(world.end(key, ending));
          });
        });
    }
  };
  let key = 0;
  let start = 0;
  for (const ask of history) {
    start += ask.gap;
    plan(start, () => {
      if (withOthers && ask.others > 0) {
        origin.take(world.now.wall, ask.others);
        taken += ask.others;
      }
      routes.set(++key, ask);
      took(world.arrive({ path: `/${name}:${String(ask.units)}`, maxWaitMs: 120_000 }).effects);
    });
  }
  for (let i = 0; i < 3000 && events.length > 0; i++) {
    events.sort((a, b) => a.at - b.at || a.order - b.order);
    const next = events[0] as (typeof events)[number];
    const wake = world.governor.wakeAt();
    if (wake !== null && wake < next.at) took(world.run(Math.max(0, wake - world.now.mono)));
    else {
      events.shift();
      world.pass(Math.max(0, next.at - world.now.mono));
      next.run();
    }
  }
  return { world, taken, said };
}

function drifts({ world }: Played): number {
  return world.entries.filter(({ data }) => data[0] === 'drift_detected').length;
}

/** What is charged without being told while the limit is not known yet. */
const MUTE_FIRST: Ask[] = (
  [
    ['told', 1, 1156, 845],
    ['mute', 2, 0, 0],
    ['mute', 3, 0, 0],
    ['told', 1, 0, 1],
  ] as const
).map(([how, units, there, back]) => ({ how, units, there, back, gap: 0, others: 0 }));

describe.each(['core', 'bucket'] as const)('others in %s', (name) => {
  it('are never seen where nobody is', () => {
    fc.assert(
      fc.property(asks, (history) => {
        const played = play(history, name, false);
        expect([drifts(played), played.said]).toEqual([0, 0]);
      }),
      { numRuns: 600, examples: [[MUTE_FIRST]] },
    );
  });

  it('took at least what is said of them', () => {
    fc.assert(
      fc.property(asks, (history) => {
        const { said, taken } = play(history, name, true);
        expect(said).toBeLessThanOrEqual(taken);
      }),
      { numRuns: 600 },
    );
  });

  it('are remembered over a restart as if there had been none', () => {
    fc.assert(
      fc.property(asks, fc.nat(150), (history, cut) => {
        const { world } = play(history, name, true);
        const { entries, governor, now } = world;
        const at = Math.min(cut, entries.length);
        const first = new EngineState();
        for (const entry of entries.slice(0, at)) evolve(first, entry);
        const resumed = new EngineState();
        const saved = saveState(first, entries[at - 1]?.at ?? 0);
        loadState(resumed, JSON.parse(JSON.stringify(saved)));
        for (const entry of entries.slice(at)) evolve(resumed, entry);
        const told = (state: EngineState) =>
          [...state.pools.values()].map((pool) => [pool.id, pool.outside?.save() ?? null]);
        expect(told(resumed)).toEqual(told(governor.state));
        expect(now.wall).toBeGreaterThan(0);
      }),
      { numRuns: 150 },
    );
  });
});
