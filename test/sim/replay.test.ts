/** What a governor recorded, decided again: by the same policy nothing differs, by another what must. */
import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/config/policy/load.ts';
import type { Effect } from '../../src/core/engine.ts';
import { evolve } from '../../src/core/governor/evolve.ts';
import { loadState, saveState } from '../../src/core/governor/saved-state.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import type { Entry } from '../../src/core/ledger/entry.ts';
import { flatPrice, type PriceBook } from '../../src/core/money.ts';
import type { Observation } from '../../src/core/observation.ts';
import { compileMatch } from '../../src/core/policy/match.ts';
import type { CompiledPolicy, PolicyLimit } from '../../src/core/policy/types.ts';
import { replay, type ReplayOptions } from '../../src/sim/replay.ts';
import { LlmWorld, usage } from '../core/llm-world.ts';
import { EMPTY_POLICY, spec, World, type Asking } from '../core/world.ts';

const LIMIT = 10;
const WINDOW_MS = 60_000;
const core = spec('core', { windowMs: WINDOW_MS });
const OLD: CompiledPolicy = { ...EMPTY_POLICY, hash: 'old' };

function limited(id: string, more: Partial<PolicyLimit>): CompiledPolicy {
  const base = { match: compileMatch({}), per: [], quota: 2, unit: 'requests' } as const;
  const limit: PolicyLimit = { id, ...base, windowMs: 20_000, kind: 'rolling', ...more };
  return { ...EMPTY_POLICY, hash: id, limits: [limit] };
}

/** A fixed window at the origin, 40 ms away; answers 10 ms long. */
class Recorder {
  readonly world: World;
  private used = 0;
  private resetAt = 0;
  private events: { at: number; run: () => void }[] = [];

  constructor(policy: CompiledPolicy = OLD) {
    this.world = new World([core], { policy });
  }

  get entries(): readonly Entry[] {
    return this.world.entries;
  }

  take(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type === 'forward') this.later(40, () => this.answer(effect.key));
      else if (effect.type === 'respond') this.world.end(effect.key, 'gone');
    }
  }

  private later(ms: number, run: () => void): void {
    this.events.push({ at: this.world.now.mono + ms, run });
    this.events.sort((a, b) => a.at - b.at);
  }

  private answer(key: number): void {
    const { wall } = this.world.now;
    if (wall >= this.resetAt) [this.used, this.resetAt] = [0, wall + WINDOW_MS];
    this.used += 1;
    const quota = { kind: 'quota', spec: core, limit: LIMIT, used: this.used } as const;
    const told: Observation = { ...quota, remaining: LIMIT - this.used, resetAt: this.resetAt };
    this.take(this.world.head(key, [told], 200, wall));
    this.later(10, () => this.take(this.world.end(key)));
  }

  arrive(asking: Asking): number {
    const { key, effects } = this.world.arrive({ path: '/core', ...asking });
    this.take(effects);
    return key;
  }

  /** Timers of the process that is recorded come some milliseconds late. */
  run(ms: number): void {
    const { world } = this;
    const until = world.now.mono + ms;
    for (;;) {
      const event = this.events[0]?.at ?? Infinity;
      const alarm = (world.governor.wakeAt() ?? Infinity) + 7;
      const next = Math.min(event, alarm);
      if (next > until) break;
      world.pass(Math.max(0, next - world.now.mono));
      if (event === next) this.events.shift()?.run();
      else this.take(world.wake());
    }
    world.pass(until - world.now.mono);
  }
}

/** When the quota is there again, as the governor knows it. */
function reset({ governor, now }: World): number {
  for (const pool of governor.state.pools.values()) {
    if (pool.spec.name === 'core') return pool.earliest(1, now.wall, 0, '');
  }
  return Infinity;
}

function options(entries: readonly Entry[], policy: CompiledPolicy, from = 0): ReplayOptions {
  const before = new EngineState();
  for (const entry of entries.slice(0, from)) evolve(before, entry);
  const waits = new Set(
    before.flights
      .values()
      .filter((f) => f.sentAt === 0)
      .map((f) => f.seq),
  );
  const saved = JSON.stringify(saveState(before, entries[from]?.at ?? 0));
  return {
    policy,
    recordedBy: OLD,
    identify: (_provider, id) => ({ id, kind: 'seen' }),
    entries: entries.slice(from),
    before: entries.slice(0, from),
    waiting: entries.filter(({ kind, seq }) => kind === 'decided' && waits.has(seq)),
    restore() {
      const state = new EngineState();
      loadState(state, JSON.parse(saved) as Parameters<typeof loadState>[1]);
      return state;
    },
  };
}

/** Two agents, one of them impatient, for some minutes: more than the origin allows. */
function busy(): Recorder {
  const recorder = new Recorder();
  for (let i = 0; i < 40; i++) {
    const agent = i % 3 === 0 ? 'eager' : 'calm';
    recorder.arrive({ agent, maxWaitMs: agent === 'eager' ? 0 : 60_000 });
    recorder.run(i % 4 === 0 ? 1 : 3_113);
  }
  recorder.run(200_000);
  return recorder;
}

describe('a replay by the same policy', () => {
  it('differs in nothing, and is all record', () => {
    const { entries } = busy();
    const told = replay(options(entries, OLD));
    expect(told.requests).toBe(40);
    expect(told.delayed.before).toBeGreaterThan(3);
    expect(told.refused.before).toBeGreaterThan(3);
    expect(told.differences).toEqual([]);
    expect(told).toMatchObject({ same: 40, different: 0, diverges_at: null });
    expect(told.recorded_policy_known).toBe(true);
    for (const both of [told.passed, told.delayed, told.refused, told.unserved, told.usd]) {
      expect(both.after).toEqual(both.before);
    }
  });

  it('may begin in the midst of it', () => {
    const { entries } = busy();
    const [some] = entries.filter((one) => one.kind === 'decided').slice(15);
    const from = entries.findIndex((one) => one === some);
    const told = replay(options(entries, OLD, from));
    expect(told).toMatchObject({ requests: 25, diverges_at: null, differences: [] });
  });

  it('knows what was asked before it begins: rules on forecasts decide the same', () => {
    const parsed = parsePolicy(
      'forecasts',
      'rules: [{ id: slow, when: forecast.p50 < 300, action: delay, with: { for: 2s } }]',
    );
    if (!parsed.ok) throw new Error('broken policy');
    const recorder = new Recorder(parsed.policy);
    for (let i = 0; i < 80; i++) {
      recorder.arrive({ maxWaitMs: 60_000 });
      recorder.run(8000);
    }
    recorder.run(100_000);
    const { entries } = recorder;
    const decided = entries.filter(({ kind }) => kind === 'decided');
    const from = entries.findIndex((one) => one === decided[60]);
    expect(decided[60]?.data[0]).toBe('delay');
    const asked = { ...options(entries, parsed.policy, from), recordedBy: parsed.policy };
    expect(replay(asked)).toMatchObject({ requests: 20, diverges_at: null, differences: [] });
    expect(replay({ ...asked, before: [] }).diverges_at).not.toBeNull();
  });

  it('knows retries again', () => {
    const recorder = new Recorder();
    const { world } = recorder;
    const { key } = world.arrive({ path: '/core', replayable: true });
    world.pass(40);
    const slow = {
      kind: 'throttled',
      class: 'secondary',
      scope: 'identity',
      code: 'slow',
    } as const;
    world.head(key, [{ ...slow, retryInMs: 1000 }], 429);
    recorder.run(2000);
    const told = replay(options(recorder.entries, OLD));
    expect(told).toMatchObject({ requests: 1, same: 1, diverges_at: null });
    expect(told.wait_ms.after.p50).toBeGreaterThanOrEqual(1000);
  });

  it('takes timers that were late for what they were', () => {
    const recorder = new Recorder();
    const { world } = recorder;
    for (let i = 0; i < 2 * LIMIT; i++) {
      recorder.arrive({ maxWaitMs: 120_000 });
      recorder.run(60);
    }
    // Lines are looked at now and then; the last of these alarms is that of the reset.
    const waits = () => world.governor.room.lines.size > 0;
    for (let at = world.governor.wakeAt() ?? 0; waits(); at = world.governor.wakeAt() ?? 0) {
      recorder.run(at - world.now.mono + 3);
      if (reset(world) <= world.now.wall) break;
      recorder.run(10);
    }
    expect(waits()).toBe(true);
    // It comes when those before it might have gone, and have not.
    recorder.arrive({ agent: 'between', maxWaitMs: 120_000 });
    recorder.run(200_000);
    const told = replay(options(recorder.entries, OLD));
    expect(told).toMatchObject({ requests: 2 * LIMIT + 1, differences: [], diverges_at: null });
  });

  it('knows who left while waiting', () => {
    const recorder = new Recorder();
    for (let i = 0; i < LIMIT; i++) recorder.arrive({});
    recorder.run(1000);
    const leaver = recorder.arrive({ maxWaitMs: 120_000 });
    recorder.run(500);
    recorder.take(recorder.world.end(leaver, 'gone'));
    recorder.run(1000);
    const told = replay(options(recorder.entries, OLD));
    expect(told).toMatchObject({ different: 0, unserved: { before: 1, after: 1 } });
  });
});

describe('a replay of requests that cost money', () => {
  const RATES = { input: 2.5, cachedInput: 1.25, output: 10, request: 0 };
  // Nothing but the request itself bounds what it answers.
  const prices: PriceBook = {
    price: () => flatPrice('list', RATES, { contextTokens: null, maxOutputTokens: null }),
  };
  const budget = (id: string, micros: number) =>
    limited(id, { unit: 'usd', quota: micros, windowMs: 3_600_000 });
  const THREE = budget('three', 25_000);

  /** Each may cost $0.01, and costs half of that. */
  function spending(): readonly Entry[] {
    const world = new LlmWorld(THREE, { prices });
    for (let i = 0; i < 5; i++) {
      const { key, effects } = world.ask({ inputTokens: 400, max: 900 });
      world.pass(50);
      if (effects[0]?.type === 'forward') world.answer(key, usage(400, 400));
      else world.answer(key, null, 'gone', 0);
      world.pass(1000);
    }
    return world.entries;
  }

  const again = (entries: readonly Entry[], policy: CompiledPolicy) =>
    replay({ ...options(entries, policy), recordedBy: THREE, prices });

  it('by the same policy sets aside what was set aside then', () => {
    const told = again(spending(), THREE);
    expect(told).toMatchObject({ same: 5, differences: [], diverges_at: null });
    expect(told.passed).toEqual({ before: 4, after: 4 });
    expect(told.refused).toEqual({ before: 1, after: 1 });
    expect(told.usd).toEqual({ before: 0.02, after: 0.02 });
  });

  it.each([
    ['smaller', 15_000, 2, 'RL_QUOTA'],
    ['far too small', 9_999, 0, 'RL_TOO_LARGE'],
    ['larger', 30_000, 5, null],
  ])('by a %s budget counts the same money', (_what, micros, passed, code) => {
    const told = again(spending(), budget('other', micros));
    expect(told.passed).toEqual({ before: 4, after: passed });
    if (code !== null) expect(told.differences[0]?.after).toMatchObject({ code });
    expect(told.prices).toBe('same');
  });

  it('keeps what a dearer way of being served cost', () => {
    const world = new LlmWorld(THREE, { prices });
    const { key } = world.ask({ inputTokens: 400, max: 400 });
    world.pass(50);
    world.answer(key, { ...usage(400, 400), priceFactor: 2 });
    expect(again(world.entries, THREE).usd).toEqual({ before: 0.01, after: 0.01 });
  });

  const DEAR: CompiledPolicy = {
    ...THREE,
    hash: 'dear',
    prices: [
      {
        match: compileMatch({}),
        price: flatPrice(
          'policy',
          { input: 2.5, cachedInput: 1.25, output: 20, request: 0 },
          { contextTokens: null, maxOutputTokens: null },
        ),
      },
    ],
  };

  it('at other prices sets aside as many times more as the dearest part of it costs', () => {
    const told = again(spending(), DEAR);
    expect(told).toMatchObject({ prices: 'rescaled', passed: { before: 4, after: 1 } });
    expect(told.usd).toEqual({ before: 0.02, after: 0.009 });
  });

  it('says when it cannot tell how prices differ', () => {
    const told = replay({ ...options(spending(), DEAR), recordedBy: OLD, prices });
    expect(told).toMatchObject({ prices: 'unknown', passed: { before: 4, after: 2 } });
  });
});

describe('a replay by a stricter policy', () => {
  const STRICT = limited('two-each', { per: ['agent'] });

  it('delays and refuses what it must, from an agent’s third request on', () => {
    const recorder = new Recorder();
    // Of a quota that is not known yet, one request goes first.
    recorder.arrive({ agent: 'pioneer' });
    recorder.run(100);
    for (let i = 0; i < 4; i++) {
      recorder.arrive({ agent: 'calm', maxWaitMs: 60_000 });
      recorder.arrive({ agent: 'eager', maxWaitMs: 0 });
      recorder.run(100);
    }
    recorder.run(100_000);
    const { entries } = recorder;
    const told = replay(options(entries, STRICT));
    const decided = entries.filter((entry) => entry.kind === 'decided');
    const differing = told.differences.map(({ id, after }) => [id, after.decision]);
    const idOf = (i: number) => `rl_${(decided[i]?.seq ?? 0).toString(36)}`;
    expect(differing).toContainEqual([idOf(5), 'delay']);
    expect(told.diverges_at).toMatchObject({ seq: decided[5]?.seq, id: idOf(5) });
    expect(Date.parse(told.diverges_at?.at ?? '')).toBe(decided[5]?.at);
    // Two of each agent in twenty seconds, and the eager one does not wait.
    const eager = told.differences.filter(({ agent }) => agent === 'eager');
    const refused = { decision: 'reject', code: 'RL_QUOTA' };
    expect(eager.map(({ after }) => after)).toMatchObject([refused, refused]);
    const calm = told.differences.filter(({ agent }) => agent === 'calm');
    for (const { after, why } of calm) {
      expect(after.waited_ms).toBeGreaterThan(19_000);
      expect(why).toContain('two-each');
    }
    expect(told.different).toBe(told.differences.length);
    expect(told.same + told.different).toBe(9);
  });

  it('gives its own defaults to those who asked for nothing', () => {
    const recorder = new Recorder();
    for (let i = 0; i < LIMIT; i++) {
      recorder.arrive({});
      recorder.run(60);
    }
    recorder.run(30_000);
    recorder.arrive({});
    recorder.arrive({ maxWaitMs: 59_000 });
    recorder.run(200_000);
    const impatient = { ...OLD, hash: 'now', defaults: { ...OLD.defaults, maxWaitMs: 0 } };
    const told = replay(options(recorder.entries, impatient));
    expect(told.delayed).toEqual({ before: 2, after: 1 });
    expect(told.refused).toEqual({ before: 0, after: 1 });
  });

  it('ends, and the model never lets more pass than the origin allows', () => {
    const { entries } = busy();
    const told = replay(options(entries, STRICT));
    expect(told.different).toBeGreaterThan(5);
    expect(told.unserved.after).toBe(told.unserved.before);
    const { passed, delayed, refused, unserved } = told;
    expect(passed.after + delayed.after + refused.after + unserved.after).toBe(40);
  });
});

describe('a replay by a laxer policy', () => {
  it('sends no more than the origin’s quota, which is modelled then', () => {
    const recorder = new Recorder(limited('two', {}));
    for (let i = 0; i < 2 * LIMIT; i++) {
      recorder.arrive({ maxWaitMs: 0 });
      recorder.run(200);
    }
    const told = replay(options(recorder.entries, OLD));
    expect(told.passed).toEqual({ before: 2, after: LIMIT });
    expect(told.refused.after).toBe(LIMIT);
    const [, , third] = recorder.entries.filter((entry) => entry.kind === 'decided');
    expect(told.diverges_at?.seq).toBe(third?.seq);
  });

  it('passes what was refused, and then the origin is modelled', () => {
    const world = new World([core], { policy: limited('one-each', { quota: 1 }) });
    const keys = [0, 1, 2].map(() => world.arrive({ path: '/', maxWaitMs: 0 }).key);
    for (const key of keys) world.end(key);
    const told = replay(options(world.entries, OLD));
    expect(told).toMatchObject({
      refused: { before: 2, after: 0 },
      passed: { before: 1, after: 3 },
    });
    expect(told.recorded_policy_known).toBe(false);
    expect(told.differences[0]?.why).toContain('nothing stands in its way');
  });
});
