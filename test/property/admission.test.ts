/**
 * Parallel requests are never admitted beyond what is known to remain, whatever the interleaving of
 * arrivals, answers (late and out of order), aborts and losses. The origin here counts for itself.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../src/core/observation.ts';
import { loadState, saveState } from '../../src/core/governor/saved-state.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import { evolve } from '../../src/core/governor/evolve.ts';
import { spec, World } from '../core/world.ts';

const LIMIT = 12;
const WINDOW_MS = 60_000;
const core = spec('core', { windowMs: WINDOW_MS });
const own = spec('own', { kind: 'rolling', limit: 9, windowMs: 20_000, source: 'policy' });
const slots = spec('slots', { kind: 'concurrent', limit: 4, source: 'policy' });
const tokens = spec('tokens', { kind: 'bucket', unit: 'tokens' });

/** A fixed window opened by its first counted request. */
class FixedOrigin {
  used = 0;
  reset = 0;

  receive(now: number, units: number): { used: number; reset: number; ok: boolean } {
    if (now >= this.reset) {
      this.reset = (Math.floor(now / 1000) + WINDOW_MS / 1000) * 1000;
      this.used = 0;
    }
    const ok = this.used + units <= LIMIT;
    if (ok) this.used += units;
    return { used: this.used, reset: this.reset, ok };
  }
}

interface Sent {
  readonly key: number;
  readonly answer: { used: number; reset: number; ok: boolean };
  answered: boolean;
}

const steps = fc.array(
  fc.record({
    act: fc.constantFrom('arrive', 'arrive', 'arrive', 'answer', 'end', 'abort', 'pass', 'leave'),
    pick: fc.nat(50),
    ms: fc.constantFrom(1, 10, 400, 3000, 21_000, 61_000),
    units: fc.integer({ min: 1, max: 3 }),
  }),
  { minLength: 5, maxLength: 70 },
);

function answerOf(sent: Sent): Observation[] {
  const { used, reset } = sent.answer;
  return [
    { kind: 'quota', spec: core, limit: LIMIT, used, remaining: LIMIT - used, resetAt: reset },
  ];
}

/** Plays one history; returns the world and what the origin counted. */
function play(history: readonly { act: string; pick: number; ms: number; units: number }[]) {
  const world = new World([core, own, slots]);
  const origin = new FixedOrigin();
  const sent: Sent[] = [];
  const waiting: number[] = [];
  const recent: { at: number }[] = [];
  let refusedKnowingly = 0;
  let mostAtOnce = 0;
  let mostRolling = 0;
  const took = (effects: readonly { type: string; key?: number }[], units: Map<number, number>) => {
    for (const effect of effects) {
      if (effect.type !== 'forward' || effect.key === undefined) continue;
      const known = world.governor.state.pools.get('test/cred-a/core')?.unknown === false;
      const answer = origin.receive(world.now.wall, units.get(effect.key) ?? 1);
      if (!answer.ok && known) refusedKnowingly += 1;
      sent.push({ key: effect.key, answer, answered: false });
      recent.push({ at: world.now.wall });
      mostAtOnce = Math.max(mostAtOnce, sent.length);
      mostRolling = Math.max(
        mostRolling,
        recent.filter((r) => r.at > world.now.wall - 20_000).length,
      );
    }
  };
  const units = new Map<number, number>();
  for (const step of history) {
    if (step.act === 'arrive') {
      const path = `/core:${String(step.units)},own:1,slots:1`;
      const before = world.arrive.bind(world);
      const { key, effects } = before({ path, maxWaitMs: step.ms * 10 });
      units.set(key, step.units);
      if (effects.length === 0) waiting.push(key);
      took(effects, units);
    } else if (step.act === 'pass') took(world.run(step.ms), units);
    else if (step.act === 'leave') {
      const [key] = waiting.splice(step.pick % Math.max(1, waiting.length), 1);
      if (key !== undefined && !sent.some((s) => s.key === key))
        took(world.end(key, 'gone'), units);
    } else {
      const one = sent[step.pick % Math.max(1, sent.length)];
      if (one === undefined) continue;
      if (step.act === 'answer' && !one.answered) {
        one.answered = true;
        took(world.head(one.key, answerOf(one), one.answer.ok ? 200 : 403), units);
      } else {
        sent.splice(sent.indexOf(one), 1);
        took(world.end(one.key, step.act === 'abort' ? 'aborted' : 'complete'), units);
      }
    }
  }
  return { world, refusedKnowingly, mostAtOnce, mostRolling };
}

describe('admission', () => {
  it('never sends what the origin must refuse', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const { refusedKnowingly, mostAtOnce, mostRolling } = play(history);
        expect(refusedKnowingly).toBe(0);
        expect(mostAtOnce).toBeLessThanOrEqual(4);
        expect(mostRolling).toBeLessThanOrEqual(9);
      }),
      { numRuns: 3000 },
    );
  });

  it('folds the ledger back to the very state it had', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const { world } = play(history);
        const state = new EngineState();
        for (const entry of world.entries) evolve(state, JSON.parse(JSON.stringify(entry)));
        const now = world.now.wall;
        expect(saveState(state, now)).toEqual(saveState(world.governor.state, now));
      }),
      { numRuns: 500 },
    );
  });

  it('folds the same from a snapshot and the rest', () => {
    fc.assert(
      fc.property(steps, fc.nat(200), (history, cut) => {
        const { world } = play(history);
        const at = Math.min(cut, world.entries.length);
        const first = new EngineState();
        for (const entry of world.entries.slice(0, at)) evolve(first, entry);
        const resumed = new EngineState();
        const saved = saveState(first, world.entries[at - 1]?.at ?? 0);
        loadState(resumed, JSON.parse(JSON.stringify(saved)));
        for (const entry of world.entries.slice(at)) evolve(resumed, entry);
        const now = world.now.wall;
        const figures = (state: EngineState) =>
          [...state.pools.values()].map((pool) => [pool.id, pool.figures(now)]);
        expect(figures(resumed)).toEqual(figures(world.governor.state));
      }),
      { numRuns: 300 },
    );
  });
});

/** A bucket that refills continuously, charging on arrival; travel takes a few milliseconds. */
class BucketOrigin {
  readonly limit = 1000;
  level = 1000;
  at = 0;
  refused = 0;

  receive(now: number, units: number): { remaining: number; resetIn: number } {
    if (this.at > 0) {
      this.level = Math.min(this.limit, this.level + ((now - this.at) * this.limit) / 60_000);
    }
    this.at = now;
    if (this.level < units) this.refused += 1;
    else this.level -= units;
    const missing = this.limit - this.level;
    return {
      remaining: Math.floor(this.level),
      resetIn: Math.round((missing / this.limit) * 60_000),
    };
  }
}

describe('a bucket', () => {
  it('is never drawn below empty, whatever travels how long', () => {
    const history = fc.array(
      fc.record({
        units: fc.integer({ min: 1, max: 400 }),
        gap: fc.integer({ min: 0, max: 4000 }),
        there: fc.integer({ min: 0, max: 15 }),
        back: fc.integer({ min: 0, max: 900 }),
      }),
      { minLength: 3, maxLength: 60 },
    );
    fc.assert(
      fc.property(history, (asks) => {
        const world = new World([tokens]);
        const origin = new BucketOrigin();
        // Events in flight: arrivals at the origin, then answers back here.
        const events: { at: number; run: () => void }[] = [];
        const plan = (at: number, run: () => void) => events.push({ at, run });
        const route = new Map<number, { units: number; there: number; back: number }>();
        const took = (effects: readonly { type: string; key?: number }[]) => {
          for (const effect of effects) {
            if (effect.type !== 'forward' || effect.key === undefined) continue;
            const key = effect.key;
            const ask = route.get(key);
            if (ask === undefined) continue;
            plan(world.now.mono + ask.there, () => {
              const told = origin.receive(world.now.wall, ask.units);
              plan(world.now.mono + ask.back, () => {
                const observation: Observation = {
                  kind: 'quota',
                  spec: tokens,
                  limit: 1000,
                  ...told,
                  windowMs: 60_000,
                };
                took(world.head(key, [observation]));
                took(world.end(key));
              });
            });
          }
        };
        let at = world.now.mono;
        let nextKey = 0;
        for (const ask of asks) {
          at += ask.gap;
          plan(at, () => {
            nextKey += 1;
            route.set(nextKey, ask);
            took(
              world.arrive({ path: `/tokens:${String(ask.units)}`, maxWaitMs: 300_000 }).effects,
            );
          });
        }
        for (let i = 0; i < 2000 && events.length > 0; i++) {
          events.sort((a, b) => a.at - b.at);
          const wake = world.governor.wakeAt();
          const next = events[0] as { at: number; run: () => void };
          if (wake !== null && wake < next.at) took(world.run(Math.max(0, wake - world.now.mono)));
          else {
            events.shift();
            world.pass(Math.max(0, next.at - world.now.mono));
            next.run();
          }
        }
        expect(origin.refused).toBe(0);
      }),
      { numRuns: 400 },
    );
  });
});
