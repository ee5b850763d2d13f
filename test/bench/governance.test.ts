import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Bottleneck from 'bottleneck';
import { afterEach, describe, expect, it } from 'vitest';
import { lostForGood, type Lost } from '../../bench/governance/lost.ts';
import { markdown, type Row } from '../../bench/governance/report.ts';
import type { Workload } from '../../bench/governance/stage.ts';
import { CONTENDERS, playAll } from '../../bench/governance/table.ts';
import { targetsOf } from '../../bench/governance/targets.ts';
import { VirtualTime } from '../../bench/governance/virtual-time.ts';
import { batches } from '../../bench/governance/workloads/github.ts';
import { herd } from '../../bench/governance/workloads/herd.ts';
import { madeTrace, quickRun } from '../../bench/governance/workloads/index.ts';
import { fromTrace } from '../../bench/governance/workloads/openai.ts';
import { Kernel } from '../../src/sim/kernel.ts';

const quiet = (): void => undefined;
const options = { seed: 'test', progress: quiet };

/** A few windows of it, so that it takes a moment. */
const brief = (workload: Workload, windows: number): Workload => ({ ...workload, windows });

describe('virtual time', () => {
  const real = { setTimeout, clearTimeout, now: Date.now };

  afterEach(() => {
    expect(globalThis.setTimeout).toBe(real.setTimeout);
    expect(Date.now).toBe(real.now);
  });

  it('runs a library that was written for a real clock', async () => {
    const kernel = new Kernel();
    const time = new VirtualTime(kernel);
    const restore = time.install();
    const starts: number[] = [];
    try {
      const limiter = new Bottleneck({ maxConcurrent: 1, minTime: 60_000 });
      for (let i = 0; i < 3; i++) {
        void limiter.schedule(() => {
          starts.push(kernel.elapsed);
          return Promise.resolve();
        });
      }
      time.touch();
      await time.run(3_600_000);
    } finally {
      restore();
    }
    expect(starts).toHaveLength(3);
    const gaps = starts.slice(1).map((at, i) => at - (starts[i] ?? 0));
    for (const gap of gaps) expect(gap).toBeCloseTo(60_000, -2);
    expect(kernel.elapsed).toBe(3_600_000);
  });
});

describe('the headline table', { timeout: 60_000 }, () => {
  it('puts every contender on a workload, and the oracle above each', async () => {
    const { name, arrivals } = madeTrace(180_000);
    const played = [brief(batches, 1), brief(herd, 5), fromTrace(name, arrivals)];
    const entries = played.map((workload) => ({ workload, rounds: 1 }));
    const rows = await playAll(entries, options);
    const suited = entries.flatMap(({ workload }) =>
      CONTENDERS.filter((one) => one.suits(workload)),
    );
    expect(rows).toHaveLength(suited.length);
    for (const row of rows) {
      const what = `${row.governor} on ${row.workload}`;
      expect(row.sent, what).toBeGreaterThan(50);
      expect(row.value, what).toBeGreaterThan(0);
      expect(row.value, what).toBeLessThanOrEqual(row.oracle_value * (1 + 1e-9));
      expect(row.greedy_value, what).toBeLessThanOrEqual(row.oracle_value * (1 + 1e-9));
    }
    // Without a governor the limit is met with, and the figure tells.
    const bare = rows.find((row) => row.workload === herd.name && row.governor.startsWith('none'));
    expect(bare?.upstream_429_per_million).toBeGreaterThan(0);
  });

  it('gives the same figures for the same seed', async () => {
    const entries = [{ workload: brief(herd, 5), rounds: 1 }];
    const once = await playAll(entries, options);
    expect(await playAll(entries, options)).toEqual(once);
    expect(await playAll(entries, { ...options, seed: 'other' })).not.toEqual(once);
  });

  it('holds every member that machines read, and a section for people', async () => {
    const entries = [{ workload: brief(herd, 5), rounds: 1 }];
    const rows = await playAll(entries, options);
    const members = [
      ...['workload', 'governor', 'windows', 'upstream_429_per_million', 'utilisation'],
      ...['value_vs_oracle', 'wait_p50_ms', 'wait_p99_ms', 'jain', 'gap_violations'],
      ...['false_refusals', 'stampede'],
    ];
    for (const row of rows) expect(Object.keys(row)).toEqual(expect.arrayContaining(members));
    const text = markdown({
      date: '2026-01-05',
      quick: true,
      node: 'v26.0.0',
      seconds: 1,
      workloads: [herd],
      governors: CONTENDERS,
      rows,
      targets: targetsOf([herd], rows, 5),
    });
    expect(text).toContain('## W8 retry herd');
    expect(text).toContain('| ratelord');
  });

  it('prints one JSON object and nothing else', async () => {
    const program = fileURLToPath(new URL('../../bench/governance/run.ts', import.meta.url));
    const run = promisify(execFile);
    const args = [program, '--quick', '--json', '--only', 'W8'];
    const { stdout, stderr } = await run(process.execPath, args);
    const report = JSON.parse(stdout) as { rows: Row[]; targets: { met: boolean | null }[] };
    expect(report.rows.length).toBeGreaterThanOrEqual(4);
    expect(report.targets.some(({ met }) => met === null)).toBe(true);
    expect(stderr).toContain('W8');
  });
});

describe('what is lost for good', { timeout: 60_000 }, () => {
  it('is measured on shipped scenarios, in a quick run on the cheap ones', () => {
    const { byScenario, worst } = lostForGood(true, quiet);
    expect(Object.keys(byScenario)).toEqual([
      ...['s01-thundering-herd', 's06-wrong-estimates', 's08-hidden-limit'],
    ]);
    expect(worst).toBe(Math.max(...Object.values(byScenario)));
    expect(worst).toBeLessThanOrEqual(0.01);
  });
});

describe('the targets', () => {
  const workloads = quickRun([]).map(({ workload }) => workload);
  const good: Row = {
    workload: '',
    governor: 'ratelord',
    windows: 10,
    upstream_429_per_million: 0,
    utilisation: 1,
    value_vs_oracle: 1,
    wait_p50_ms: 0,
    wait_p99_ms: 0,
    jain: 1,
    gap_violations: 0,
    false_refusals: 0,
    stampede: 0,
    sent: 100,
    upstream_429: 0,
    upstream_429_per_window: 0,
    lost_ratio: 0,
    value: 10,
    oracle_value: 10,
    greedy_value: 10,
    governor_refusals: 100,
    timed_out: 0,
    wait_by_priority_ms: {},
  };
  const rows = (change: (row: Row) => Partial<Row>): Row[] =>
    workloads.map(({ name }) => {
      const row = { ...good, workload: name };
      return { ...row, ...change(row) };
    });
  /** What static shares made of two classes. */
  const fixed = (value: number): Row => {
    const two = workloads.find(({ shows }) => shows.has('stationary') && shows.has('priority'));
    return { ...good, workload: two?.name ?? '', governor: 'ratelord-static', value };
  };
  const missed = (own: readonly Row[], windows = 3000): string[] =>
    targetsOf(workloads, own, windows)
      .filter(({ met }) => met === false)
      .map(({ name }) => name);

  it('are all met by a perfect run, but for what was not measured', () => {
    expect(missed(rows(() => ({})))).toEqual([]);
    const open = (lost?: Lost): string[] => {
      const all = [...rows(() => ({})), fixed(10)];
      return targetsOf(workloads, all, 3000, lost)
        .filter(({ met }) => met === null)
        .map(({ name }) => name);
    };
    const live = 'live: relative difference from the simulator';
    expect(open({ byScenario: { 's01-herd': 0 }, worst: 0 })).toEqual([live]);
    expect(open()).toEqual(['lost for good in S-01…S-10', live]);
  });

  it('the value over static shares can be missed, and what is lost for good', () => {
    const all = [...rows(() => ({})), fixed(11)];
    const lost = { byScenario: { 's01-herd': 0, 's06-wrong': 0.02 }, worst: 0.02 };
    const found = targetsOf(workloads, all, 3000, lost).filter(({ met }) => met === false);
    expect(found.map(({ name }) => name)).toEqual([
      'value, × static shares, two classes',
      'lost for good in S-01, S-06',
    ]);
  });

  it.each([
    ['429s per million, nobody outside', { upstream_429_per_million: 1 }],
    ['429s a window, 20 % outside', { upstream_429_per_window: 0.002 }],
    ['429s a window, 20 % outside in tens', { upstream_429_per_window: 0.02 }],
    ['utilisation, saturated, alone', { utilisation: 0.998 }],
    ['utilisation, saturated, 20 % outside', { utilisation: 0.994 }],
    ['value of the oracle, traces', { value_vs_oracle: 0.96 }],
    ['value of the oracle, stationary', { value_vs_oracle: 0.98 }],
    ['value, × first come first served, values differ', { value: 9 }],
    ['Jain, cost skew and a flooder', { jain: 0.98 }],
    ['service gap violations', { gap_violations: 1 }],
    ['false early refusals', { false_refusals: 0.03 }],
    ['waiters that timed out', { timed_out: 0.01 }],
    ['stampede after a reset', { stampede: 1.2 }],
  ] satisfies [string, Partial<Row>][])('%s can be missed', (name, change) => {
    expect(missed(rows(() => change))).toContain(name);
  });

  it('says so when the workload of a target was left out', () => {
    const some = workloads.filter(({ shows }) => !shows.has('herd'));
    const found = targetsOf(some, [], 3000).find(({ name }) => name === 'stampede after a reset');
    expect(found).toMatchObject({ met: null, value: null });
    expect(found?.reason).toBeTruthy();
  });
});
