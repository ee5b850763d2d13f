import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileGlob } from '../../src/core/policy/glob.ts';
import { evaluate } from '../../src/core/policy/evaluate.ts';
import type { CompiledPolicy, PolicyRule, PolicyVerdict } from '../../src/core/policy/types.ts';
import { NOON, policy, pool, readings, subject } from './policy-builder.ts';

const conditions = [
  '',
  'when: pool.remaining_ratio < 0.5',
  'when: "pool.reset_in > 100 || agent.priority == \\"high\\""',
  'when: forecast.p50 < 10',
  'when: int(agent.id) > 1',
  'when: time.hour >= 12',
];
const matches = ['{}', '{ pool: core }', '{ agent: "a-*" }', '{ provider: github, pool: "s*" }'];
const actions = [
  'action: pass',
  'action: warn',
  'action: delay, with: { for: 1s }',
  'action: delay, with: { for: 9s }',
  'action: delay, with: { pace: 5/s }',
  'action: delay, with: { pace: 1/s }',
  'action: delay, with: { pace: spread }',
  'action: defer',
  'action: reject',
  'action: reject, with: { retry_after: 5s }',
  'action: reject, with: { retry_after: never }',
];

// Every combination, compiled once; tests draw rules from these.
const ALL: readonly PolicyRule[] = policy(
  `rules:\n${matches
    .flatMap((match, m) =>
      conditions.flatMap((when, w) =>
        actions.map(
          (action, a) =>
            `  - { id: r${m}-${w}-${a}, match: ${match}, ${when === '' ? '' : `${when}, `}${action} }`,
        ),
      ),
    )
    .join('\n')}`,
).rules;

const rulesArbitrary = fc.uniqueArray(fc.constantFrom(...ALL), { maxLength: 8 });
const onFaultArbitrary = fc.constantFrom('skip' as const, 'reject' as const);
const readingsArbitrary = fc
  .array(
    fc.record({
      name: fc.constantFrom('core', 'search', 'other'),
      left: fc.nat(100),
      reset: fc.option(fc.nat(1000)),
    }),
    { maxLength: 3 },
  )
  .map((pools) =>
    readings(pools.map(({ name, left, reset }) => ({ ...pool(name, left, 100), reset_in: reset }))),
  );
const subjectArbitrary = fc
  .record({
    agent: fc.constantFrom('a-1', '7', 'b'),
    priority: fc.constantFrom('high' as const, 'normal' as const),
  })
  .map(subject);

const EMPTY = policy('version: 1');
function withRules(rules: readonly PolicyRule[], onFault: CompiledPolicy['onFault']) {
  return { ...EMPTY, rules, onFault };
}

const RANK = { pass: 0, delay: 1, reject: 2 };

function atLeastAsStrict(after: PolicyVerdict, before: PolicyVerdict): boolean {
  const retry = (verdict: PolicyVerdict) =>
    verdict.retryAfter === null
      ? -1
      : verdict.retryAfter === 'auto'
        ? 0
        : verdict.retryAfter === 'never'
          ? Infinity
          : verdict.retryAfter;
  const pace = (verdict: PolicyVerdict) => verdict.pace?.perSecond ?? Infinity;
  return (
    RANK[after.outcome] >= RANK[before.outcome] &&
    after.delayMs >= before.delayMs &&
    retry(after) >= retry(before) &&
    pace(after) <= pace(before) &&
    (before.deferTo === null || after.deferTo !== null) &&
    before.warnings.every((warning) => after.warnings.includes(warning))
  );
}

/** What the outside sees of a verdict, whatever the order of rules. */
function essence(verdict: PolicyVerdict) {
  const { outcome, delayMs, deferTo, pace, retryAfter, decidedBy } = verdict;
  const rules = verdict.rules.map((finding) => JSON.stringify(finding)).sort();
  return { outcome, delayMs, deferTo, pace, retryAfter, decidedBy: decidedBy?.rule, rules };
}

describe('policies as a whole', () => {
  it('adding a rule never makes an outcome less strict', () => {
    fc.assert(
      fc.property(
        rulesArbitrary,
        fc.constantFrom(...ALL),
        subjectArbitrary,
        readingsArbitrary,
        onFaultArbitrary,
        (rules, extra, who, known, onFault) => {
          const before = evaluate(withRules(rules, onFault), who, known, NOON);
          const after = evaluate(withRules([...rules, extra], onFault), who, known, NOON);
          expect(atLeastAsStrict(after, before)).toBe(true);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('the order of rules never matters', () => {
    const shuffled = rulesArbitrary.chain((rules) =>
      fc.tuple(
        fc.constant(rules),
        fc.shuffledSubarray(rules, { minLength: rules.length, maxLength: rules.length }),
      ),
    );
    fc.assert(
      fc.property(
        shuffled,
        subjectArbitrary,
        readingsArbitrary,
        onFaultArbitrary,
        ([rules, other], who, known, onFault) => {
          const one = evaluate(withRules(rules, onFault), who, known, NOON);
          const two = evaluate(withRules(other, onFault), who, known, NOON);
          expect(essence(two)).toEqual(essence(one));
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('globs mean what the equivalent regular expression means', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 10 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '?'), maxLength: 7 });
    fc.assert(
      fc.property(pattern, text, (glob, value) => {
        const source = glob.replaceAll('*', '.*').replaceAll('?', '.');
        expect(compileGlob(glob)(value)).toBe(new RegExp(`^${source}$`, 's').test(value));
      }),
      { numRuns: 2000 },
    );
  });
});
