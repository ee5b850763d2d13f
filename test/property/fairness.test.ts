/**
 * The bounds that the line promises, over the real governor: what agents get of a contended pool,
 * whatever they ask, however wrong their estimates are and however long one of them queues.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/core/engine.ts';
import { startOf } from '../../src/core/governor/fair-backfill.ts';
import type { LiveRequest } from '../../src/core/governor/request.ts';
import { compileMatch } from '../../src/core/policy/match.ts';
import type { CompiledPolicy } from '../../src/core/policy/types.ts';
import type { Priority } from '../../src/core/units.ts';
import { EMPTY_POLICY, spec, World } from '../core/world.ts';

const LIMIT = 10_000;
const tokens = spec('tokens', {
  kind: 'bucket',
  unit: 'tokens',
  limit: LIMIT,
  windowMs: 60_000,
  source: 'policy',
});
const LONG = 1e9;

interface Member {
  readonly name: string;
  readonly weight: number;
  readonly priority: Priority;
  /** Units asked, and what they really are, in turn. */
  readonly asks: readonly (readonly [estimated: number, actual: number])[];
  /** How many it keeps in line. */
  readonly depth: number;
}

function weights(members: readonly Member[]): CompiledPolicy {
  return {
    ...EMPTY_POLICY,
    hash: 'weights',
    agents: members.map(({ name, weight }) => ({ match: compileMatch({ agent: [name] }), weight })),
  };
}

/** Everybody always has somebody in line; requests last a while and then tell what they really cost. */
class Crowd {
  readonly world: World;
  /** Units really taken, by member; dispatches in order. */
  readonly log: { readonly member: number; readonly units: number }[] = [];
  mostOut = 0;
  private readonly members: readonly Member[];
  private readonly path: (units: number) => string;
  private readonly lastsMs: readonly number[];
  private readonly asked: number[];
  private readonly owner = new Map<number, readonly [member: number, actual: number]>();
  private readonly due: number[] = [];
  private asking = false;
  private readonly ends: { at: number; key: number; units: number }[] = [];

  constructor(members: readonly Member[], lastsMs: readonly number[], specs = [tokens]) {
    this.members = members;
    this.lastsMs = lastsMs;
    this.world = new World(specs, { policy: weights(members) });
    this.path = (units) => `/${specs.map((one) => `${one.name}:${String(units)}`).join(',')}`;
    this.asked = members.map(() => 0);
    // The first burst is somebody else's: from then on everybody competes.
    const plug = this.world.arrive({ path: this.path(LIMIT), agent: 'plug' });
    this.world.end(plug.key);
    for (let member = 0; member < members.length; member++) {
      for (let i = 0; i < (this.members[member]?.depth ?? 1); i++) this.ask(member);
    }
  }

  private ask(member: number): void {
    const { name, priority, asks } = this.members[member] as Member;
    const [estimated, actual] = asks[(this.asked[member] ?? 0) % asks.length] ?? [1, 1];
    this.asked[member] = (this.asked[member] ?? 0) + 1;
    const { key, effects } = this.world.arrive({
      path: this.path(estimated),
      agent: name,
      priority,
      maxWaitMs: LONG,
    });
    this.owner.set(key, [member, actual]);
    this.took(effects);
  }

  private took(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type !== 'forward') continue;
      const [member, units] = this.owner.get(effect.key) ?? [0, 0];
      this.log.push({ member, units });
      const lasts = this.lastsMs[this.log.length % this.lastsMs.length] ?? 100;
      this.ends.push({ at: this.world.now.mono + lasts, key: effect.key, units });
      this.mostOut = Math.max(this.mostOut, this.ends.length);
      this.due.push(member);
    }
    // One after the other, however many of them pass at once.
    for (let member = this.due.shift(); member !== undefined; member = this.due.shift()) {
      if (this.asking) this.due.unshift(member);
      if (this.asking) return;
      this.asking = true;
      this.ask(member);
      this.asking = false;
    }
  }

  run(dispatches: number): void {
    const { world } = this;
    while (this.log.length < dispatches) {
      this.ends.sort((a, b) => a.at - b.at);
      const wake = world.governor.wakeAt() ?? Infinity;
      const end = this.ends[0];
      if (end !== undefined && end.at <= wake) {
        this.ends.shift();
        world.pass(Math.max(0, end.at - world.now.mono));
        const usage = {
          inputTokens: end.units,
          cachedTokens: 0,
          outputTokens: 0,
          reasoningTokens: 0,
        };
        const { key } = end;
        world.governor.step({ type: 'tapped', at: world.now, key, observations: [], usage });
        this.took(world.end(key));
      } else {
        expect(wake).toBeLessThan(Infinity);
        world.pass(Math.max(0, wake - world.now.mono));
        this.took(world.wake());
      }
    }
  }

  /** Units of each member. */
  served(from = 0): number[] {
    const sums = this.members.map(() => 0);
    for (const { member, units } of this.log.slice(from)) {
      sums[member] = (sums[member] ?? 0) + units;
    }
    return sums;
  }

  /** Largest difference of normalised service between two, over all intervals of the log. */
  widestGap(i: number, j: number): number {
    let now = 0;
    let least = 0;
    let most = 0;
    for (const { member, units } of this.log) {
      if (member === i) now += units / (this.members[i]?.weight ?? 1);
      else if (member === j) now -= units / (this.members[j]?.weight ?? 1);
      least = Math.min(least, now);
      most = Math.max(most, now);
    }
    return most - least;
  }
}

function largest({ asks }: Member): number {
  return Math.max(...asks.flat());
}

const ask = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 100 }));
const member = fc.record({
  weight: fc.constantFrom(0.5, 1, 1, 2, 5),
  asks: fc.array(ask, { minLength: 1, maxLength: 6 }),
  // A correction may free room for a hundred at once: nobody may run out in such a moment.
  depth: fc.constantFrom(110, 130, 400),
});

describe('a contended pool', () => {
  it('is shared within the bound of start-time fair queueing, whatever is asked and settled', () => {
    fc.assert(
      fc.property(
        fc.array(member, { minLength: 2, maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 7 }),
        (drawn, lasts) => {
          const members: Member[] = drawn.map((one, i) => ({
            ...one,
            name: `agent-${String(i)}`,
            priority: 'normal',
          }));
          const crowd = new Crowd(members, lasts);
          crowd.run(300);
          for (let i = 0; i < members.length; i++) {
            for (let j = 0; j < i; j++) {
              const [a, b] = [members[i] as Member, members[j] as Member];
              const each = largest(a) / a.weight + largest(b) / b.weight;
              expect(crowd.widestGap(i, j)).toBeLessThanOrEqual((crowd.mostOut + 1) * each + 1e-6);
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('is shared evenly by requests a hundred times as large as others, and a flooder', () => {
    const sizes = [1, 3, 10, 30, 100, 100];
    const members: Member[] = sizes.map((size, i) => ({
      name: `agent-${String(i)}`,
      weight: 1,
      priority: 'normal',
      asks: [
        [size, size],
        [Math.ceil(size / 3), size],
      ],
      depth: i === 5 ? 2000 : 6,
    }));
    const crowd = new Crowd(members, [50, 900, 300]);
    const before = crowd.log.length;
    let dispatched = before;
    // Until each of them has had ten of the largest requests there are.
    do crowd.run((dispatched += 200));
    while (crowd.served(before).some((units) => units < 10 * 100));
    const served = crowd.served(before);
    const sum = served.reduce((all, units) => all + units, 0);
    const squares = served.reduce((all, units) => all + units * units, 0);
    expect(sum ** 2 / (served.length * squares)).toBeGreaterThanOrEqual(0.99);
  });

  it('gives each class its floor under a flood from above', () => {
    const flood = { weight: 1, asks: [[20, 20]] as const, depth: 30 };
    const members: Member[] = [
      { ...flood, name: 'high-1', priority: 'high' },
      { ...flood, name: 'high-2', priority: 'high' },
      { ...flood, name: 'normal-1', priority: 'normal' },
      { ...flood, asks: [[60, 60]], name: 'background-1', priority: 'background' },
    ];
    const crowd = new Crowd(members, [200]);
    const before = crowd.log.length;
    crowd.run(before + 3000);
    const served = crowd.served(before);
    const sum = served.reduce((all, units) => all + units, 0);
    for (const [member, largestUnits] of [
      [2, 20],
      [3, 60],
    ] as const) {
      expect(served[member]).toBeGreaterThanOrEqual(0.02 * sum * 0.95 - largestUnits);
      expect(served[member]).toBeLessThanOrEqual(0.03 * sum + largestUnits);
    }
  });
});

const fixed = spec('fixed', { windowMs: 60_000 });
const rolling = spec('rolling', { kind: 'rolling', limit: 30, windowMs: 20_000, source: 'policy' });
const bucket = spec('bucket', { kind: 'bucket', limit: 40, windowMs: 30_000, source: 'policy' });
const slots = spec('slots', { kind: 'concurrent', limit: 6, source: 'policy' });
const calendar = spec('calendar', { kind: 'fixed', limit: 50, windowMs: 90_000, source: 'policy' });

const history = fc.array(
  fc.record({
    act: fc.constantFrom('arrive', 'arrive', 'arrive', 'pass', 'end', 'end'),
    units: fc.array(fc.integer({ min: 0, max: 25 }), { minLength: 5, maxLength: 5 }),
    ms: fc.constantFrom(1, 50, 700, 4000, 15_000),
    pick: fc.nat(20),
  }),
  { minLength: 10, maxLength: 60 },
);

/** Who is next in each line that this path is about, with the start that is reserved for him. */
function heads(world: World, path: string): Map<LiveRequest, number> {
  const found = new Map<LiveRequest, number>();
  const now = world.now.wall;
  for (const [pool, line] of world.governor.room.lines) {
    const head = line.next(now);
    if (head !== null && path.includes(`${pool.spec.name}:`)) found.set(head, startOf(head, now));
  }
  return found;
}

function draws(units: readonly number[]): string {
  const names = ['fixed', 'rolling', 'bucket', 'slots', 'calendar'];
  const parts = names.flatMap((name, i) => {
    const asked = name === 'slots' ? Math.min(6, units[i] ?? 0) : (units[i] ?? 0);
    return asked > 0 ? [`${name}:${String(asked)}`] : [];
  });
  return `/${parts.join(',')}`;
}

describe('whoever goes before the first in line', () => {
  /** Histories in which somebody did go before others. */
  let passed = 0;

  it('does not delay him', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const world = new World([fixed, rolling, bucket, slots, calendar]);
        const first = world.arrive({ path: '/fixed:1' });
        const resetAt = Math.floor(world.now.wall / 1000) * 1000 + 60_000;
        world.head(first.key, [{ kind: 'quota', spec: fixed, limit: 40, used: 20, resetAt }]);
        world.end(first.key);
        const out: number[] = [];
        const took = (effects: readonly Effect[]) => {
          for (const effect of effects) if (effect.type === 'forward') out.push(effect.key);
        };
        for (const step of steps) {
          if (step.act === 'pass') took(world.run(step.ms));
          else if (step.act === 'end') {
            const [key] = out.splice(step.pick % Math.max(1, out.length), 1);
            if (key !== undefined) took(world.end(key));
          } else {
            const path = draws(step.units);
            const before = heads(world, path);
            // One agent, one patience: nobody's turn is before that of whoever came first.
            const { effects } = world.arrive({ path, maxWaitMs: LONG });
            took(effects);
            if (!effects.some(({ type }) => type === 'forward')) continue;
            for (const [head, start] of before) {
              if (head.state !== 'queued') continue;
              passed += 1;
              expect(startOf(head, world.now.wall)).toBeLessThanOrEqual(start);
            }
          }
        }
      }),
      { numRuns: 500, seed: 11 },
    );
    expect(passed).toBeGreaterThan(30);
  });
});

describe('those who are gone', () => {
  it('leave nothing behind, however they went', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const world = new World([fixed, rolling, bucket, slots, calendar]);
        const sent: number[] = [];
        const took = (effects: readonly Effect[]) => {
          for (const effect of effects) if (effect.type === 'forward') sent.push(effect.key);
        };
        const waiting: number[] = [];
        for (const step of steps) {
          if (step.act === 'pass') took(world.run(step.ms));
          else if (step.act === 'end' && step.pick % 2 === 0) {
            const [key] = waiting.splice(step.pick % Math.max(1, waiting.length), 1);
            if (key !== undefined && !sent.includes(key)) took(world.end(key, 'gone'));
          } else {
            const { key, effects } = world.arrive({
              path: draws(step.units),
              agent: `agent-${String(step.pick)}`,
              priority: (['high', 'normal', 'background'] as const)[step.pick % 3] ?? 'normal',
              maxWaitMs: step.ms,
            });
            took(effects);
            if (effects.length === 0) waiting.push(key);
          }
        }
        took(world.run(120_000));
        const { room } = world.governor;
        expect([room.lines.size, room['alarms'].size]).toEqual([0, 0]);
        for (const line of room['contention']['lines'].values()) {
          for (const fair of line.classes) {
            expect([fair.size, fair.units, fair.agents, fair.owed]).toEqual([0, 0, 0, 0]);
          }
        }
        for (const key of sent) world.end(key);
        // Calm for a while: the virtual times go, too.
        world.pass(40_000);
        world.arrive({ path: '/slots:1' });
        expect(room['contention'].size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
