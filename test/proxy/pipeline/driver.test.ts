import { expect, test } from 'vitest';
import type { Effect, Engine, Input } from '../../../src/core/engine.ts';
import type { Entry } from '../../../src/core/ledger/entry.ts';
import { Attendants } from '../../../src/proxy/attendants.ts';
import { createDriver } from '../../../src/proxy/driver.ts';
import { FakeEngine } from './rig.ts';

interface Timer {
  readonly ms: number;
  run(): void;
  cancelled: boolean;
}

function bench(engine: Engine): {
  driver: ReturnType<typeof createDriver>;
  timers: Timer[];
  clock: { mono: number };
  entries: Entry[];
} {
  const timers: Timer[] = [];
  const clock = { mono: 1_000 };
  const entries: Entry[] = [];
  const driver = createDriver({
    engine,
    clock: { now: () => ({ wall: 0, mono: clock.mono }) },
    store: { append: (entry) => entries.push(entry) },
    after: (ms, run) => {
      const timer: Timer = { ms, run, cancelled: false };
      timers.push(timer);
      return () => {
        timer.cancelled = true;
      };
    },
  });
  return { driver, timers, clock, entries };
}

const NOTE: Input = {
  type: 'note', at: { wall: 0, mono: 0 }, event: 'system_started', agent: '', identity: '', provider: '', payload: {},
}; // prettier-ignore

test('one timer, for the earliest wake', () => {
  const engine = new FakeEngine();
  const { driver, timers, clock } = bench(engine);
  driver.step(NOTE);
  expect(timers).toEqual([]);
  engine.wake = 1_500.2;
  driver.step(NOTE);
  driver.step(NOTE);
  expect(timers.map((one) => one.ms)).toEqual([501]);
  engine.wake = 1_100;
  driver.step(NOTE);
  expect(timers.map((one) => [one.ms, one.cancelled])).toEqual([[501, true], [100, false]]); // prettier-ignore
  // Fired early: it is set again and the engine left alone.
  clock.mono = 1_099;
  const before = engine.inputs.length;
  timers[1]?.run();
  expect(engine.inputs.length).toBe(before);
  expect(timers[2]?.ms).toBe(1);
  clock.mono = 1_100;
  engine.onWoke = () => {
    engine.wake = null;
    return [];
  };
  timers[2]?.run();
  expect(engine.inputs.at(-1)?.type).toBe('woke');
  expect(timers.length).toBe(3);
});

test('a wake further away than a timer can be set is reached in steps', () => {
  const engine = new FakeEngine();
  const { driver, timers } = bench(engine);
  engine.wake = 1e13;
  driver.step(NOTE);
  expect(timers[0]?.ms).toBe(2_147_483_647);
});

test('an input that an effect leads to waits until all effects are performed', () => {
  const order: string[] = [];
  const shared: Effect[] = [];
  const keys: number[] = [];
  const engine: Engine = {
    seq: 1,
    wakeAt: () => null,
    step: (input) => {
      order.push(input.type);
      // As the real one does, the array is used again.
      shared.length = 0;
      if (input.type === 'note') {
        const fake = new FakeEngine();
        shared.push(...keys.map((key) => fake.pass(key)));
      }
      return shared;
    },
  };
  const { driver } = bench(engine);
  for (const name of ['first', 'second']) {
    const key = driver.attend({
      onEffect: () => {
        order.push(name);
        driver.step({ type: 'woke', at: { wall: 0, mono: 0 } });
      },
    });
    keys.push(key);
  }
  driver.step(NOTE);
  expect(order).toEqual(['note', 'first', 'second', 'woke', 'woke']);
});

test('entries go to the store; effects of those who left go nowhere', () => {
  const engine = new FakeEngine();
  const { driver, entries } = bench(engine);
  const seen: string[] = [];
  const key = driver.attend({ onEffect: (effect) => seen.push(effect.type) });
  const entry = {
    seq: 1,
    count: 1,
    at: 0,
    kind: 'event',
    request: 0,
    who: {},
    pools: [],
    data: [],
  };
  engine.free({ type: 'append', entry: entry as unknown as Entry });
  engine.free(engine.pass(key));
  engine.free(engine.pass(99));
  driver.step(NOTE);
  driver.leave(key);
  engine.free(engine.pass(key));
  driver.step(NOTE);
  expect(entries.length).toBe(1);
  expect(seen).toEqual(['forward']);
});

test('an engine that throws does not stop the next step', () => {
  const engine = new FakeEngine();
  const { driver } = bench(engine);
  const step = engine.step.bind(engine);
  engine.step = () => {
    throw new Error('broken invariant');
  };
  expect(() => driver.step(NOTE)).toThrow('broken invariant');
  engine.step = step;
  driver.step(NOTE);
  expect(engine.inputs.length).toBe(1);
});

test('keys are never those of the living, nor at once those of the dead', () => {
  const attendants = new Attendants();
  const one = { onEffect: () => undefined };
  const two = { onEffect: () => undefined };
  const first = attendants.add(one);
  const second = attendants.add(two);
  expect(attendants.get(first)).toBe(one);
  attendants.remove(first);
  attendants.remove(first);
  const third = attendants.add(two);
  expect(new Set([first, second, third]).size).toBe(3);
  expect(attendants.get(first)).toBeNull();
  expect(attendants.get(second)).toBe(two);
  let key = third;
  for (let i = 0; i < 5_000; i++) {
    attendants.remove(key);
    const next = attendants.add(one);
    expect(next).not.toBe(key);
    expect(next).toBeGreaterThan(0);
    expect(next).toBeLessThan(2 ** 31);
    expect(attendants.get(next)).toBe(one);
    key = next;
  }
});
