import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/core/engine.ts';
import type { DecidedData, WokeData } from '../../src/core/ledger/layout.ts';
import { compileMatch } from '../../src/core/policy/match.ts';
import { EMPTY_POLICY, spec, World } from './world.ts';

const slots = spec('slots', { kind: 'concurrent', limit: 1, source: 'policy' });
const bucket = spec('bucket', { kind: 'bucket', limit: 100, windowMs: 100_000, source: 'policy' });
const LONG = { maxWaitMs: 100_000 };

function keysOf(effects: readonly Effect[]): number[] {
  return effects.flatMap((effect) => (effect.type === 'forward' ? [effect.key] : []));
}

/** One slot, which is taken; those who wait for it are let through one by one. */
function oneSlot(policy = EMPTY_POLICY) {
  const world = new World([slots], { policy });
  let out = world.arrive({ path: '/slots:1', agent: 'first' }).key;
  const ask = (agent: string, more = {}) =>
    world.arrive({ path: '/slots:1', agent, ...LONG, ...more }).key;
  /** Ends whoever is under way so often; tells who went. */
  const turns = (count: number): number[] =>
    Array.from({ length: count }, () => {
      const [next = 0] = keysOf(world.end(out));
      out = next;
      return next;
    });
  return { world, ask, turns };
}

function wokeReasons(world: World): string[] {
  return world.entries.flatMap(({ kind, data }) =>
    kind === 'woke' ? [(data as unknown as WokeData)[2]] : [],
  );
}

function lastReason(world: World): string {
  const entry = world.entries.findLast(({ kind }) => kind === 'decided');
  return (entry?.data as unknown as DecidedData)[2];
}

describe('the order of a line', () => {
  it('takes turns between agents, however many of one wait', () => {
    const { ask, turns } = oneSlot();
    const flood = [1, 2, 3, 4, 5].map(() => ask('flood'));
    const late = [ask('late'), ask('late')];
    expect(turns(4)).toEqual([flood[0], late[0], flood[1], late[1]]);
  });

  it('gives an agent of twice the weight twice the turns', () => {
    const agents = [{ match: compileMatch({ agent: ['heavy'] }), weight: 2 }];
    const { ask, turns } = oneSlot({ ...EMPTY_POLICY, agents });
    const heavy = new Set([1, 2, 3, 4, 5, 6, 7, 8].map(() => ask('heavy')));
    for (let i = 0; i < 8; i++) ask('light');
    expect(turns(9).filter((key) => heavy.has(key))).toHaveLength(6);
  });

  it('lets nobody save up turns while idle', () => {
    const { ask, turns } = oneSlot();
    const once = ask('idle');
    const busy = Array.from({ length: 12 }, () => ask('busy'));
    expect(turns(7)).toEqual([once, ...busy.slice(0, 6)]);
    const idle = [1, 2, 3].map(() => ask('idle'));
    expect(turns(4)).toEqual([idle[0], busy[6], idle[1], busy[7]]);
  });

  it('is by deadline inside an agent', () => {
    const { ask, turns } = oneSlot();
    const patient = ask('one', { maxWaitMs: 90_000 });
    const hasty = ask('one', { maxWaitMs: 20_000 });
    expect(turns(2)).toEqual([hasty, patient]);
  });

  it('gives a lower class its floor, and says so', () => {
    const { world, ask, turns } = oneSlot();
    const low = ask('low', { priority: 'background' });
    for (let i = 0; i < 120; i++) ask('high', { priority: 'high' });
    const order = turns(80);
    expect(order.indexOf(low)).toBe(50);
    expect(wokeReasons(world)).toContain(
      'its class, `background`, was owed its floor share of `slots`',
    );
  });

  it('charges who passes while others wait', () => {
    // Two pools: whoever draws on one of them alone passes those who wait for both.
    const other = spec('other', { kind: 'concurrent', limit: 1, source: 'policy' });
    const world = new World([bucket, other]);
    const first = world.arrive({ path: '/other:1,bucket:1', agent: 'first' });
    const waiter = world.arrive({ path: '/other:1,bucket:1', agent: 'a', ...LONG });
    expect(waiter.effects).toEqual([]);
    expect(world.arrive({ path: '/bucket:1', agent: 'b' }).effects[0]?.type).toBe('forward');
    expect(keysOf(world.end(first.key))).toEqual([waiter.key]);
  });
});

describe('what is told of a wait', () => {
  it('is who goes before, and the agent’s share', () => {
    const { world, ask } = oneSlot();
    ask('a', { priority: 'high' });
    ask('b');
    ask('b');
    ask('c');
    expect(lastReason(world)).toContain(
      "2 go before it (1 high, 1 normal) of 2 agents, its agent's fair share is 50 %",
    );
  });

  it('is that one went before others without delaying them', () => {
    const fixed = spec('fixed', {
      kind: 'fixed',
      limit: 10,
      windowMs: 3_600_000,
      source: 'policy',
    });
    const world = new World([fixed, slots]);
    world.arrive({ path: '/fixed:5', agent: 'a' });
    const busy = world.arrive({ path: '/slots:1', agent: 'a' });
    const large = world.arrive({ path: '/fixed:9', agent: 'b', maxWaitMs: 4_000_000 });
    const small = world.arrive({ path: '/fixed:2,slots:1', agent: 'c', maxWaitMs: 4_000_000 });
    expect([...large.effects, ...small.effects]).toEqual([]);
    expect(keysOf(world.end(busy.key))).toEqual([small.key]);
  });
});

describe('a deadline', () => {
  it('of an agent with nothing in line is not judged by another one’s ten thousand', () => {
    const world = new World([bucket]);
    world.arrive({ path: '/bucket:100', agent: 'plug' });
    const flood = Array.from({ length: 600 }, () =>
      world.arrive({ path: '/bucket:1', agent: 'flood', maxWaitMs: 400_000 }),
    );
    // One a second: the others would wait in vain, and are told so at once.
    expect(flood.filter(({ effects }) => effects.length > 0)).toHaveLength(200);
    const newcomer = world.arrive({ path: '/bucket:1', agent: 'newcomer', maxWaitMs: 5000 });
    expect(newcomer.effects).toEqual([]);
    expect(keysOf(world.run(5000))).toContain(newcomer.key);
  });

  it('is kept by who was let in: a newcomer who would break it is refused', () => {
    const world = new World([bucket]);
    world.arrive({ path: '/bucket:100', agent: 'plug' });
    const early = Array.from({ length: 10 }, () =>
      world.arrive({ path: '/bucket:1', agent: 'one', maxWaitMs: 11_500 }),
    );
    expect(early.flatMap(({ effects }) => effects)).toEqual([]);
    const first = world.arrive({ path: '/bucket:1', agent: 'one', maxWaitMs: 5000 });
    expect(first.effects).toEqual([]);
    const second = world.arrive({ path: '/bucket:1', agent: 'one', maxWaitMs: 5000 });
    expect(second.effects).toMatchObject([{ type: 'respond', refusal: { code: 'RL_QUOTA' } }]);
    const went = keysOf(world.run(20_000));
    expect(new Set(went)).toEqual(new Set([...early.map(({ key }) => key), first.key]));
  });
});
