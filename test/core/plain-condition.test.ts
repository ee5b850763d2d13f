/** Plain conditions are judged without the library, and as the library would. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileCondition } from '../../src/config/policy/condition.ts';
import type { Condition, ConditionEnv } from '../../src/core/policy/types.ts';

const NUMBERS = ['request.bytes', 'pool.remaining', 'pool.remaining_ratio', 'forecast.p_exhaust'];
const TEXTS = [
  ['agent.priority', '"high"'],
  ['agent.priority', '"normal"'],
  ['request.method', '"GET"'],
  ['request.method', '"POST"'],
  ['pool.id', '"core"'],
  ['pool.id', '"graphql"'],
] as const;
const ORDERS = ['<', '<=', '>', '>=', '==', '!='];

const number = fc.constantFrom('0', '1', '0.5', '-2', '10', '1e3', '0.0001');
const turned = fc.boolean();
const comparison = fc.oneof(
  fc
    .tuple(fc.constantFrom(...NUMBERS), fc.constantFrom(...ORDERS), number, turned)
    .map(([name, op, value, turn]) => (turn ? `${value} ${op} ${name}` : `${name} ${op} ${value}`)),
  fc
    .tuple(fc.constantFrom(...TEXTS), fc.constantFrom('==', '!='), turned)
    .map(([[name, value], op, turn]) =>
      turn ? `${value} ${op} ${name}` : `${name} ${op} ${value}`,
    ),
);
const { condition } = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    comparison,
    fc
      .tuple(tie('condition'), fc.constantFrom('&&', '||'), tie('condition'))
      .map(([a, op, b]) => `(${a}) ${op} (${b})`),
    tie('condition').map((inner) => `!(${inner})`),
  ),
}));

const amount = fc.constantFrom(0, 0.5, 1, 10, 1000, -2, 0.0001, Infinity);
const env = fc
  .record({ bytes: amount, remaining: amount, ratio: amount, chance: amount, odd: fc.nat(9) })
  .map(({ bytes, remaining, ratio, chance, odd }): ConditionEnv => {
    const pool = { limit: 1, used: 1, reset_in: 1, utilization: 1, burn_rate: 1, age: 1 };
    return {
      request: { method: 'GET', path: '/', host: 'h', model: '', bytes, units: 1 },
      agent: { id: 'a', priority: odd % 2 === 0 ? 'high' : 'normal', weight: 1, share: 1 },
      identity: { id: 'i', kind: 'seen' },
      // A reading that is missing after all: whatever becomes of it, it becomes of both.
      pool: {
        ...pool,
        id: 'core',
        remaining: odd === 9 ? null : remaining,
        remaining_ratio: ratio,
      },
      forecast: { p50: 1, p90: 1, p99: 1, p_exhaust: chance, margin: 1 },
      cost: { usd: 1, spent: 1 },
      provider: { id: 'github', degraded: false },
      time: { hour: 1, weekday: 'mon' },
    };
  });

function compiled(source: string): Condition {
  const result = compileCondition(source);
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  return result.condition;
}

function outcome(one: Condition, seen: ConditionEnv): string {
  try {
    return String(one.test(seen));
  } catch (error) {
    return error instanceof Error
      ? (error.message.split('\n', 1)[0]?.slice(0, 40) ?? '')
      : 'thrown';
  }
}

describe('a plain condition', () => {
  it('is judged as the library judges it', () => {
    fc.assert(
      fc.property(condition, fc.array(env, { minLength: 1, maxLength: 5 }), (source, seen) => {
        const plain = compiled(source);
        // What asks whether something is known is left to the library as a whole.
        const byLibrary = compiled(`(${source}) && has(request.method)`);
        for (const one of seen) expect(outcome(plain, one)).toBe(outcome(byLibrary, one));
      }),
      { numRuns: 300 },
    );
  });

  it('and others are not mistaken for one', () => {
    const seen = fc.sample(env, 1)[0] as ConditionEnv;
    for (const [source, holds] of [
      ['pool.limit + 1.0 > 1', true],
      ['request.path.startsWith("/")', true],
      ['agent.id in ["a", "b"]', true],
      ['provider.degraded', false],
      ['provider.degraded == false', true],
      ['pool.limit == pool.used', true],
      ['pool.limit > 0 ? agent.id == "a" : false', true],
      ['agent.id < "b"', true],
    ] as const) {
      expect([source, compiled(source).test(seen)]).toEqual([source, holds]);
    }
  });
});
