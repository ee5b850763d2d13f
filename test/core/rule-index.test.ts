import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileMatch } from '../../src/core/policy/match.ts';
import { isIndexed, RuleIndex } from '../../src/core/policy/rule-index.ts';
import type { Matcher, Subject } from '../../src/core/policy/types.ts';

const names = fc.constantFrom('a', 'b', 'ab', 'Ab', 'a*', '!a', '*b', 'high', 'normal');
const patterns = fc.array(names, { minLength: 1, maxLength: 3 });
const match = fc
  .record(
    { agent: patterns, scope: patterns, method: patterns, model: patterns, path: patterns },
    { requiredKeys: [] },
  )
  .map((by) => compileMatch(by));
const value = fc.constantFrom('', 'a', 'b', 'ab', 'AB', 'high');
const asker = fc
  .record({ agent: value, scope: value, method: value, model: value, path: value })
  .map((by): Subject => ({
    ...{ provider: 'x', identity: 'i', workload: 'w', priority: 'normal', host: 'h' },
    ...by,
  }));

/** Whether all tests hold that an index answers for. */
function holds(matcher: Matcher, subject: Subject): boolean {
  return matcher.tests.every(
    ({ key, test }) => !isIndexed(key) || key === 'pool' || test(subject[key]),
  );
}

describe('an index of rules', () => {
  it('finds the very rules whose tests hold, met before or not', () => {
    const rules = fc.array(match, { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(rules, fc.array(asker, { minLength: 1, maxLength: 6 }), (matchers, subjects) => {
        const index = new RuleIndex(matchers);
        for (const subject of [...subjects, ...subjects]) {
          const bits = index.fitting(subject);
          const found = matchers.map((_, i) => ((bits[i >> 5] ?? 0) & (1 << (i % 32))) !== 0);
          expect(found).toEqual(matchers.map((one) => holds(one, subject)));
        }
      }),
    );
  });

  it('leaves alone what hardly ever comes twice', () => {
    const index = new RuleIndex([compileMatch({ path: ['/only'] })]);
    const subject: Subject = {
      ...{ provider: 'x', agent: '', identity: '', workload: '', scope: '', method: 'GET' },
      ...{ priority: 'normal', host: '', path: '/other', model: '' },
    };
    expect([...index.fitting(subject)]).toEqual([1]);
  });
});
