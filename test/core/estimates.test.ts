/** How much is set aside before anybody knows what an answer takes. */
import { describe, expect, it } from 'vitest';
import { likelyUse, OutputHistory } from '../../src/core/governor/estimates.ts';
import { evolve } from '../../src/core/governor/evolve.ts';
import { loadState, saveState } from '../../src/core/governor/saved-state.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import type { Claim } from '../../src/core/claim.ts';
import type { JsonObject } from '../../src/core/units.ts';
import { chance, heavyTail, LlmWorld, usage } from './llm-world.ts';
import { policy } from './policy-builder.ts';

function learned(model: string, agent: string, sizes: readonly number[]): OutputHistory {
  const history = new OutputHistory();
  for (const size of sizes) history.learn('p', model, agent, size);
  return history;
}

const tenths = [10, 20, 30, 40, 50, 60, 70, 80, 90, 1000];

describe('OutputHistory', () => {
  it('tells what nine of ten answers stayed within', () => {
    expect(learned('m', 'a', tenths).likely('p', 'm', 'a')).toBe(90);
  });

  it('asks the agent’s own answers first, then everybody’s of that model', () => {
    const history = learned('m', 'a', tenths);
    expect(history.likely('p', 'm', 'stranger')).toBe(90);
    for (let i = 0; i < 5; i++) history.learn('p', 'm', 'b', 5);
    expect(history.likely('p', 'm', 'b')).toBe(5);
    expect(history.likely('p', 'm', 'a')).toBe(90);
    expect(history.likely('p', 'other', 'a')).toBeNull();
  });

  it('says nothing on four answers', () => {
    expect(learned('m', 'a', [1, 2, 3, 4]).likely('p', 'm', 'a')).toBeNull();
    expect(learned('m', 'a', [1, 2, 3, 4, 5]).likely('p', 'm', 'a')).toBe(5);
  });

  it('forgets old answers, and the names that were longest unused', () => {
    const history = learned('m', 'a', Array<number>(50).fill(1000));
    for (let i = 0; i < 50; i++) history.learn('p', 'm', 'a', 7);
    expect(history.likely('p', 'm', 'a')).toBe(7);
    for (let i = 0; i < 5000; i++) history.learn('p', `m${i}`, 'a', 1);
    expect(history.size).toBeLessThanOrEqual(2000);
    expect(history.likely('p', 'm', 'a')).toBeNull();
  });
});

describe('likelyUse', () => {
  const claim: Claim = {
    provider: 'p',
    endpoint: 'chat',
    model: 'm',
    scope: '',
    draws: [],
    stream: false,
    inputBytes: 0,
    estimate: { inputTokens: 30, outputTokens: 4096 },
  };

  it.each([
    [{}, 90],
    [{ outputTokens: 4096 }, 90],
    [{ outputTokens: 50 }, 50],
    [{ outputTokens: 20, choices: 3 }, 60],
    [{ outputTokens: 0 }, 0],
  ])('%o: %d', (bounds, outputTokens) => {
    const history = learned('m', 'a', tenths);
    const likely = likelyUse(history, { ...claim, bounds }, 'a');
    expect(likely).toEqual({ inputTokens: 30, outputTokens });
  });

  it('is the adapter’s guess while nothing was learned', () => {
    expect(likelyUse(new OutputHistory(), claim, 'a')).toBe(claim.estimate);
  });
});

const TOKENS = policy('limits: [{ id: t, quota: 1_000_000 tokens / 1m }]');

describe('in the governor', () => {
  it('sets aside what answers were like, not what they may be', () => {
    const world = new LlmWorld(TOKENS);
    const first = world.ask({ max: 4000 });
    expect(world.pool('t').held).toBe(4100);
    world.answer(first.key, usage(100, 40));
    for (let i = 0; i < 9; i++) world.answer(world.ask({ max: 4000 }).key, usage(100, 40));
    world.ask({ max: 4000 });
    expect(world.pool('t').held).toBe(140);
    world.ask({ max: 10 });
    expect(world.pool('t').held).toBe(140 + 110);
    // Whoever knows better is believed.
    world.ask({ max: 4000, estimate: { output_tokens: 2000 } });
    expect(world.pool('t').held).toBe(140 + 110 + 2100);
  });

  it('charges what was used in full, also beyond what was set aside', () => {
    const world = new LlmWorld(policy('limits: [{ id: t, quota: 1000 output_tokens / 1m }]'));
    for (let i = 0; i < 5; i++) world.answer(world.ask().key, usage(100, 0));
    const { key } = world.ask();
    expect(world.pool('t').held).toBe(0);
    world.answer(key, usage(100, 700));
    expect(world.pool('t').figures(world.now.wall).used).toBe(700);
  });

  it('charges what was seen of an answer that the client left, else what was set aside', () => {
    const world = new LlmWorld(TOKENS);
    world.answer(world.ask({ max: 4000 }).key, usage(100, 30), 'aborted');
    expect(world.pool('t').figures(world.now.wall).used).toBe(130);
    world.answer(world.ask({ max: 400 }).key, null, 'aborted');
    expect(world.pool('t').figures(world.now.wall).used).toBe(130 + 500);
  });

  it('learns nothing from answers that were cut short, and charges nothing for errors', () => {
    const world = new LlmWorld(TOKENS);
    for (let i = 0; i < 9; i++) world.answer(world.ask().key, usage(100, 3), 'aborted');
    expect(world.governor.state.outputs.size).toBe(0);
    const used = () => world.pool('t').figures(world.now.wall).used;
    const before = used();
    world.answer(world.ask({ max: 500 }).key, null, 'complete', 500);
    expect(used()).toBe(before);
  });

  it('knows the same after a restart, by snapshot and by the ledger', () => {
    const world = new LlmWorld(TOKENS);
    for (let i = 0; i < 60; i++) {
      world.answer(world.ask({ agent: `a${i % 3}`, max: 900 }).key, usage(100, i * 7));
      world.pass(100);
    }
    const saved = saveState(world.governor.state, world.now.wall);
    const again = new EngineState();
    loadState(again, JSON.parse(JSON.stringify(saved)) as JsonObject);
    const folded = new EngineState();
    for (const entry of world.entries) evolve(folded, entry);
    for (const agent of ['a0', 'a1', 'a2', 'new']) {
      const live = world.governor.state.outputs.likely('llm', 'm-1', agent);
      expect(live).toBeGreaterThan(300);
      expect(again.outputs.likely('llm', 'm-1', agent)).toBe(live);
      expect(folded.outputs.likely('llm', 'm-1', agent)).toBe(live);
    }
    expect(saveState(folded, world.now.wall)).toEqual(saved);
  });
});

describe('over-reservation', () => {
  /** Requests a second for half an hour; answers take as long as their output. */
  function idleShare(text: string, max: number | undefined): number | null {
    const world = new LlmWorld(policy(`limits: [{ id: t, quota: ${text} }]`));
    const random = chance(7);
    const due: { readonly at: number; readonly key: number; readonly output: number }[] = [];
    for (let tick = 0; tick < 1800; tick++) {
      world.pass(1000);
      for (const one of due.filter(({ at }) => at <= world.now.mono)) {
        due.splice(due.indexOf(one), 1);
        world.answer(one.key, usage(1000, one.output));
      }
      const agent = `a${tick % 7}`;
      const { key, effects } = world.ask({
        agent,
        inputTokens: 1000,
        ...(max === undefined ? {} : { max }),
      });
      if (effects[0]?.type !== 'forward') continue;
      const output = Math.min(max ?? Infinity, heavyTail(200, 1, random));
      due.push({ at: world.now.mono + 500 + output * 12, key, output });
    }
    return world.pool('t').excess?.ratio(world.pool('t').windowMs) ?? null;
  }

  it.each([
    ['10_000_000 tokens / 1m', 4096],
    ['10_000_000 tokens / 1m', undefined],
    ['10_000_000 tokens / 1h', 4096],
    ['50 usd / 1d', 4096],
  ])('%s, at most %s asked: no more than a tenth of what was used lies idle', (text, max) => {
    const ratio = idleShare(text, max);
    expect(ratio).toBeGreaterThan(0);
    expect(ratio).toBeLessThanOrEqual(0.1);
  });
});
