/**
 * A budget in money is never overspent: whatever runs in parallel, however long answers get, whoever
 * leaves, whatever nobody tells. Here the truth is known: what each request really cost.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Ending } from '../../src/core/engine.ts';
import { flatPrice } from '../../src/core/money.ts';
import { LlmWorld, usage } from '../core/llm-world.ts';
import { policy } from '../core/policy-builder.ts';

const WINDOW_MS = 60_000;
const BUDGET = 50_000;
const PRICE = flatPrice(
  'truth',
  { input: 2.5, cachedInput: 1.25, output: 10, request: 0 },
  { contextTokens: 100_000, maxOutputTokens: null },
);

interface Asked {
  readonly agent: number;
  readonly inputTokens: number;
  readonly max: number;
  /** Of its cap, in thousandths: mostly little, sometimes all. */
  readonly fill: number;
  readonly lastsMs: number;
  readonly ending: Ending;
  readonly told: boolean;
  readonly afterMs: number;
}

const asked: fc.Arbitrary<Asked> = fc.record({
  agent: fc.nat(3),
  inputTokens: fc.integer({ min: 1, max: 3000 }),
  // Beyond some 5,000 not even the whole budget would do.
  max: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 7000 })),
  fill: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(1000), fc.nat(1000)),
  lastsMs: fc.integer({ min: 1, max: 20_000 }),
  ending: fc.constantFrom<Ending>(
    'complete',
    'complete',
    'complete',
    'aborted',
    'failed',
    'truncated',
  ),
  told: fc.boolean(),
  afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4000 })),
});

interface Spent {
  readonly at: number;
  readonly micros: number;
}

interface Running {
  readonly one: Asked;
  readonly key: number;
  readonly until: number;
}

/** Sends, answers and wakes in order of time; returns what was really spent, and when. */
function spend(world: LlmWorld, requests: readonly Asked[]): Spent[] {
  const spent: Spent[] = [];
  const waiting = new Map<number, Asked>();
  let running: Running[] = [];
  const sent = (effects: readonly { type: string; key?: number }[]): void => {
    for (const { type, key = 0 } of effects) {
      const one = waiting.get(key);
      waiting.delete(key);
      if (type === 'forward' && one !== undefined) {
        running.push({ one, key, until: world.now.mono + one.lastsMs });
      }
    }
  };
  const answer = ({ one, key }: Running): void => {
    const output = Math.ceil((one.max * one.fill) / 1000);
    const truth = usage(one.inputTokens, output);
    spent.push({ at: world.now.wall, micros: PRICE.cost(truth) });
    const status = one.ending === 'failed' ? 0 : 200;
    sent(world.answer(key, one.told && status > 0 ? truth : null, one.ending, status));
  };
  const passUntil = (mono: number): void => {
    for (;;) {
      const next = running.reduce<Running | null>(
        (first, one) => (first === null || one.until < first.until ? one : first),
        null,
      );
      const alarm = world.governor.wakeAt() ?? Infinity;
      const at = Math.min(next?.until ?? Infinity, alarm);
      if (at > mono) break;
      if (at > world.now.mono) world.pass(at - world.now.mono);
      if (next !== null && next.until <= world.now.mono) {
        running = running.filter((one) => one !== next);
        answer(next);
      } else sent(world.wake());
    }
    if (mono > world.now.mono) world.pass(mono - world.now.mono);
  };
  for (const one of requests) {
    passUntil(world.now.mono + one.afterMs);
    const { inputTokens, max } = one;
    const { key, effects } = world.ask({
      agent: `a${one.agent}`,
      inputTokens,
      max,
      maxWaitMs: 30_000,
    });
    waiting.set(key, one);
    sent(effects);
  }
  passUntil(world.now.mono + 3 * WINDOW_MS);
  return spent;
}

/** The most that was spent within one window of the given kind. */
function mostIn(kind: string, spent: readonly Spent[]): number {
  const sums = spent.map(({ at }) => {
    const inside =
      kind === 'fixed'
        ? (other: Spent) => Math.floor(other.at / WINDOW_MS) === Math.floor(at / WINDOW_MS)
        : (other: Spent) => other.at <= at && other.at > at - WINDOW_MS;
    return spent.filter(inside).reduce((sum, { micros }) => sum + micros, 0);
  });
  return Math.max(0, ...sums);
}

it.each(['rolling', 'fixed'])('a %s budget', (kind) => {
  const limits = policy(`limits: [{ id: b, quota: 0.05 usd / 1m, window: ${kind} }]`);
  let used = 0;
  fc.assert(
    fc.property(fc.array(asked, { minLength: 5, maxLength: 60 }), (requests) => {
      const most = mostIn(kind, spend(new LlmWorld(limits), requests));
      used = Math.max(used, most);
      expect(most).toBeLessThanOrEqual(BUDGET);
    }),
    { numRuns: 150, seed: 20_261_121 },
  );
  // And it is no dead letter either: nearly all of it can be spent.
  expect(used).toBeGreaterThan(0.9 * BUDGET);
});
