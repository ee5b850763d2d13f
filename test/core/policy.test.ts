import { describe, expect, it } from 'vitest';
import { judge, pool, readings } from './policy-builder.ts';
import { evaluate } from '../../src/core/policy/evaluate.ts';
import { compileMatch } from '../../src/core/policy/match.ts';
import type { CompiledPolicy } from '../../src/core/policy/types.ts';
import { NOON, SUBJECT } from './policy-builder.ts';

const LOW = readings([pool('core', 100, 5000), pool('search', 25, 30)]);

const POOL_REF = { id: 'tokens@1', name: 'tokens' };

describe('evaluate', () => {
  it('passes when nothing matches, without making anything', () => {
    const text = 'rules: [{ id: a, match: { provider: openai }, action: reject }]';
    expect(judge(text)).toBe(judge(text));
    expect(judge(text).outcome).toBe('pass');
  });

  it.each([
    ['pass', 'pass', 'pass'],
    ['warn', 'pass', 'warn'],
    ['delay, with: { for: 2s }', 'delay', 'delay'],
    ['delay, with: { pace: 10/s }', 'delay', 'pace'],
    ['delay, with: { pace: spread }', 'delay', 'pace'],
    ['defer', 'delay', 'defer'],
    ['reject', 'reject', 'reject'],
  ])('action %s makes the outcome %s', (action, outcome, effect) => {
    const verdict = judge(`rules: [{ id: a, match: { pool: core }, action: ${action} }]`, {}, LOW);
    expect(verdict.outcome).toBe(outcome);
    expect(verdict.rules).toMatchObject([{ rule: 'a', effect, pool: 'core@1' }]);
  });

  it('lets the strictest rule win and lists all that decided', () => {
    const verdict = judge(`
rules:
  - { id: allow, action: pass }
  - { id: slow, action: delay, with: { for: 1s } }
  - { id: stop, action: reject, with: { retry_after: 30s }, reason: stop it }
  - { id: slower, action: delay, with: { for: 5s } }
`);
    expect(verdict.outcome).toBe('reject');
    expect(verdict.retryAfter).toBe(30_000);
    expect(verdict.delayMs).toBe(5000);
    expect(verdict.decidedBy).toMatchObject({ rule: 'stop', reason: 'stop it' });
    expect(verdict.rules.map((finding) => finding.rule)).toEqual([
      'allow',
      'slow',
      'stop',
      'slower',
    ]);
  });

  it('refuses for good when one of several refusals does', () => {
    const rules = ['auto', 'never', '90s'].map(
      (retry, i) => `  - { id: r${i}, action: reject, with: { retry_after: ${retry} } }`,
    );
    expect(judge(`rules:\n${rules.join('\n')}`).retryAfter).toBe('never');
    expect(judge(`rules:\n${[rules[0], rules[2]].join('\n')}`).retryAfter).toBe(90_000);
  });

  it('tries a rule about pools against each pool, with the readings it saw', () => {
    const text =
      'rules: [{ id: low, when: pool.remaining_ratio < 0.1, action: warn, reason: low }]';
    const verdict = judge(text, {}, LOW);
    expect(verdict.warnings).toEqual(['low']);
    expect(verdict.rules).toEqual([
      {
        rule: 'low',
        effect: 'warn',
        pool: 'core@1',
        reason: 'low',
        detail: 'pool.remaining_ratio=0.02',
      },
    ]);
  });

  it('skips visibly what needs a value that is not known', () => {
    const text = 'rules: [{ id: low, when: pool.remaining_ratio < 0.1, action: reject }]';
    const unknown = judge(text, {}, readings([{ name: 'core' }, { name: 'search' }]));
    expect(unknown.outcome).toBe('pass');
    expect(unknown.rules).toMatchObject([
      { effect: 'skipped', detail: 'pool.remaining_ratio is not known now for core, search' },
    ]);
    const later = 'rules: [{ id: f, when: forecast.p90 < 60 || cost.usd > 1, action: reject }]';
    expect(judge(later, {}, LOW).rules).toMatchObject([{ rule: 'f', effect: 'skipped' }]);
    expect(judge(text, {}, readings()).rules).toMatchObject([{ effect: 'skipped' }]);
  });

  it('still decides on the pools that are known', () => {
    const text = 'rules: [{ id: low, when: pool.remaining_ratio < 0.1, action: reject }]';
    const verdict = judge(text, {}, readings([{ name: 'search' }, pool('core', 1, 100)]));
    expect(verdict.outcome).toBe('reject');
    expect(verdict.rules.map(({ effect, pool: id }) => [effect, id])).toEqual([
      ['reject', 'core@1'],
      ['skipped', 'search@1'],
    ]);
  });

  it('asks with has() about what may not be known', () => {
    const text =
      'rules: [{ id: blind, match: { pool: core }, when: "!has(pool.remaining)", action: warn }]';
    expect(judge(text, {}, readings([{ name: 'core' }])).rules).toMatchObject([{ effect: 'warn' }]);
    expect(judge(text, {}, LOW).rules).toEqual([]);
  });

  it('defers to the pool that resets last', () => {
    const both = readings([pool('core', 0, 10, 30), pool('search', 0, 10, 90)]);
    const verdict = judge('rules: [{ id: d, action: defer }]', {}, both);
    expect(verdict).toMatchObject({ outcome: 'delay', deferTo: 'search@1' });
  });

  it('skips a deferral without a reset to wait for', () => {
    const verdict = judge('rules: [{ id: d, action: defer }]', {}, readings([{ name: 'core' }]));
    expect(verdict.outcome).toBe('pass');
    expect(verdict.rules).toMatchObject([
      { effect: 'skipped', detail: 'pool.reset_in is not known now' },
    ]);
  });

  it('spreads what remains over the time to the reset, in requests', () => {
    const text = 'rules: [{ id: s, action: delay, with: { pace: spread } }]';
    const state = { ...pool('tokens', 6000, 10_000, 60), units: 50 };
    expect(judge(text, {}, readings([state])).pace).toEqual({
      rule: 's',
      perSecond: 2,
      pool: 'tokens@1',
      units: 50,
      resetInMs: 60_000,
    });
    // What is reserved for others is none of it; a part of the rest may go at once.
    const bursting = text.replace('spread }', 'spread, burst: 10% }');
    const reserved = readings([state], { pools: [{ ...POOL_REF, units: 50, kept: 3000 }] });
    expect(judge(bursting, {}, reserved).pace).toMatchObject({ perSecond: 1, burst: 300 });
    const empty = judge(text, {}, readings([pool('tokens', 0, 10, 60)]));
    expect(empty).toMatchObject({ pace: null, deferTo: 'tokens@1', outcome: 'delay' });
  });

  it('keeps every pace and names the slowest', () => {
    const verdict = judge(`
rules:
  - { id: fast, action: delay, with: { pace: 10/s } }
  - { id: slow, action: delay, with: { pace: 30/1m } }
`);
    expect(verdict.paces.map((pace) => pace.rule)).toEqual(['fast', 'slow']);
    expect(verdict.pace).toEqual({ rule: 'slow', perSecond: 0.5 });
  });

  it.each(['skip', 'reject'] as const)(
    'follows on_fault: %s when a condition faults',
    (onFault) => {
      const text = `
defaults: { on_fault: ${onFault} }
rules: [{ id: odd, when: 'int(agent.id) > 3', action: warn }]
`;
      const verdict = judge(text);
      expect(verdict.outcome).toBe(onFault === 'skip' ? 'pass' : 'reject');
      expect(verdict.rules).toMatchObject([{ rule: 'odd', effect: 'faulted' }]);
    },
  );

  it('survives a condition that throws anything', () => {
    const broken: CompiledPolicy = {
      hash: '',
      source: '',
      defaults: { maxWaitMs: 0, priority: 'normal' },
      limits: [],
      reserves: [],
      agents: [],
      onFault: 'skip',
      rules: [
        {
          id: 'x',
          match: compileMatch({}),
          during: null,
          when: {
            source: '',
            reads: [],
            test() {
              throw new RangeError('out\nof range');
            },
          },
          action: { kind: 'reject', retryAfter: 'auto' },
          reason: '',
        },
      ],
    };
    const verdict = evaluate(broken, SUBJECT, readings(), NOON);
    expect(verdict.rules).toMatchObject([{ effect: 'faulted', detail: 'condition failed: out' }]);
  });

  it('sees the request, agent, provider and UTC time', () => {
    const when = [
      'request.method == "GET"',
      'request.path.startsWith("/user")',
      'request.bytes == 0',
      'agent.id.endsWith("-1")',
      'agent.weight >= 1',
      'identity.kind == "user"',
      '!provider.degraded',
      'time.hour == 12',
      'time.weekday == "wed"',
    ].join(' && ');
    expect(judge(`rules: [{ id: a, when: '${when}', action: warn }]`).rules).toMatchObject([
      { effect: 'warn' },
    ]);
  });
});

describe('match', () => {
  const holds = (match: string, who: Parameters<typeof judge>[1]) =>
    judge(`rules: [{ id: a, match: ${match}, action: reject }]`, who).outcome === 'reject';

  it.each([
    ['{ agent: "ci-*" }', { agent: 'ci-1' }, true],
    ['{ agent: "ci-*" }', { agent: 'xci-1' }, false],
    ['{ agent: [a, "b?"] }', { agent: 'b1' }, true],
    ['{ agent: [a, "b?"] }', { agent: 'b' }, false],
    ['{ agent: "!me" }', { agent: 'me' }, false],
    ['{ agent: ["c-*", "!c-9"] }', { agent: 'c-9' }, false],
    ['{ agent: ["c-*", "!c-9"] }', { agent: 'c-8' }, true],
    ['{ method: [post, PUT] }', { method: 'POST' }, true],
    ['{ scope: "repo:acme/*" }', { scope: 'repo:Acme/Site' }, true],
    ['{ path: "/repos/*/issues" }', { path: '/repos/o/r/issues' }, true],
    ['{ path: "/repos/*/issues" }', { path: '/repos/o/r/issues/1' }, false],
    ['{ path: "*a*b*" }', { path: 'xxaxxbxx' }, true],
    ['{ provider: [github, openai], priority: high }', { priority: 'high' }, true],
    ['{ provider: openai }', { provider: 'github' }, false],
    ['{ model: "gpt-*", workload: w, identity: i }', { model: 'gpt-5', workload: 'w' }, false],
  ] as const)('%s against %o: %s', (match, who, expected) => {
    expect(holds(match, who)).toBe(expected);
  });

  it('takes time in proportion on patterns made to backtrack', () => {
    const path = `/${'a'.repeat(20_000)}`;
    expect(holds(`{ path: "${'*a'.repeat(30)}*b" }`, { path })).toBe(false);
  });
});
