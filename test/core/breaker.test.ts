/** Gates: what shuts them, who tries whether the trouble is over, and how the rest come back. */
import { describe, expect, it } from 'vitest';
import type { Effect, Ending } from '../../src/core/engine.ts';
import { evolve } from '../../src/core/governor/evolve.ts';
import { loadState, saveState } from '../../src/core/governor/saved-state.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import type { ThrottleObservation } from '../../src/core/observation.ts';
import { spec, World } from './world.ts';

const free = spec('free', { limit: 10_000, source: 'documented', windowMs: 60_000 });
const OVERLOADED: ThrottleObservation = {
  ...{ kind: 'throttled', class: 'overloaded', scope: 'provider', code: 'overloaded' },
};
const HOST = 'test/host:api.test/throttle';

function ask(world: World, maxWaitMs = 600_000): { key: number; effects: Effect[] } {
  return world.arrive({ path: '/free', maxWaitMs });
}

function forwarded(effects: readonly Effect[]): number[] {
  return effects.flatMap((effect) => (effect.type === 'forward' ? [effect.key] : []));
}

/** Sent one after the other, all ending so. */
function fail(world: World, times: number, ending: Ending = 'unreachable', status = 0): void {
  for (let i = 0; i < times; i++) {
    const { key } = ask(world);
    world.pass(10);
    if (status > 0) world.head(key, [], status);
    world.end(key, ending);
  }
}

function phase(world: World, id = HOST): string {
  return world.governor.state.gates.get(id)?.phase(world.now.wall) ?? 'none';
}

/** Ten under way; one of them is refused because the provider is overloaded; waiters behind. */
function overloaded(underWay = 10): { world: World; waiting: number[] } {
  const world = new World([free]);
  const keys = Array.from({ length: underWay }, () => ask(world).key);
  world.pass(50);
  world.head(keys[0] as number, [OVERLOADED], 503);
  for (const key of keys) world.end(key);
  return { world, waiting: Array.from({ length: 40 }, () => ask(world).key) };
}

describe('failures in a row', () => {
  it('shut the host for a second, then one tries', () => {
    const world = new World([free]);
    fail(world, 4);
    expect(phase(world)).toBe('none');
    fail(world, 1);
    expect(phase(world)).toBe('shut');
    const [a, b] = [ask(world), ask(world)];
    expect([...a.effects, ...b.effects]).toEqual([]);
    expect(forwarded(world.run(990))).toEqual([]);
    expect(forwarded(world.run(20))).toEqual([a.key]);
    expect(phase(world)).toBe('half-open');
  });

  it('count whichever way the host fails, and start anew after an answer', () => {
    for (const [ending, status] of [
      ['failed', 0],
      ['complete', 502],
      ['complete', 504],
    ] as const) {
      const world = new World([free]);
      fail(world, 5, ending, status);
      expect(phase(world)).toBe('shut');
    }
    const world = new World([free]);
    fail(world, 4);
    fail(world, 1, 'complete', 404);
    fail(world, 4);
    expect(phase(world)).toBe('none');
    world.pass(31_000);
    fail(world, 1);
    expect(phase(world)).toBe('none');
  });

  it('are no client that leaves, and no restart', () => {
    const world = new World([free]);
    fail(world, 20, 'aborted');
    fail(world, 20, 'gone');
    expect(phase(world)).toBe('none');
    for (let i = 0; i < 20; i++) ask(world);
    world.governor.settleLost(world.now);
    expect(phase(world)).toBe('none');
  });

  it('double the wait when the one that tries fails too', () => {
    const world = new World([free]);
    fail(world, 5);
    for (const wait of [1000, 2000, 4000, 8000]) {
      const { key } = ask(world);
      expect(forwarded(world.run(wait - 10))).toEqual([]);
      expect(forwarded(world.run(20))).toEqual([key]);
      world.end(key, 'unreachable');
      expect(phase(world)).toBe('shut');
    }
  });
});

describe('a refusal', () => {
  it('of many at once is one, and does not double its own wait', () => {
    const world = new World([free]);
    const keys = Array.from({ length: 12 }, () => ask(world).key);
    world.pass(50);
    for (const key of keys) world.head(key, [OVERLOADED], 503);
    for (const key of keys) world.end(key);
    const gate = world.governor.state.gates.get('test/sentinel:global/throttle');
    expect(gate?.strikes).toBe(1);
    expect(gate?.blockedUntil).toBe(world.now.wall + 1000);
  });

  it('with a wait of the provider is shut for that, whatever failed besides', () => {
    const world = new World([free]);
    const keys = Array.from({ length: 9 }, () => ask(world).key);
    world.pass(50);
    world.head(keys[0] as number, [{ ...OVERLOADED, retryInMs: 7000 }], 503);
    for (const key of keys) world.end(key);
    const late = ask(world);
    expect(forwarded(world.run(6990))).toEqual([]);
    expect(forwarded(world.run(20))).toEqual([late.key]);
  });
});

describe('after the trouble', () => {
  it('requests come back step by step: one, two, four at once, up to 0.7 of those before', () => {
    const { world } = overloaded();
    const steps: number[] = [];
    let out = forwarded(world.run(1010));
    for (let round = 0; round < 6; round++) {
      steps.push(out.length);
      const next: number[] = [];
      for (const key of out)
        next.push(...forwarded(world.head(key, [], 200)), ...forwarded(world.end(key)));
      out = next;
      if (round === 1) expect(phase(world, 'test/sentinel:global/throttle')).toBe('ramping');
    }
    expect(steps.slice(0, 3)).toEqual([1, 2, 4]);
    // Seven of ten were the target: then everybody goes.
    expect(steps[3]).toBeGreaterThan(8);
    expect(phase(world, 'test/sentinel:global/throttle')).toBe('open');
  });

  it('the rest need not wait where nobody else was under way', () => {
    const { world, waiting } = overloaded(1);
    const [first] = forwarded(world.run(1010));
    expect(first).toBe(waiting[0]);
    const freed = [...world.head(first as number, [], 200), ...world.end(first as number)];
    expect(forwarded(freed)).toEqual(waiting.slice(1));
  });

  it('one that tries and is lost frees its place', () => {
    const { world, waiting } = overloaded();
    const [first] = forwarded(world.run(1010));
    expect(forwarded(world.end(first as number, 'aborted'))).toEqual([waiting[1]]);
  });

  it('a refusal while ramping shuts again, longer', () => {
    const { world } = overloaded();
    const [first] = forwarded(world.run(1010));
    const second = forwarded([
      ...world.head(first as number, [], 200),
      ...world.end(first as number),
    ]);
    expect(second).toHaveLength(2);
    world.head(second[0] as number, [OVERLOADED], 503);
    expect(forwarded(world.run(1900))).toEqual([]);
    expect(forwarded(world.run(200))).toHaveLength(1);
  });

  it('how long it lasted so far keeps no newcomer out who has the time', () => {
    const { world } = overloaded();
    let wait = 1000;
    for (let i = 0; i < 5; i++) {
      const [first] = forwarded(world.run(wait + 10));
      wait *= 2;
      world.pass(50);
      world.head(first as number, [OVERLOADED], 503);
      world.end(first as number);
    }
    const decided = () => world.entries.filter((e) => e.kind === 'decided').at(-1)?.data ?? [];
    for (let i = 0; i < 30; i++) ask(world, 60_000);
    expect(decided()[0]).toBe('delay');
    expect(decided()[14]).toBe(32_000);
    ask(world, 20_000);
    expect(decided()[0]).toBe('reject');
    // One passed and the others follow: nobody knows how fast.
    const [first] = forwarded(world.run(32_000));
    ask(world, 1000);
    expect(decided()[0]).toBe('delay');
    world.head(first as number, [], 200);
    world.end(first as number);
    ask(world, 20_000);
    expect(decided().slice(0, 3)).toEqual([
      'delay',
      'RL_QUOTA',
      expect.stringContaining('ramping'),
    ]);
  });

  it('who waits is told what for', () => {
    const { world } = overloaded();
    const reason = () => world.entries.filter((e) => e.kind === 'decided').at(-1)?.data[2];
    expect(reason()).toContain('asks to wait 1 s');
    const [first] = forwarded(world.run(1010));
    ask(world);
    expect(reason()).toContain('half-open');
    world.head(first as number, [], 200);
    world.end(first as number);
    ask(world);
    expect(reason()).toContain('ramping, 2 at once');
  });

  it('a restart in the middle changes nothing', () => {
    const { world } = overloaded();
    const [first] = forwarded(world.run(1010));
    const cut = world.entries.length;
    world.head(first as number, [], 200);
    world.end(first as number);
    fail(world, 7);
    const resumed = new EngineState();
    const before = new EngineState();
    for (const entry of world.entries.slice(0, cut)) evolve(before, entry);
    loadState(resumed, JSON.parse(JSON.stringify(saveState(before, world.now.wall))));
    for (const entry of world.entries.slice(cut)) evolve(resumed, entry);
    const gates = (state: EngineState) => saveState(state, world.now.wall)['gates'];
    expect(gates(resumed)).toEqual(gates(world.governor.state));
  });
});
