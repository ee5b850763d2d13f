import { describe, expect, it } from 'vitest';
import { compare } from '../../bench/governance/live/compare.ts';
import { LIVE, LIVE_TARGET, runLive } from '../../bench/governance/live/live.ts';
import { githubLive, openaiLive } from '../../bench/governance/live/workloads.ts';
import type { Strain } from '../../bench/governance/live/play.ts';
import type { Row } from '../../bench/governance/report.ts';

const quiet = (): void => undefined;
const CALM: Strain = { lateP99Ms: 5, cpuUs: 500, errors: [] };

describe('the live round', () => {
  it('plays both workloads with SDKs through the daemon, and no limit is met with', async () => {
    const tiny = { windowMs: 1500, windows: 1 };
    const workloads = [githubLive(tiny), openaiLive(tiny)];
    const report = await runLive({ quick: true, seed: 'test', workloads, progress: quiet });
    expect(report.rows.map(({ governor }) => governor)).toEqual([
      'ratelord',
      LIVE,
      'ratelord',
      LIVE,
    ]);
    for (const row of report.rows) {
      const what = `${row.governor} on ${row.workload}`;
      expect(row.sent, what).toBeGreaterThan(10);
      expect(row.value, what).toBeGreaterThan(0);
      expect(row.value, what).toBeLessThanOrEqual(row.oracle_value * (1 + 1e-9));
      expect(row.upstream_429, what).toBe(0);
    }
    for (const { errors } of report.strains) expect(errors).toEqual([]);
    expect(report.targets[0]?.name).toBe(LIVE_TARGET);
  }, 60_000);
});

describe('live against simulated', () => {
  const row: Row = {
    workload: 'w',
    governor: 'ratelord',
    windows: 3,
    upstream_429_per_million: 0,
    utilisation: 0.99,
    value_vs_oracle: 0.98,
    wait_p50_ms: 1000,
    wait_p99_ms: 5000,
    jain: null,
    gap_violations: 0,
    false_refusals: null,
    stampede: 0.1,
    sent: 100,
    upstream_429: 0,
    upstream_429_per_window: 0,
    lost_ratio: 0.1,
    value: 98,
    oracle_value: 100,
    greedy_value: 90,
    governor_refusals: 0,
    timed_out: 0,
    wait_by_priority_ms: {},
  };
  const figure = (live: Partial<Row>, name: string, draws: readonly Row[] = [row], strain = CALM) =>
    compare({ ...row, ...live }, row, draws, strain).find((one) => one.figure === name);

  it('agrees within 2 %', () => {
    expect(figure({ utilisation: 0.975 }, 'utilisation')).toMatchObject({ agrees: true });
    expect(figure({ utilisation: 0.96 }, 'utilisation')).toMatchObject({ agrees: false });
    expect(figure({}, 'upstream_429_per_million')).toMatchObject({ agrees: true, difference: 0 });
  });

  it('tells chance and the machine from what has no reason', () => {
    const unlucky = [0.08, 0.1, 0.12].map((lost_ratio) => ({ ...row, lost_ratio }));
    expect(figure({ lost_ratio: 0.15 }, 'lost_ratio', unlucky)).toMatchObject({
      agrees: false,
      explained: true,
    });
    expect(figure({ lost_ratio: 0.25 }, 'lost_ratio', unlucky)?.explained).toBe(false);
    const slow = { ...CALM, lateP99Ms: 80 };
    expect(figure({ wait_p50_ms: 1060 }, 'wait_p50_ms', [row], slow)?.explained).toBe(true);
    expect(figure({ wait_p50_ms: 1060 }, 'wait_p50_ms')?.explained).toBe(false);
    // Failures on the wire are no chance, wherever the figure lies.
    const broken = { ...CALM, errors: ['socket hang up'] };
    expect(figure({ lost_ratio: 0.15 }, 'lost_ratio', unlucky, broken)?.explained).toBe(false);
  });

  it('does not call it agreement when one of them is silent', () => {
    expect(figure({}, 'jain')).toMatchObject({ agrees: null, explained: true });
    expect(figure({ jain: 1 }, 'jain')).toMatchObject({ agrees: false, explained: false });
  });
});
