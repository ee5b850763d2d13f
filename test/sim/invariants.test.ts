/** Measures that are the simulator's own, on runs made by hand. */
import { describe, expect, it } from 'vitest';
import { judge } from '../../src/sim/invariants.ts';
import type { Invariant } from '../../src/sim/scenario.ts';
import type { RunRecord } from '../../src/sim/simulation.ts';
import type { Job, Outcome, UpstreamCall, UpstreamPool } from '../../src/sim/types.ts';
import { EMPTY_POLICY } from '../core/world.ts';
import { request } from './upstream-kit.ts';

const pool: UpstreamPool = {
  name: 'core',
  identity: 'bot',
  kind: 'fixed',
  unit: 'requests',
  limit: 10,
  windowMs: 1000,
};

interface Done {
  readonly agent?: string;
  readonly arrivedAt: number;
  /** When its request left; `null` = it was lost, at `lostAt`. */
  readonly sentAt: number | null;
  readonly lostAt?: number;
  /** 0 = its client was never answered, and hung up. */
  readonly lostStatus?: number;
  readonly priority?: Job['priority'];
}

/** A run in which those jobs were done, in one window from 0 to 1000 with so many units taken. */
function record(done: readonly Done[], own: number, asserted: Partial<Invariant>): RunRecord {
  const outcomes: Outcome[] = [];
  const calls: UpstreamCall[] = [];
  for (const one of done) {
    const { agent = 'a', arrivedAt, sentAt, lostAt = 0, priority = 'normal' } = one;
    const lostStatus = one.lostStatus ?? 403;
    const cost = { units: { core: 1 }, inputTokens: 0, outputTokens: 0 };
    const sent = request({ agent, arrivedAt, priority, maxWaitMs: 500, cost });
    const at = sentAt ?? lostAt;
    const end = sentAt === null ? 'lost' : 'served';
    outcomes.push({
      job: sent.job,
      end,
      at,
      attempts: 1,
      lastStatus: end === 'lost' ? lostStatus : 200,
    });
    if (sentAt === null) continue;
    calls.push({
      at: sentAt,
      wall: sentAt,
      sentAt,
      identity: 'bot',
      request: sent,
      status: 200,
      refused: false,
      refusedBy: '',
      charged: { core: 1 },
    });
  }
  const invariant: Invariant = {
    name: 'x',
    measure: '',
    min: null,
    max: 0,
    agent: null,
    priority: null,
    provider: null,
    pool: null,
    ...asserted,
  };
  return {
    scenario: {
      name: 's',
      seed: 1,
      untilMs: 1000,
      settleMs: 0,
      policy: EMPTY_POLICY,
      clientDelay: 0,
      origins: [],
      outsiders: [],
      agents: [],
      invariants: [invariant],
    },
    endMs: 1000,
    jobs: outcomes.map(({ job }) => job),
    outcomes,
    askings: [],
    refusals: [],
    origins: [
      {
        provider: 'github',
        calls,
        pools: [pool],
        windows: [{ pool, from: 0, until: 1000, own, outside: 0, refused: 0 }],
      },
    ],
    totals: { arrived: 0, passed: 0, delayed: 0, refused: 0, retried: 0, gone: 0 },
    drifts: [],
  };
}

function valueOf(measure: string, done: readonly Done[], own = 0, more: Partial<Invariant> = {}) {
  return judge(record(done, own, { measure, ...more }))[0]?.value;
}

describe('measures of a run', () => {
  it('count as avoidable only what there was room for', () => {
    const lost = { arrivedAt: 100, sentAt: null, lostAt: 200 };
    const served = { arrivedAt: 100, sentAt: 150 };
    expect(valueOf('avoidable_loss', [lost, lost, served, served], 9)).toBe(0.25);
    expect(valueOf('avoidable_loss', [lost, lost, served, served], 10)).toBe(0);
    expect(valueOf('lost_ratio', [lost, lost, served, served], 10)).toBe(0.5);
  });

  it('do not count as avoidable what could be served only after its client had hung up', () => {
    const valueAfter = (lostStatus: number): number | null | undefined => {
      const lost = { arrivedAt: 800, sentAt: null, lostAt: 900, lostStatus };
      const run = record([lost, { arrivedAt: 100, sentAt: 150 }], 10, {
        measure: 'avoidable_loss',
      });
      // The window from 0 to 1000 is full; the next one begins after the client left.
      const next = { pool, from: 1000, until: 2000, own: 0, outside: 0, refused: 0 };
      const origins = run.origins.map((one) => ({ ...one, windows: [...one.windows, next] }));
      const outcomes = run.outcomes.map((one) => ({
        ...one,
        job: { ...one.job, maxWaitMs: 5000 },
      }));
      return judge({ ...run, origins, outcomes })[0]?.value;
    };
    expect(valueAfter(403)).toBe(0.5);
    expect(valueAfter(0)).toBe(0);
  });

  it('find the longest time in which an agent waited and got nothing', () => {
    const done = [
      { arrivedAt: 0, sentAt: 700 },
      { arrivedAt: 100, sentAt: 300 },
      { agent: 'b', arrivedAt: 0, sentAt: 250 },
    ];
    // The first job of `a` waits for 700 ms, but something of `a` went after 300.
    expect(valueOf('longest_gap_ms', done)).toBe(300);
    expect(valueOf('longest_wait_ms', done)).toBe(700);
    expect(valueOf('longest_gap_ms', done, 0, { agent: (id) => id === 'b' })).toBe(250);
  });

  it('name those who starved', () => {
    const done = [
      { arrivedAt: 0, sentAt: 10 },
      { agent: 'b', arrivedAt: 0, sentAt: null, lostAt: 900 },
      { agent: 'c', arrivedAt: 0, sentAt: null, lostAt: 900 },
      { agent: 'c', arrivedAt: 0, sentAt: 950 },
    ];
    expect(valueOf('starved', done)).toBe(1);
  });

  it('look only at what is meant, and fail where nothing is', () => {
    const done = [
      { arrivedAt: 0, sentAt: 10, priority: 'high' as const },
      { arrivedAt: 0, sentAt: null, lostAt: 5 },
    ];
    expect(valueOf('served_ratio', done)).toBe(0.5);
    expect(valueOf('served_ratio', done, 0, { priority: 'high' })).toBe(1);
    const [none] = judge(record(done, 0, { measure: 'lost_ratio', priority: 'background' }));
    expect(none).toMatchObject({ value: null, passed: false });
  });

  it('hold both bounds', () => {
    const done = [{ arrivedAt: 0, sentAt: 10 }];
    const held = (min: number | null, max: number | null) =>
      judge(record(done, 0, { measure: 'served', min, max }))[0]?.passed;
    expect([held(1, 1), held(2, null), held(null, 0), held(0, 5)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });
});
