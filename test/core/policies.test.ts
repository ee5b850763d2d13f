/** Decision tables: what the packs in `policies/` do, row by row. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadPolicy } from '../../src/config/policy/load.ts';
import { evaluate } from '../../src/core/policy/evaluate.ts';
import { limitDraws } from '../../src/core/policy/limits.ts';
import { Protection } from '../../src/core/governor/protection.ts';
import type { LiveRequest } from '../../src/core/governor/request.ts';
import { DEFAULT_PACING, pacingOf } from '../../src/core/policy/pacing.ts';
import { makePool } from '../../src/core/quota/make.ts';
import { agentSettings } from '../../src/core/policy/agents.ts';
import { reserveShare } from '../../src/core/policy/reserve.ts';
import type { Readings } from '../../src/core/policy/readings.ts';
import type { CompiledPolicy, PolicyVerdict, Subject } from '../../src/core/policy/types.ts';
import { HOURLY } from './protection-sim.ts';
import { NOON, pool, readings, subject } from './policy-builder.ts';

const FOLDER = fileURLToPath(new URL('../../policies/', import.meta.url));

function pack(name: string): CompiledPolicy {
  const result = loadPolicy(`${FOLDER}${name}.yaml`, { providers: ['github', 'openai'] });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.policy;
}

/** who, what is known, the outcome, and the rules that count: `rule:effect`. */
type Row = readonly [Partial<Subject>, Readings, PolicyVerdict['outcome'], readonly string[]];

const NEW = readings([{ name: 'core' }]);
const core = (left: number) => readings([pool('core', left, 5000, 1800)]);
const openai = (tokens: number, changes: Partial<Readings> = {}) =>
  readings([pool('requests', 400, 500, 60), pool('tokens', tokens, 100_000, 60)], changes);
const day = (spent: number, changes: Partial<Readings> = {}) =>
  readings([pool('day-dollars', 100 - spent, 100, 3600)], {
    cost: () => ({ usd: 0.01, spent: 0.5 }),
    ...changes,
  });
const AI = { provider: 'openai', method: 'POST', path: '/v1/responses', model: 'gpt-5' } as const;

const TABLES: Readonly<Record<string, readonly Row[]>> = {
  default: [
    [{}, NEW, 'pass', ['running-low:skipped']],
    [{}, core(4000), 'pass', []],
    [{}, core(499), 'pass', ['running-low:warn']],
    [{ method: 'DELETE', priority: 'background' }, core(4000), 'pass', []],
  ],
  'solo-developer': [
    [{}, core(4000), 'pass', []],
    [{}, core(1400), 'delay', ['stretch-what-is-left:pace']],
    [{ priority: 'high' }, core(1400), 'pass', []],
    [{ method: 'PATCH' }, core(4000), 'delay', ['one-write-a-second:pace']],
    [{ method: 'PATCH', agent: 'me' }, core(4000), 'pass', []],
    [{ priority: 'high' }, core(700), 'pass', ['running-low:warn']],
  ],
  'ci-fleet': [
    [{ agent: 'ci-build-1' }, core(1000), 'pass', []],
    // What is kept of a quota, and what is spread, depends on who asked before: see `pacing` below.
    [{ agent: 'ci-lint-1', priority: 'background' }, core(1000), 'pass', []],
    [{ agent: 'ci-build-1', method: 'POST' }, core(4000), 'delay', ['writes-in-step:pace']],
    [
      { agent: 'ci-build-1', method: 'DELETE', path: '/repos/acme/site' },
      core(4000),
      'reject',
      ['writes-in-step:pace', 'no-repository-deletion:reject'],
    ],
    [
      { agent: 'ci-build-1', method: 'DELETE', path: '/repos/acme/site/git/refs/heads/x' },
      core(4000),
      'delay',
      ['writes-in-step:pace'],
    ],
    [{ agent: 'ci-build-1' }, core(499), 'pass', ['running-low:warn']],
    [{ agent: 'me', method: 'DELETE', path: '/repos/acme/site' }, core(4000), 'pass', []],
  ],
  'many-agents-one-key': [
    [{ ...AI }, openai(90_000), 'pass', []],
    [{ ...AI, priority: 'background' }, openai(30_000), 'delay', ['background-spreads:pace']],
    [{ ...AI, priority: 'normal' }, openai(30_000), 'pass', []],
    [{ ...AI }, openai(90_000, { units: 60_000 }), 'pass', ['giant-request:warn']],
    [
      { ...AI, priority: 'background' },
      openai(90_000, { degraded: true }),
      'reject',
      ['stand-back-when-degraded:reject'],
    ],
    [{ ...AI, priority: 'high' }, openai(90_000, { degraded: true }), 'pass', []],
  ],
  'budget-watch': [
    [{ ...AI }, day(10), 'pass', ['running-out-today:skipped']],
    [{ ...AI }, day(60), 'pass', ['half-spent:warn', 'running-out-today:skipped']],
    [
      { ...AI, model: 'gpt-5-pro' },
      day(85),
      'reject',
      ['half-spent:warn', 'large-models-when-tight:reject', 'running-out-today:skipped'],
    ],
    [
      { ...AI, model: 'gpt-5-pro', priority: 'high' },
      day(85),
      'pass',
      ['half-spent:warn', 'running-out-today:skipped'],
    ],
    [
      { ...AI, priority: 'background' },
      day(75, { cost: () => ({ usd: 3, spent: 12 }) }),
      'reject',
      [
        'half-spent:warn',
        'background-stops:reject',
        'running-out-today:skipped',
        'dear-request:warn',
        'agent-spends-much:warn',
      ],
    ],
    [
      { ...AI, model: 'unheard-of' },
      day(10, { cost: () => ({ usd: null, spent: 1 }) }),
      'pass',
      ['running-out-today:skipped', 'dear-request:skipped'],
    ],
  ],
};

describe.each(Object.entries(TABLES))('policies/%s.yaml', (name, rows) => {
  const policy = pack(name);
  it.each(rows)('%o, %o: %s', (who, known, outcome, rules) => {
    const verdict = evaluate(policy, subject(who), known, NOON);
    const counted = verdict.rules.map((finding) => `${finding.rule}:${finding.effect}`);
    expect([verdict.outcome, [...counted].sort()]).toEqual([outcome, [...rules].sort()]);
  });
});

describe('policies', () => {
  it('has a table for every pack', () => {
    const packs = readdirSync(FOLDER).filter((file) => file.endsWith('.yaml'));
    expect(packs.map((file) => file.replace('.yaml', '')).sort()).toEqual(
      Object.keys(TABLES).sort(),
    );
  });

  it('leaves nothing to remark', () => {
    for (const name of Object.keys(TABLES)) {
      const result = loadPolicy(`${FOLDER}${name}.yaml`);
      expect(result.ok && result.notices.length).toBe(0);
    }
  });

  it.each([
    ['default', { agent: 'ci-1' }, []],
    ['ci-fleet', { agent: 'ci-1' }, ['per-job', 'fleet-concurrency']],
    ['ci-fleet', { agent: 'someone' }, []],
    ['many-agents-one-key', { ...AI }, ['tokens-per-agent', 'streams-per-agent']],
    ['budget-watch', { ...AI }, ['day-dollars', 'day-dollars-per-agent']],
  ])('%s draws for %o on %o', (name, who, names) => {
    const asking = {
      draws: [],
      estimate: { inputTokens: 10, outputTokens: 5 },
      money: { bound: 75, whyNoBound: '' },
    };
    const { draws } = limitDraws(pack(name), subject(who), asking);
    expect(draws.map((draw) => draw.spec.name)).toEqual(names);
  });

  it.each([
    ['solo-developer', {}, 'core', 0.2],
    ['solo-developer', { priority: 'high' }, 'core', 0],
    ['ci-fleet', { agent: 'ci-build-1' }, 'graphql', 0.05],
    ['ci-fleet', { agent: 'ci-release-1' }, 'graphql', 0],
    ['many-agents-one-key', { provider: 'openai' }, 'tokens', 0.25],
    ['budget-watch', { provider: 'openai' }, 'day-dollars', 0.1],
  ] as const)('%s: %o leaves of %s a share of %d', (name, who, poolName, share) => {
    expect(reserveShare(pack(name), subject(who), poolName)).toBe(share);
  });

  it.each([
    ['default', DEFAULT_PACING],
    ['solo-developer', DEFAULT_PACING],
    ['budget-watch', DEFAULT_PACING],
    ['many-agents-one-key', { ...DEFAULT_PACING, floor: 0.05 }],
    [
      'ci-fleet',
      {
        protect: true,
        values: { high: 20, normal: 4, background: 1 },
        floor: 0.02,
        spread: { when: 0.5, classes: ['background'], burst: 0.02 },
      },
    ],
  ])('%s: keeps and spreads by %o', (name, expected) => {
    expect(pacingOf(pack(name))).toEqual(expected);
  });

  it('keeps for releases what they asked before, in the CI pack', () => {
    const made = makePool('core', { ...HOURLY, limit: 5000 }, 'a');
    const protection = new Protection({ policy: pack('ci-fleet') });
    const start = 1_700_006_400_000;
    for (let i = 0; i < 1000; i++) made.asked(0, 1, start + i * 3600);
    const now = start + 3_600_000;
    made.settle(made.hold(4300, now), 4300, now, false);
    const draw = { pool: made, units: 1, sure: true, keepShare: 0.05 };
    const ask = (priority: 'normal' | 'background', rank: number) => {
      const asked = { priority, rank, draws: [draw], arrivedWall: now, maxWaitMs: 300_000 };
      const request = { ...asked, party: { identity: 'a' } } as unknown as LiveRequest;
      protection.holdsBackUntil(request, draw, now);
      protection.sent(request, now);
      return protection.words(request, draw, now);
    };
    expect(ask('background', 2)).toMatch(/^kept for `high`: \d+ of 5000/);
    expect(ask('normal', 1)).toMatch(/^kept for `high`: \d+ of 5000/);
  });

  it.each([
    ['solo-developer', 'me', { priority: 'high', weight: 4 }],
    ['ci-fleet', 'ci-docs-9', { priority: 'background', weight: 1 }],
    ['many-agents-one-key', 'chat-1', { priority: 'high', weight: 3 }],
  ])('%s: %s is %o', (name, agent, settings) => {
    expect(agentSettings(pack(name), agent)).toEqual(settings);
  });
});
