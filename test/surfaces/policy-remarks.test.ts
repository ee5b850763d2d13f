/** What the loader remarks of a policy that can be used all the same. */
import { expect, test } from 'vitest';
import { parsePolicy } from '../../src/config/policy/load.ts';
import { problemText } from '../../src/config/problem.ts';

function remarks(text: string): readonly string[] {
  const result = parsePolicy('p.yaml', `version: 1\n${text}`);
  if (!result.ok) throw new Error(result.problems.map(problemText).join('\n'));
  return result.notices.map(problemText);
}

const delay = (ms: string) => `rules:\n  - { id: slow, action: delay, with: { for: ${ms} } }\n`;

test('a delay that is longer than requests wait refuses them', () => {
  expect(remarks(delay('5m'))).toEqual([
    'p.yaml:3:38: rule `slow` delays by 5m, and requests wait at most 1m (`defaults.max_wait`): ' +
      'it refuses all that do not ask for a longer wait',
  ]);
  expect(remarks(`defaults: { max_wait: 5m }\n${delay('5m')}`)).toEqual([]);
  expect(remarks(delay('60s'))).toEqual([]);
});

test('a price behind one that fits all it fits is never used', () => {
  const price = (match: string) => `  - { ${match}input: 1, output: 2 }\n`;
  const of = (...matches: string[]) => remarks(`prices:\n${matches.map(price).join('')}`);
  const never = (line: number, by: number) =>
    `p.yaml:${String(line)}:5: this price is never used: the one of line ${String(by)} fits first`;
  expect(of('match: { model: "*" }, ', 'match: { model: a }, ')).toEqual([never(4, 3)]);
  expect(of('match: { model: a }, ', 'match: { model: a, provider: x }, ')).toEqual([never(4, 3)]);
  expect(of('match: { model: a }, ', 'match: { model: b }, ', 'match: { model: "*" }, ')).toEqual(
    [],
  );
  expect(of('match: { model: a, provider: x }, ', 'match: { model: a }, ')).toEqual([]);
});

test('a reservation of everything lets nobody else pass', () => {
  const share = (percent: string) =>
    remarks(`reserve:\n  - { id: all, for: { priority: high }, share: ${percent} }\n`);
  expect(share('100%')).toEqual(['p.yaml:3:48: `all` keeps all of it: nobody else ever passes']);
  expect(share('99%')).toEqual([]);
});
