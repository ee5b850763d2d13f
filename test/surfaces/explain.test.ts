import { expect, test } from 'vitest';
import type { Entry } from '../../src/core/ledger/entry.ts';
import { expand } from '../../src/core/ledger/expand.ts';
import type {
  DecidedData,
  EndedData,
  ObservedData,
  WokeData,
} from '../../src/core/ledger/layout.ts';
import { decisionOf, requestSeq, type DecisionRecord } from '../../src/query/decision.ts';
import { explainText } from '../../src/query/explain.ts';
import { countText, momentText, spanText } from '../../src/query/wording.ts';
import { T0 } from './fakes/ledger.ts';

const CORE = 'github/gh-ci/core';

function entry(
  part: Pick<Entry, 'seq' | 'count' | 'kind'> & { data: unknown; at?: number },
): Entry {
  return {
    at: T0,
    request: 100,
    who: {
      agent: 'crawler-01',
      identity: 'gh-ci',
      workload: 'nightly',
      scope: 'repo:acme/widgets',
      provider: 'github',
    },
    pools: [CORE],
    ...part,
    data: part.data as Entry['data'],
  };
}

const decided = (part: Partial<Record<number, unknown>>): DecidedData => {
  const data: unknown[] = [
    'reject',
    'RL_MAX_WAIT',
    'the reset is later than the caller waits',
    'GET',
    'api.github.com',
    '/repos/acme/widgets',
    'rest',
    '',
    'normal',
    60_000,
    'a1b2c3d4e5f60718aa',
    [[0, 1, 1, 5000, 2, 2, 720_000, 4000]],
    [],
    0,
    720_000,
    null,
    0,
    720_000,
    [],
  ];
  for (const [index, value] of Object.entries(part)) data[Number(index)] = value;
  return data as unknown as DecidedData;
};

function explain(...entries: Entry[]): { record: DecisionRecord; text: string } {
  const record = decisionOf(entries.flatMap((e) => expand(e)));
  if (record === null) throw new Error('nothing was decided');
  return { record, text: explainText(record) };
}

function expectFacts(text: string, facts: readonly string[]): void {
  for (const fact of facts) expect(text).toContain(fact);
}

test('a refusal: who, what, what was known and how old, which pool, what would have helped', () => {
  const { record, text } = explain(
    entry({ seq: 100, count: 2, kind: 'decided', data: decided({}) }),
  );
  expect(record).toMatchObject({ id: 'rl_2s', decision: 'reject', state: 'refused', waited_ms: 0 });
  expectFacts(text, [
    'Agent `crawler-01` asked for GET api.github.com/repos/acme/widgets at 2026-11-21 01:02:03 UTC',
    'identity gh-ci',
    'workload nightly',
    'It was refused at once (RL_MAX_WAIT): the reset is later than the caller waits.',
    `${CORE}: 2 of 5,000 left; 2 held by requests under way; resets in 12 min; last told 4 s before; this needed 1  <- this decided`,
    'No policy rule applied.',
    'It cost nothing',
    `1 more left in ${CORE}`,
    'asking again at 2026-11-21 01:14:03 UTC, 12 min later',
    '`x-ratelord-max-wait: 720`',
    'it allowed 1 min',
    'policy a1b2c3d4e5f6',
  ]);
  expect(text).toMatchInlineSnapshot(`
    "Agent \`crawler-01\` asked for GET api.github.com/repos/acme/widgets at 2026-11-21 01:02:03 UTC
    (provider github, scope repo:acme/widgets, workload nightly, identity gh-ci).

    It was refused at once (RL_MAX_WAIT): the reset is later than the caller waits.

    What was known then:
      - github/gh-ci/core: 2 of 5,000 left; 2 held by requests under way; resets in 12 min; last told 4 s before; this needed 1  <- this decided

    No policy rule applied.

    It cost nothing: it never left this machine.

    What would have let it pass:
      - 1 more left in github/gh-ci/core
      - asking again at 2026-11-21 01:14:03 UTC, 12 min later
      - allowing a wait of 12 min (\`x-ratelord-max-wait: 720\`); it allowed 1 min

    rl_2s: judged once, policy a1b2c3d4e5f6, agent crawler-01, ledger events from 100."
  `);
});

test('a refusal by rule names the rule and what it saw', () => {
  const rules = [
    ['no-writes', 'reject', 0, 'pool.remaining_ratio=0.1'],
    ['not-ever', 'reject', -1, 'not to be retried'],
    ['costs', 'skipped', -1, 'cost.usd is not known'],
  ];
  const { text } = explain(
    entry({
      seq: 100,
      count: 4,
      kind: 'decided',
      data: decided({
        1: 'RL_RULE',
        2: 'writes wait at night',
        12: rules,
        13: -1,
        14: null,
        17: null,
      }),
    }),
  );
  expectFacts(text, [
    '(RL_RULE): writes wait at night',
    `- no-writes refused it for ${CORE}: pool.remaining_ratio=0.1`,
    '- costs was skipped: cost.usd is not known',
    'rule `no-writes` not applying (it saw pool.remaining_ratio=0.1)',
    '- not-ever refused it: not to be retried',
    'rule `not-ever` not applying\n',
  ]);
  expect(text).not.toContain('asking again');
});

test('a request that never fits is told to become smaller, and not to come back', () => {
  const { text } = explain(
    entry({
      seq: 100,
      count: 2,
      kind: 'decided',
      data: decided({
        1: 'RL_TOO_LARGE',
        2: '',
        11: [[0, 9000, 0, 5000, 5000, 0, null, null]],
        14: null,
        17: null,
      }),
    }),
  );
  expectFacts(text, [
    'this needed an estimated 9,000',
    `a smaller request: ${CORE} never holds more than 5,000`,
    'do not repeat it as it is',
  ]);
});

test('a delay that passed: how long it waited, what it cost, what the answer said', () => {
  const woke: WokeData = [
    'pass',
    '',
    '',
    12_400,
    [[0, 1, 1, 5000, 5000, 0, 3_600_000, 20]],
    -1,
    null,
    [],
  ];
  const observed: ObservedData = [
    'head',
    200,
    T0 + 12_600,
    null,
    [[0, 5000, 4999, 1, T0 + 3_600_000, null, 3_600_000, 0, 0]],
    [],
    [],
    -1,
    [],
    [],
  ];
  const ended: EndedData = ['complete', 200, 310, 12_400, 0, 2048, [1200, 0, 300, 0], '', [[0, 1]]];
  const first = entry({
    seq: 100,
    count: 3,
    kind: 'decided',
    data: decided({ 0: 'delay', 1: '', 2: `${CORE} is used up`, 14: 12_000, 17: null }),
  });
  const rest = [
    entry({ seq: 110, count: 1, kind: 'woke', data: woke, at: T0 + 12_400 }),
    entry({ seq: 111, count: 1, kind: 'observed', data: observed, at: T0 + 12_600 }),
    entry({ seq: 112, count: 1, kind: 'ended', data: ended, at: T0 + 12_710 }),
  ];
  const waiting = explain(first);
  expect(waiting.record).toMatchObject({ decision: 'delay', state: 'waiting' });
  expectFacts(waiting.text, ['It is waiting', 'expected to wait 12 s', 'at most 1 min']);
  const { record, text } = explain(first, ...rest);
  expect(record).toMatchObject({ decision: 'delay', state: 'ended', waited_ms: 12_400 });
  expectFacts(text, [
    `It waited 12.4 s and was then sent: ${CORE} is used up.`,
    'expected to wait 12 s',
    'The provider (github) answered 200 after 310 ms.',
    `it was charged 1 of ${CORE} (1,200 tokens in, 300 out)`,
    `${CORE}: 4,999 of 5,000 left, reset at 2026-11-21 02:02:03 UTC`,
    'judged 2 times',
  ]);
});

test('out of turn, and set aside as answers taught: both are said', () => {
  const draw = [0, 1500, 0, 5000, 5000, 0, 3_600_000, 20, null, 1200];
  const woke = ['pass', '', 'it was owed its floor share', 900, [draw], -1, null, []];
  const { record, text } = explain(
    entry({
      seq: 100,
      count: 3,
      kind: 'decided',
      data: decided({ 0: 'delay', 1: '', 11: [draw], 14: 12_000, 17: null }),
    }),
    entry({ seq: 110, count: 1, kind: 'woke', data: woke, at: T0 + 900 }),
  );
  expect(record.verdicts[0]?.pools[0]).toMatchObject({ units: 1500, estimated: 1200 });
  expectFacts(text, [
    ' When it went: it was owed its floor share.',
    'this needed an estimated 1,500 (125 % of the 1,200 counted: so much its answers showed it to charge)',
  ]);
});

test('a wait that ended in a refusal keeps the rules and the limit of the first verdict', () => {
  const woke: WokeData = ['reject', 'RL_PROVIDER_DOWN', 'github is down', 9000, [], -1, 30_000, []];
  const { record, text } = explain(
    entry({
      seq: 100,
      count: 4,
      kind: 'decided',
      data: decided({ 0: 'delay', 12: [['pace', 'pace', -1, '1/s']] }),
    }),
    entry({ seq: 110, count: 1, kind: 'woke', data: woke, at: T0 + 9000 }),
  );
  expect(record).toMatchObject({ decision: 'reject', state: 'refused', waited_ms: 9000 });
  expectFacts(text, [
    'It was refused after waiting 9 s (RL_PROVIDER_DOWN): github is down.',
    '- pace paced it: 1/s',
    'asking again at 2026-11-21 01:02:42 UTC',
  ]);
});

test('a plain pass, one under way, and one nobody named', () => {
  const pass = decided({ 0: 'pass', 1: '', 2: '', 13: -1, 14: null, 17: null });
  const nobody = {
    ...entry({ seq: 100, count: 2, kind: 'decided' as const, data: pass }),
    who: {
      agent: 'sentinel:unknown',
      identity: 'sentinel:unknown',
      workload: 'sentinel:unknown',
      scope: 'sentinel:unknown',
      provider: 'github',
    },
  };
  const { record, text } = explain(nobody);
  expect(record).toMatchObject({ decision: 'pass', state: 'under_way' });
  expectFacts(text, [
    'An agent that gave no name',
    'no credential',
    'It was sent at once',
    'still under way',
  ]);
  expect(text).not.toContain('What would have let it pass');
});

test('in observe mode it says what would have been', () => {
  const { record, text } = explain(
    entry({ seq: 100, count: 2, kind: 'decided', data: decided({ 16: 2 }) }),
  );
  expect(record.state).toBe('under_way');
  expectFacts(text, ['would have been refused (RL_MAX_WAIT)', 'the mode is observe']);
});

test.each([
  ['gone', 'nothing was charged'],
  ['aborted', 'is not known'],
  ['unreachable', 'could not be reached'],
  ['failed', 'no answer came'],
])('the ending `%s` says what it means for the charge', (ending, fact) => {
  const pass = decided({ 0: 'pass', 1: '', 2: '' });
  const ended: EndedData = [ending, 0, 10, 0, 0, 0, null, '', []];
  const { text } = explain(
    entry({ seq: 100, count: 2, kind: 'decided', data: pass }),
    entry({ seq: 102, count: 1, kind: 'ended', data: ended }),
  );
  expect(text).toContain(fact);
});

test('ids: base 36, with a suffix, in capitals, bare numbers; nothing else', () => {
  expect(['rl_2s', ' RL_2S ', 'rl_2s-1', 'rl_2s.retry', '100'].map(requestSeq)).toEqual([
    100, 100, 100, 100, 100,
  ]);
  for (const bad of ['', 'rl_', 'rl_0', '0', '-1', 'rl_-1', 'rl_zzzzzzzzzzzzzz', '1e3', 'ev_2s']) {
    expect(requestSeq(bad), bad).toBeNull();
  }
});

test('quantities in words', () => {
  expect([0, 850, 12_400, 59_990, 200_000, 7_500_000, 400_000_000].map(spanText)).toEqual([
    '0 ms',
    '850 ms',
    '12.4 s',
    '1 min',
    '3 min 20 s',
    '2 h 5 min',
    '4 d 15 h',
  ]);
  expect([0, 999, 1000, 1_234_567, 0.125, -1500].map(countText)).toEqual([
    '0',
    '999',
    '1,000',
    '1,234,567',
    '0.13',
    '-1,500',
  ]);
  expect([momentText('2026-11-21T01:02:03.9Z'), momentText('soon')]).toEqual([
    '2026-11-21 01:02:03 UTC',
    'soon',
  ]);
});
