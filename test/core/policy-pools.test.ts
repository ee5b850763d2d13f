import { describe, expect, it } from 'vitest';
import { agentSettings } from '../../src/core/policy/agents.ts';
import { limitDraws } from '../../src/core/policy/limits.ts';
import { reserveShare } from '../../src/core/policy/reserve.ts';
import type { Draw, PoolSpec } from '../../src/core/claim.ts';
import { policy, subject } from './policy-builder.ts';

const CORE: PoolSpec = {
  provider: 'github',
  name: 'core',
  partition: '',
  unit: 'requests',
  kind: 'fixed',
  source: 'documented',
};
const draw = (changes: Partial<PoolSpec>, units: number): Draw => ({
  spec: { ...CORE, ...changes },
  units,
  sure: true,
});
const NOTHING = { draws: [] };

describe('limitDraws', () => {
  const LIMIT = policy(`
limits:
  - { id: per-agent, match: { agent: "c-*" }, per: [agent], quota: 100 requests / 1h, window: rolling }
`);

  it('makes one shared object per partition', () => {
    const first = limitDraws(LIMIT, subject({ agent: 'c-1' }), NOTHING);
    expect(first).toEqual({
      draws: [
        {
          spec: {
            provider: 'policy',
            name: 'per-agent',
            partition: 'agent:c-1',
            unit: 'requests',
            kind: 'rolling',
            limit: 100,
            windowMs: 3_600_000,
            source: 'policy',
            shared: true,
          },
          units: 1,
          sure: true,
        },
      ],
      skipped: [],
      refused: null,
    });
    const again = limitDraws(LIMIT, subject({ agent: 'c-1' }), NOTHING);
    expect(again.draws[0]?.spec).toBe(first.draws[0]?.spec);
    const other = limitDraws(LIMIT, subject({ agent: 'c-2' }), NOTHING);
    expect(other.draws[0]?.spec.partition).toBe('agent:c-2');
    expect(limitDraws(LIMIT, subject({ agent: 'x' }), NOTHING).draws).toEqual([]);
  });

  it('keeps a bounded number of partitions', () => {
    const spec = (i: number) =>
      limitDraws(LIMIT, subject({ agent: `c-${i}` }), NOTHING).draws[0]?.spec;
    const first = spec(0);
    expect(spec(0)).toBe(first);
    for (let i = 1; i <= 4100; i += 1) spec(i);
    expect(spec(0)).not.toBe(first);
    expect(spec(0)).toEqual(first);
  });

  it.each([
    ['[]', true, ''],
    ['[identity]', false, ''],
    ['[identity, model]', false, 'model:gpt-5'],
    ['[scope, agent]', true, 'scope:repo:a/b,agent:x%2Cscope:y'],
  ])('per %s: shared %s, partition `%s`', (per, shared, partition) => {
    const limits = policy(`limits: [{ id: l, per: ${per}, quota: 1 requests / 1s }]`);
    const who = subject({ agent: 'x,scope:y', model: 'gpt-5', scope: 'repo:a/b' });
    expect(limitDraws(limits, who, NOTHING).draws[0]?.spec).toMatchObject({ shared, partition });
  });

  it.each([
    ['5 requests / 1s', 1, true],
    ['900 tokens / 1m', 121, false],
    ['900 input_tokens / 1m', 101, false],
    ['900 output_tokens / 1m', 20, false],
    ['900 points / 1m', 5, true],
  ])('%s: takes %d, sure: %s', (quota, units, sure) => {
    const limits = policy(`limits: [{ id: l, quota: ${quota} }]`);
    const asking = {
      draws: [draw({ unit: 'points' }, 1), draw({ unit: 'points' }, 5)],
      estimate: { inputTokens: 100.2, outputTokens: 20 },
    };
    expect(limitDraws(limits, subject(), asking).draws).toMatchObject([{ units, sure }]);
  });

  it('leaves alone what has no such units', () => {
    const limits = policy(`
limits:
  - { id: t, quota: 900 tokens / 1m }
  - { id: usd, quota: 20 usd / 1d }
`);
    expect(limitDraws(limits, subject(), NOTHING)).toEqual({
      draws: [],
      skipped: [],
      refused: null,
    });
    expect(limits.limits[1]?.quota).toBe(20_000_000);
  });

  it('takes the most that a request can cost, and refuses what has no bound unless told', () => {
    const text = (unpriced: string) =>
      policy(`limits: [{ id: usd, quota: 20 usd / 1d${unpriced} }]`);
    const money = (bound: number | null) => ({ bound, whyNoBound: 'nobody knows' });
    const known = limitDraws(text(''), subject(), { draws: [], money: money(1234) });
    expect(known.draws).toMatchObject([{ units: 1234, sure: false }]);
    const unknown = { draws: [], money: money(null) };
    expect(limitDraws(text(''), subject(), unknown)).toEqual({
      draws: [],
      skipped: [],
      refused: { rule: 'usd', effect: 'reject', detail: 'nobody knows' },
    });
    expect(limitDraws(text(', unpriced: pass'), subject(), unknown)).toEqual({
      draws: [],
      skipped: [{ rule: 'usd', effect: 'skipped', detail: 'nobody knows' }],
      refused: null,
    });
  });

  it('looks at the pools a request draws on, where it names one', () => {
    const limits = policy(
      'limits: [{ id: s, match: { pool: search }, quota: 6 requests / 1m, window: bucket }]',
    );
    expect(limitDraws(limits, subject(), { draws: [draw({}, 1)] }).draws).toEqual([]);
    const asking = { draws: [draw({}, 1), draw({ name: 'search' }, 1)] };
    expect(limitDraws(limits, subject(), asking).draws).toHaveLength(1);
  });

  it('gives concurrent limits no window', () => {
    const limits = policy('limits: [{ id: c, quota: 8 requests, window: concurrent }]');
    const [first] = limitDraws(limits, subject(), NOTHING).draws;
    expect(first?.spec).not.toHaveProperty('windowMs');
    expect(first?.spec.kind).toBe('concurrent');
  });
});

describe('reserveShare', () => {
  const RESERVED = policy(`
reserve:
  - { id: a, match: { provider: github, pool: core }, for: { priority: high }, share: 10% }
  - { id: b, match: { provider: github }, for: { agent: "prod-*" }, share: 0.25 }
`);

  it.each([
    [{}, 'core', 0.35],
    [{}, 'search', 0.25],
    [{ priority: 'high' }, 'core', 0.25],
    [{ agent: 'prod-1' }, 'core', 0.1],
    [{ agent: 'prod-1', priority: 'high' }, 'core', 0],
    [{ provider: 'openai' }, 'core', 0],
  ] as const)('%o on %s must leave %d', (who, name, share) => {
    expect(reserveShare(RESERVED, subject(who), name)).toBeCloseTo(share);
  });
});

describe('agentSettings', () => {
  const entries = [
    '{ match: "*", priority: background, weight: 2 }',
    '{ match: "prod-*", priority: high }',
    '{ match: prod-7, weight: 9 }',
    '{ match: ["prod-*"], priority: normal }',
  ];

  it.each([
    ['x', { priority: 'background', weight: 2 }],
    ['prod-1', { priority: 'normal', weight: 2 }],
    ['prod-7', { priority: 'normal', weight: 9 }],
  ])('%s: the most specific entry counts, in any order', (agent, expected) => {
    for (const list of [entries, [...entries].reverse()]) {
      expect(agentSettings(policy(`agents: [${list.join(', ')}]`), agent)).toEqual(expected);
    }
  });

  it('says nothing of agents nobody mentions', () => {
    expect(agentSettings(policy('agents: [{ match: a, weight: 3 }]'), 'b')).toEqual({ weight: 1 });
  });
});
