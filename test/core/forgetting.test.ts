/** What is kept in memory stays bounded, and forgetting is the same for the fold. */
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../src/core/observation.ts';
import { evolve } from '../../src/core/governor/evolve.ts';
import { saveState } from '../../src/core/governor/saved-state.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import { kinds, spec, World } from './world.ts';

const core = spec('core', { windowMs: 3_600_000 });

function exhausted(world: World): Observation[] {
  const resetAt = Math.floor(world.now.wall / 1000) * 1000 + 3_600_000;
  return [{ kind: 'quota', spec: core, limit: 5, used: 5, remaining: 0, resetAt }];
}

describe('keys that rotate', () => {
  it('drive out pools that know nothing, never one that is spent or waited for', () => {
    const world = new World([core]);
    const first = world.arrive({ credential: 'steady' });
    world.head(first.key, exhausted(world));
    world.end(first.key);
    const waiter = world.arrive({ credential: 'steady', maxWaitMs: 7_200_000 });
    expect(waiter.effects).toEqual([]);
    for (let i = 0; i < 21_000; i++) world.end(world.arrive({ credential: `k${String(i)}` }).key);
    const { state } = world.governor;
    expect(state.pools.size).toBeLessThanOrEqual(20_000);
    expect(state.pools.get('test/cred-steady/core')?.figures(world.now.wall).used).toBe(5);
    expect(kinds(world.arrive({ credential: 'steady', maxWaitMs: 0 }).effects)).toEqual([
      'respond',
    ]);
    expect(kinds(world.run(3_700_000))).toEqual(['forward']);
    const folded = new EngineState();
    for (const entry of world.entries) evolve(folded, entry);
    const { wall } = world.now;
    expect(saveState(folded, wall)).toEqual(saveState(state, wall));
  });

  it('leave no gates behind that are open again', () => {
    const world = new World([core]);
    for (let i = 0; i < 4200; i++) {
      const credential = `k${String(i)}`;
      const { key } = world.arrive({ credential });
      const slow = { kind: 'throttled', class: 'secondary', scope: 'identity' } as const;
      world.head(key, [{ ...slow, code: 'slow', retryInMs: 1000 }], 403);
      world.end(key);
      world.pass(1100);
      const again = world.arrive({ credential });
      world.head(again.key, [{ kind: 'charge', spec: core, units: 1 }], 200);
      world.end(again.key);
    }
    expect(world.governor.state.gates.size).toBeLessThan(200);
  });
});

describe('gates of keys that never come back', () => {
  it('are forgotten, those first whose time has been over for longest', () => {
    const world = new World([core]);
    const slow = {
      kind: 'throttled',
      class: 'secondary',
      scope: 'identity',
      code: 'slow',
    } as const;
    const refuse = (credential: string, retryInMs: number): void => {
      const { key } = world.arrive({ credential });
      world.head(key, [{ ...slow, retryInMs }], 403);
      world.end(key);
    };
    refuse('banned', 86_400_000);
    for (let i = 0; i < 4300; i++) {
      refuse(`k${String(i)}`, 10);
      world.pass(20);
    }
    const { gates } = world.governor.state;
    expect(gates.size).toBeLessThanOrEqual(4096);
    expect(kinds(world.arrive({ credential: 'banned', maxWaitMs: 0 }).effects)).toEqual([
      'respond',
    ]);
    const ids = [...gates.keys()];
    expect([
      ids.includes('test/cred-k0/throttle'),
      ids.includes('test/cred-k4299/throttle'),
    ]).toEqual([false, true]);
  });
});

describe('an intent about unknown names', () => {
  it('is answered with them, and recorded with them in the envelope alone', () => {
    const world = new World([core]);
    const effects = [
      ...world.governor.step({
        type: 'intent',
        at: world.now,
        key: 7,
        agent: 'crawler-one',
        identity: 'secret-name',
        workload: 'w',
        scope: 's',
        urgency: 'normal',
        expectedCost: null,
        durationHintMs: null,
        provider: null,
        denied: 'identity `secret-name` is not known',
      }),
    ];
    const answer = effects.find((effect) => effect.type === 'answer');
    expect(answer?.reason).toContain('secret-name');
    const entries = effects.flatMap((e) => (e.type === 'append' ? [e.entry] : []));
    expect(entries).toHaveLength(1);
    expect(JSON.stringify(entries[0]?.data)).not.toMatch(/secret-name|crawler-one/);
    expect(entries[0]?.who.identity).toBe('secret-name');
  });
});
