/** The `pacing` section of a policy file. */
import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/config/policy/load.ts';
import { problemText } from '../../src/config/problem.ts';
import { DEFAULT_PACING, pacingOf } from '../../src/core/policy/pacing.ts';

function pacing(text: string) {
  const result = parsePolicy('p.yaml', text);
  return result.ok ? pacingOf(result.policy) : result.problems.map(problemText);
}

describe('pacing', () => {
  it('is the default where nothing is said', () => {
    expect(pacing('version: 1')).toEqual(DEFAULT_PACING);
    expect(pacing('pacing: {}')).toEqual(DEFAULT_PACING);
    expect(pacing('pacing: { values: { high: 20 } }')).toEqual({
      ...DEFAULT_PACING,
      values: { high: 20, normal: 3, background: 1 },
    });
  });

  it('is what is written', () => {
    const text = `
pacing:
  protect: false
  values: { high: 5, normal: 5, background: 0.5 }
  floor: 0%
  spread: { when: 30%, classes: [normal, background], burst: 0 }
`;
    expect(pacing(text)).toEqual({
      protect: false,
      values: { high: 5, normal: 5, background: 0.5 },
      floor: 0,
      spread: { when: 0.3, classes: ['normal', 'background'], burst: 0 },
    });
    expect(pacing('pacing: { spread: {} }')).toMatchObject({
      spread: { when: 0.5, classes: ['background'], burst: 0.02 },
    });
  });

  it.each([
    [
      'pacing: { flor: 2% }',
      'p.yaml:1:11: unknown key `flor` in `pacing` (known: protect, values, floor, spread); did you mean `floor`?',
    ],
    [
      'pacing: { values: { hihg: 2 } }',
      'p.yaml:1:21: unknown key `hihg` in `pacing.values` (known: high, normal, background); did you mean `high`?',
    ],
    [
      'pacing: { values: { high: -1 } }',
      'p.yaml:1:27: pacing.values.high: `-1` is no value: it must be above 0 and at most 1000000',
    ],
    [
      'pacing: { values: { high: 2, normal: 3 } }',
      'p.yaml:1:38: `normal` is worth 3 and `high` only 2: a higher class is worth at least as much',
    ],
    [
      'pacing: { values: { high: 2 } }',
      'p.yaml:1:27: `normal` is worth 3 and `high` only 2: a higher class is worth at least as much',
    ],
    [
      'pacing: { values: { background: 4 } }',
      'p.yaml:1:33: `background` is worth 4 and `normal` only 3: a higher class is worth at least as much',
    ],
    [
      'pacing: { floor: 40% }',
      'p.yaml:1:18: pacing.floor: `40%` is too much for every class: at most 25%; did you mean `2%`?',
    ],
    [
      'pacing: { floor: 2 }',
      'p.yaml:1:18: pacing.floor: `2` is no share: it must be above 0% and at most 100%; did you mean `2%`?',
    ],
    [
      'pacing: { protect: yes please }',
      'p.yaml:1:20: pacing.protect: `yes please` is neither `true` nor `false`',
    ],
    [
      'pacing: { protect: on }',
      'p.yaml:1:20: pacing.protect: `on` is neither `true` nor `false`; did you mean `true`?',
    ],
    [
      'pacing: { spread: { classes: [backgroud] } }',
      'p.yaml:1:30: pacing.spread.classes: unknown priority `backgroud` (known: high, normal, background); did you mean `background`?',
    ],
    [
      'pacing: { spread: { when: 0% } }',
      'p.yaml:1:27: pacing.spread.when: `0%` is no share: it must be above 0% and at most 100%',
    ],
    [
      'rules: [{ id: a, action: delay, with: { pace: 1/s, burst: 5% } }]',
      'p.yaml:1:59: `burst` goes with `pace: spread`: it is a share of what is left',
    ],
  ])('%s', (text, expected) => {
    expect(pacing(text)).toEqual([expected]);
  });
});
