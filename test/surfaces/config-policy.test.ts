import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { afterAll, describe, expect, it } from 'vitest';
import { loadPolicy, parsePolicy } from '../../src/config/policy/load.ts';
import { problemText, type Problem } from '../../src/config/problem.ts';
import { pollFile, PolicyHolder } from '../../src/config/policy/watch.ts';
import { policyCheck } from '../../src/surfaces/cli/commands/policy-check.ts';
import { anyCharacter } from '../characters.ts';

function problems(text: string, names = {}): readonly Problem[] {
  const result = parsePolicy('p.yaml', text, names);
  return result.ok ? [] : result.problems;
}

const REFUSED: readonly (readonly [what: string, text: string, expected: string])[] = [
  [
    'an unknown key',
    'rulez: []',
    'p.yaml:1:1: unknown key `rulez` (known: version, defaults, limits, reserve, agents, rules, prices, pacing); did you mean `rules`?',
  ],
  [
    'an unknown match key',
    'rules:\n  - id: a\n    match: { agnet: x }\n    action: pass',
    'p.yaml:3:14: unknown key `agnet` in `rules[0].match` (known: provider, pool, agent, identity, workload, scope, priority, method, path, model); did you mean `agent`?',
  ],
  [
    'an unknown action',
    'rules: [{ id: a, action: rejct }]',
    'p.yaml:1:26: rules[0].action: unknown action `rejct` (known: pass, warn, delay, defer, reject); did you mean `reject`?',
  ],
  [
    'an unknown name',
    'rules:\n  - { id: a, when: pool.remaning < 3, action: warn }',
    'p.yaml:2:20: condition of rule `a`: unknown name `pool.remaning` (known: id, limit, remaining, remaining_ratio, used, reset_in, utilization, burn_rate, age); did you mean `pool.remaining`?',
  ],
  [
    'an unknown name in quotes',
    'rules:\n  - { id: a, when: "1.0 < ratio", action: warn }',
    'p.yaml:2:27: condition of rule `a`: unknown name `ratio`; did you mean `pool.remaining_ratio`?',
  ],
  [
    'an unknown name in has()',
    'rules: [{ id: a, when: has(pool.limt), action: warn }]',
    'p.yaml:1:28: condition of rule `a`: unknown name `pool.limt` (known: id, limit, remaining, remaining_ratio, used, reset_in, utilization, burn_rate, age); did you mean `pool.limit`?',
  ],
  [
    'matches()',
    'rules: [{ id: a, when: agent.id.matches("(a+)+$"), action: warn }]',
    'p.yaml:1:24: condition of rule `a`: `matches` is refused: a pattern can stall the proxy; did you mean `startsWith`?',
  ],
  [
    'types that do not go together',
    'rules: [{ id: a, when: pool.limit == "x", action: warn }]',
    'p.yaml:1:24: condition of rule `a`: these do not go together: number == string',
  ],
  [
    'a condition that is no truth value',
    'rules: [{ id: a, when: pool.limit, action: warn }]',
    'p.yaml:1:24: condition of rule `a`: the condition gives a number, not true or false',
  ],
  [
    'a syntax error in a condition',
    'rules: [{ id: a, when: pool.limit <, action: warn }]',
    'p.yaml:1:36: condition of rule `a`: syntax: the condition ends too early',
  ],
  [
    'a word that can never be',
    'rules: [{ id: a, when: agent.priority == "hihg", action: warn }]',
    'p.yaml:1:42: condition of rule `a`: `agent.priority` is never `hihg` (known: high, normal, background); did you mean `high`?',
  ],
  [
    'a bad duration',
    'defaults: { max_wait: 60 }',
    'p.yaml:1:23: defaults.max_wait: `60` is no duration: it needs a unit; did you mean `60s`?',
  ],
  [
    'a bad zone',
    'rules: [{ id: a, during: { zone: Europe/Berlni }, action: warn }]',
    'p.yaml:1:34: rules[0].during.zone: unknown time zone `Europe/Berlni`: use an IANA name; did you mean `Europe/Berlin`?',
  ],
  [
    'a bad day',
    'rules: [{ id: a, during: { days: [mon, tues] }, action: warn }]',
    'p.yaml:1:34: rules[0].during.days: unknown day `tues` (known: mon, tue, wed, thu, fri, sat, sun); did you mean `tue`?',
  ],
  [
    'an empty period',
    'rules: [{ id: a, during: { from: "06:00", to: "06:00" }, action: warn }]',
    'p.yaml:1:34: the period is empty: `from` and `to` must differ, or leave both out',
  ],
  [
    'a time that is not',
    'rules: [{ id: a, during: { from: "25:00" }, action: warn }]',
    'p.yaml:1:34: rules[0].during.from: `25:00` is no time of day: write it like `22:00`',
  ],
  [
    'a bad quota',
    'limits: [{ id: a, quota: 100 / 1h }]',
    'p.yaml:1:26: limits[0].quota: `100 / 1h` is no quota: write it like `100 requests / 1h`',
  ],
  [
    'a bad unit',
    'limits: [{ id: a, quota: 100 reqests / 1h }]',
    'p.yaml:1:26: limits[0].quota: unknown unit `reqests` in quota `100 reqests / 1h` (known units: requests, tokens, input_tokens, output_tokens, points, usd); did you mean `requests`?',
  ],
  [
    'half a request',
    'limits: [{ id: a, quota: 1.5 requests / 1h }]',
    'p.yaml:1:26: limits[0].quota: `1.5 requests / 1h` is no quota: requests are counted in whole units',
  ],
  [
    'a quota without window',
    'limits: [{ id: a, quota: 100 requests }]',
    'p.yaml:1:26: the quota has no window; did you mean `100 requests / 1h`?',
  ],
  [
    'a window without length',
    'limits: [{ id: a, quota: 100 requests / 0s }]',
    'p.yaml:1:26: limits[0].quota: quota `100 requests / 0s` has a window without length',
  ],
  [
    'a window of concurrency',
    'limits: [{ id: a, quota: 5 requests / 1h, window: concurrent }]',
    'p.yaml:1:26: a concurrent limit has no window; did you mean `5 requests`?',
  ],
  [
    'an unknown window',
    'limits: [{ id: a, quota: 5 requests / 1h, window: sliding }]',
    'p.yaml:1:51: limits[0].window: unknown window `sliding` (known: fixed, bucket, rolling, concurrent); did you mean `rolling`?',
  ],
  [
    'a duplicate id',
    'rules:\n  - { id: a, action: pass }\n  - { id: a, action: warn }',
    'p.yaml:3:11: duplicate id `a`: line 2 has it already',
  ],
  ['a duplicate key', 'version: 1\nversion: 1', 'p.yaml:2:1: map keys must be unique'],
  [
    'too much reserved',
    'reserve:\n  - { id: a, for: { priority: high }, share: 60% }\n  - { id: b, for: { agent: x }, share: 60% }',
    'p.yaml:3:40: 120% of the same pools would be reserved',
  ],
  [
    'a share that is none',
    'reserve: [{ id: a, for: { priority: high }, share: 10 }]',
    'p.yaml:1:52: reserve[0].share: `10` is no share: it must be above 0% and at most 100%; did you mean `10%`?',
  ],
  [
    'a delay without length',
    'rules: [{ id: a, action: delay }]',
    'p.yaml:1:26: `delay` needs to know how long: write `with: { for: 2s }` or `with: { pace: 10/s }`',
  ],
  [
    'an unknown `with`',
    'rules: [{ id: a, action: reject, with: { retry: auto } }]',
    'p.yaml:1:42: unknown key `retry` in `rules[0].with` (known: retry_after); did you mean `retry_after`?',
  ],
  [
    '`with` where nothing is taken',
    'rules: [{ id: a, action: pass, with: { for: 1s } }]',
    'p.yaml:1:32: `pass` takes nothing in `with`',
  ],
  [
    'an unknown provider',
    'rules: [{ id: a, match: { provider: gihub }, action: pass }]',
    'p.yaml:1:37: unknown provider `gihub` (known: github, openai); did you mean `github`?',
  ],
  [
    'an unquoted star',
    'rules: [{ id: a, match: { agent: *x }, action: pass }]',
    'p.yaml:1:34: unresolved alias (the anchor must be set before the alias): x (a value that begins with `*` needs quotes)',
  ],
  ['another version', 'version: 2', 'p.yaml:1:10: version: must be `1`, not `2`'],
  ['a missing id', 'rules: [{ action: pass }]', 'p.yaml:1:9: rules[0].id: a value is missing'],
  ['no YAML at all', 'rules: [', 'p.yaml:1:9:'],
  ['a list', '- 1', 'p.yaml:1:1: must be a map of keys and values'],
  ['an empty file', '# nothing\n', 'p.yaml:1:1: the policy is empty: begin with `version: 1`'],
];

describe('a policy file', () => {
  it.each(REFUSED)('is refused with %s', (_what, text, expected) => {
    const found = problems(text, { providers: ['github', 'openai'] });
    expect(found.map(problemText)).toEqual([expect.stringContaining(expected)]);
  });

  it('is told everything that is wrong at once', () => {
    const text = 'rules:\n  - { id: a, acton: pass, when: nope }\n  - { id: b, action: hold }';
    expect(problems(text).map(({ line, column }) => [line, column])).toEqual([
      [2, 5],
      [2, 14],
      [2, 33],
      [3, 22],
    ]);
  });

  it.each([
    'pool.remaining < 500',
    '500 > pool.remaining',
    'pool.remaining == 500 || pool.remaining != 3',
    'pool.remaining_ratio < 0.25',
    'pool.limit * 2 > 10 && 2 * pool.limit + 1 - 1 >= 0x10',
    'pool.limit / 10 <= pool.used % 7',
    'time.hour in [1, 2, 3] || time.hour in [1.0]',
    'size(agent.id) == 3 || agent.id.size() > 2.5',
    '["a", "b"].exists(p, agent.id.startsWith(p))',
    'has(pool.limit) ? pool.limit > -1 : provider.degraded',
    '"true"  == agent.id',
  ])('may say %s', (when) => {
    expect(problems(`rules: [{ id: a, when: ${JSON.stringify(when)}, action: warn }]`)).toEqual([]);
  });

  it.each([
    'dyn(pool).x == 1',
    'pool["limit"] < 3.0',
    'cel.bind(x, pool.limit, x > 1.0)',
    'constructor == 1',
    'pool.constructor == 1',
    'pool.__proto__ == 1',
    'agent.id.split("").size() > 1',
    '[1, 2].map(x, x).size() > 1',
    '[1].all(x, [2].all(y, x < y))',
    'pool.limit == null',
    '{"a": 1}.a == 1',
    'pool == pool',
    `"${'a'.repeat(3000)}" == agent.id`,
    `${'('.repeat(100)}true${')'.repeat(100)}`,
  ])('may not say %s', (when) => {
    expect(problems(`rules: [{ id: a, when: ${JSON.stringify(when)}, action: warn }]`)).not.toEqual(
      [],
    );
  });

  it('may ask for forecasts, about pools', () => {
    const text = 'rules:\n  - { id: a, when: 3 > forecast.p90, action: warn }';
    const result = parsePolicy('p.yaml', text);
    expect(result.ok && result.notices.map(problemText)).toEqual([]);
    expect(result.ok && result.policy.rules[0]?.when?.perPool).toBe(true);
  });

  it('is identified by a digest of its text', () => {
    const hash = (text: string) => {
      const result = parsePolicy('p.yaml', text);
      return result.ok ? result.policy.hash : '';
    };
    expect(hash('version: 1')).toMatch(/^[0-9a-f]{64}$/);
    expect(hash('version: 1')).not.toBe(hash('version: 1 '));
  });

  it('never makes the loader throw, whatever is in it', () => {
    const key = fc.oneof(
      fc.constantFrom('version', 'rules', 'limits', 'reserve', 'agents', 'defaults', 'id', 'match'),
      fc.constantFrom('when', 'action', 'with', 'during', 'quota', 'share', 'for', '__proto__'),
      fc.string({ maxLength: 5 }),
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom('reject', 'delay', 'pool.limit < 3', '100 requests / 1h', '10%', 1, null),
        fc.string(),
        fc.double(),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(key, tie('any'), { maxKeys: 5 }),
      ),
    })).any;
    const text = fc.oneof(
      value.map((tree) => stringify(tree)),
      fc.string({ unit: anyCharacter, maxLength: 200 }),
      fc.string({ unit: fc.constantFrom(...'{}[]:-,&*!|>\'"%@#? \n\tab1'), maxLength: 60 }),
    );
    fc.assert(
      fc.property(text, (source) => {
        const result = parsePolicy('f.yaml', source);
        expect(result.ok || result.problems.length > 0).toBe(true);
        if (!result.ok) for (const problem of result.problems) problemText(problem);
      }),
      { numRuns: 800 },
    );
  });

  it('never makes the loader throw by its conditions', () => {
    const pieces =
      'pool . limit pool.limit agent.id < == && ! ( ) [ ] "x" 1 0.5 has( size( .exists( x , in ? : null { }';
    const piece = fc.constantFrom(...pieces.split(' '));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const source = `rules: [{ id: a, when: ${JSON.stringify(pieces.join(' '))}, action: warn }]`;
        const result = parsePolicy('f.yaml', source);
        expect(result.ok || result.problems.length > 0).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('survives aliases that multiply', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i += 1) {
      const before = String.fromCharCode(96 + i);
      const name = String.fromCharCode(97 + i);
      bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(', ')}]`);
    }
    expect(problems(bomb.join('\n'))).not.toEqual([]);
  });
});

describe('odd YAML', () => {
  it.each([
    'rules: &a [*a]',
    'rules: &a [{ id: *a }]',
    'rules: [{ id: a, action: warn, with: &w { x: *w } }]',
    'rules: [{ ? [1] : 2 }]',
    '{ __proto__: { rules: 1 } }',
    '--- 1\n--- 2',
    '\ufeffversion: 2',
    'rules: [{ id: a, match: { agent: !x y }, action: warn }]',
    'version: !!binary aGk=',
  ])('%s is refused', (text) => {
    expect(problems(text)).not.toEqual([]);
  });
});

describe('a running policy', () => {
  const folder = mkdtempSync(join(tmpdir(), 'policy-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is replaced by a good file and kept when the file is broken', () => {
    const path = join(folder, 'p.yaml');
    writeFileSync(path, 'version: 1');
    const first = loadPolicy(path);
    if (!first.ok) throw new Error('cannot load');
    const seen: string[] = [];
    let changed = () => {};
    let closed = false;
    const holder = new PolicyHolder({
      path,
      policy: first.policy,
      onPolicy: (policy) => seen.push(`rules ${policy.rules.length}`),
      onRefused: (found) => seen.push(found.map(problemText).join()),
      watch: (_path, callback) => {
        changed = callback;
        return { close: () => (closed = true) };
      },
    });
    expect(holder.reload()).toBe('unchanged');
    writeFileSync(path, 'rules: [{ id: a, action: warn }]');
    changed();
    const second = holder.policy;
    expect(second.rules).toHaveLength(1);
    writeFileSync(path, 'rules: [{ id: a, action: wran }]');
    expect(holder.reload()).toBe('refused');
    expect(holder.policy).toBe(second);
    rmSync(path);
    changed();
    expect(holder.policy).toBe(second);
    expect(seen).toEqual([
      'rules 1',
      expect.stringContaining('p.yaml:1:26: rules[0].action: unknown action `wran`'),
      expect.stringContaining('there is no such file'),
    ]);
    holder.close();
    expect(closed).toBe(true);
  });

  it('is looked at again when its file is replaced', async () => {
    const path = join(folder, 'watched.yaml');
    writeFileSync(path, 'version: 1');
    let length = 0;
    const changed = new Promise<void>((resolve) => {
      const watcher = pollFile(5)(path, () => {
        watcher.close();
        resolve();
      });
      // Written again and again, longer each time: the first look may come late.
      const writer = setInterval(() => {
        writeFileSync(`${path}.new`, `# ${'x'.repeat((length += 1))}`);
        renameSync(`${path}.new`, path);
      }, 5);
      void Promise.resolve().then(() => changed.finally(() => clearInterval(writer)));
    });
    await changed;
    expect(length).toBeGreaterThan(0);
  });

  it('is checked before it runs', () => {
    const good = join(folder, 'good.yaml');
    const broken = join(folder, 'broken.yaml');
    writeFileSync(good, 'rules: [{ id: a, when: forecast.margin > 1, action: warn }]');
    writeFileSync(broken, 'rules:\n  - { id: a, when: pool.remainin > 1, action: warn }');
    expect(policyCheck({ files: [good] })).toEqual({
      exitCode: 0,
      lines: [`${good}: ok (1 rule)`],
    });
    const both = policyCheck({ files: [broken, good, join(folder, 'none.yaml')] });
    expect(both.exitCode).toBe(1);
    expect(both.lines[0]).toBe(`${broken}: 1 problem`);
    expect(both.lines[1]).toMatch(/broken\.yaml:2:20: .*did you mean `pool\.remaining`\?$/);
    expect(both.lines.at(-1)).toMatch(/none\.yaml: there is no such file$/);
  });
});
