import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BASELINES,
  inverseGaussianBelow,
  LEVELS,
  ratelord,
} from '../../bench/forecast/contestants.ts';
import { scoreSeries } from '../../bench/forecast/score-series.ts';
import { pinball, score, type Row } from '../../bench/forecast/scores.ts';
import { ofCounts, readSeries, type Series } from '../../bench/forecast/series.ts';
import { targetsOf } from '../../bench/forecast/targets.ts';
import { originsOf, walk, type Entry } from '../../bench/forecast/walk.ts';
import { MODEL } from '../../src/core/forecast/forecaster.ts';
import { Random } from '../../src/sim/random.ts';

const ALL = { days: 100, arrivals: 1e6 };

function poissonCounts(seconds: number, perSecond: number, seed: string): number[] {
  const random = new Random(seed);
  const counts = new Array<number>(seconds).fill(0);
  for (let at = 0; ;) {
    at += random.exponential(1 / perSecond);
    if (at >= seconds) return counts;
    counts[Math.floor(at)] = (counts[Math.floor(at)] ?? 0) + 1;
  }
}

const poisson = (seconds: number, seed: string): Series =>
  ofCounts('poisson', poissonCounts(seconds, 8, seed), ALL);

const own = (rows: readonly Row[]): Row[] => rows.filter(({ model }) => model === MODEL.id);

const settled = (rows: readonly Row[]): Row[] =>
  own(rows).filter(({ phase }) => phase === 'settled');

describe('reading', () => {
  it('reads counts in either form, with or without a heading', () => {
    const counts = poissonCounts(1_300, 2, 'read');
    const one = readSeries('t', counts.join('\n'), ALL);
    const lines = counts.flatMap((count, i) =>
      count === 0 ? [] : [`${String(i)},${String(count)}`],
    );
    const two = readSeries('t', `second,count\n${lines.join('\r\n')}`, ALL);
    expect(one).toHaveLength(1);
    expect(one[0]?.seconds).toBe(1_300);
    const sum = (series: Series | undefined): number =>
      (series?.units ?? new Float64Array()).reduce((total, units) => total + units, 0);
    expect(sum(one[0])).toBe(counts.reduce((total, count) => total + count, 0));
    expect(sum(two[0])).toBe(sum(one[0]));
  });

  it('reads requests and tokens of single requests, and requests of a client’s rates', () => {
    const rows = Array.from({ length: 1_500 }, (_, i) => `${String(i * 1000)},100,20`);
    const text = ['timestamp_ms,input_tokens,output_tokens', ...rows].join('\n');
    const [requests, tokens] = readSeries('m', text, ALL);
    expect(requests?.unit).toBe('requests');
    expect(tokens?.units[0]).toBe(120);
    const bins = '0,4,1,Gamma,1,0.25\n600,4,1,Gamma,1,0.25\n1200,4,1,Gamma,1,0.25';
    const [client] = readSeries('s', bins, ALL);
    expect(client?.seconds).toBeGreaterThan(1_700);
    expect(client?.trace).toBe('s');
    expect(readSeries('s', bins, { days: 1, arrivals: 2_000 })[0]?.trace).toBe('s ÷4');
  });

  it('takes seconds that are left out for silence, however many', () => {
    const early = Array.from({ length: 900 }, (_, i) => `${String(1_000_000 + i)},2`);
    const late = Array.from({ length: 900 }, (_, i) => `${String(1_004_000 + i)},2`);
    const [gapped] = readSeries('t', [...early, ...late].join('\n'), ALL);
    expect(gapped?.seconds).toBe(4_900);
    const lasted = originsOf(gapped as Series, 10, 80, 1_000)
      .filter(({ atS }) => atS > 1_000 && atS < 3_900)
      .map((origin) => origin.lasted);
    expect(new Set(lasted)).toEqual(new Set([80]));
  });

  it('puts requests that are out of order into order', () => {
    const rows = Array.from({ length: 1_500 }, (_, i) => `${String(((i * 7) % 1_500) * 1000)},1,1`);
    const text = ['timestamp_ms,input_tokens,output_tokens', ...rows].join('\n');
    const [requests] = readSeries('m', text, ALL);
    expect(requests?.seconds).toBe(1_500);
    expect(requests?.atMs.every((at, i) => at === i * 1000)).toBe(true);
  });

  it('refuses junk and says where it is', () => {
    expect(() => readSeries('t', 'hello\nworld', ALL)).toThrow(/line 1/);
    expect(() => readSeries('t', ' \n\n', ALL)).toThrow(/line 1: nothing/);
    expect(() => readSeries('t', 'count', ALL)).toThrow(/line 1/);
    expect(() => readSeries('t', '7', ALL)).toThrow(/too little to score: 1 s/);
    expect(() => readSeries('t', '1\n-2\n3', ALL)).toThrow(/line 2: `-2`/);
    expect(() => readSeries('t', '1\nNaN\n3', ALL)).toThrow(/line 2: `NaN`/);
    expect(() => readSeries('t', '0\n'.repeat(5_000), ALL)).toThrow(/5000 s and 0 arrivals/);
    expect(() => readSeries('t', '1\n2\nthree\n4', ALL)).toThrow(/line 3: `three`/);
    expect(() => readSeries('t', '5,1\n3,1', ALL)).toThrow(/line 2: seconds/);
    expect(() => readSeries('t', '1\n2\n3', ALL)).toThrow(/too little/);
  });
});

describe('walking', () => {
  it('looks up when a budget really ended', () => {
    // Two units in the middle of every second: a ten second budget is 20 units, used up 9.75 s on.
    const steady = ofCounts('steady', new Array<number>(2_000).fill(2), ALL);
    const [first] = originsOf(steady, 10, 80, 1_000);
    expect(first).toMatchObject({ atS: 600, remaining: 20, usual: 0.5 });
    expect(first?.lasted).toBeCloseTo(9.75, 9);
  });

  it('counts times beyond the cap as the cap, and asks nothing whose end is not in the series', () => {
    const counts = poissonCounts(2_400, 5, 'silent').map((n, i) => (i < 1_600 ? n : 0));
    const origins = originsOf(ofCounts('silent', counts, ALL), 10, 80, 1_000);
    expect(Math.max(...origins.map(({ atS }) => atS))).toBeLessThanOrEqual(2_400 - 80);
    expect(origins.filter(({ lasted }) => lasted === 80).length).toBeGreaterThan(150);
  });

  it('never peeks: another future leaves what was said before it alone', () => {
    const counts = poissonCounts(1_800, 6, 'past');
    const past = ofCounts('t', counts, ALL);
    const entries = (): Entry[] =>
      [...ratelord([10]), ...BASELINES.map((make) => make(10))].map((contestant) => ({
        horizonS: 10,
        contestant,
      }));
    // The future begins in the very second in which somebody is asked.
    for (const phase of ['settled', 'cold'] as const) {
      const asked = originsOf(past, 10, 80, 1e6, { phase, budget: 'habit' });
      const now = asked[150]?.atS ?? 0;
      const known = (tail: number): string => {
        const other = counts.map((n, i) => (i < now ? n : tail));
        const courses = walk(ofCounts('t', other, ALL), [10], entries(), 1e6);
        return JSON.stringify(
          courses.map(({ origins, said }) => {
            const before = origins.filter(({ atS }) => atS <= now);
            const ended = before.filter(({ atS, lasted }) => atS + lasted < now);
            return [
              before.map(({ atS, remaining, usual }) => [atS, remaining, usual]),
              ended.map(({ lasted }) => lasted),
              [...said].map(([name, all]) => [name, all.slice(0, before.length)]),
            ];
          }),
        );
      };
      expect(now).toBeGreaterThan(400);
      expect(known(60).length).toBeGreaterThan(50_000);
      expect(known(60) === known(0)).toBe(true);
    }
  });

  it('asks from the first minute on, apart from what it asks after the warm-up', () => {
    const series = poisson(3_600, 'phases');
    const [settled, cold] = walk(series, [60], [], 1e6);
    expect(cold?.origins[0]?.atS).toBe(60);
    expect(Math.max(...(cold?.origins ?? []).map(({ atS }) => atS))).toBeLessThan(600);
    expect(settled?.origins[0]?.atS).toBe(600);
    expect(settled?.origins).toEqual(originsOf(series, 60, 480, 1e6));
  });

  it('asks about what was used lately when told to', () => {
    const counts = Array.from({ length: 2_400 }, (_, i) => (i < 1_500 ? 1 : 9));
    const steps = ofCounts('steps', counts, ALL);
    const asked = originsOf(steps, 60, 240, 1_000, { phase: 'settled', budget: 'lately' });
    expect(asked.find(({ atS }) => atS > 1_000)?.remaining).toBeCloseTo(60, 9);
    expect(asked.find(({ atS }) => atS > 1_600)?.remaining).toBeCloseTo(540, 9);
    expect(asked.find(({ atS }) => atS > 1_600)?.lasted).toBeCloseTo(60, 0);
  });

  it('knows of the habit only what had happened by then', () => {
    const counts = poissonCounts(2_400, 6, 'habit');
    const usual = (tail: number): number[] =>
      originsOf(
        ofCounts(
          't',
          counts.map((n, i) => (i < 1_500 ? n : tail)),
          ALL,
        ),
        60,
        240,
        1_000,
      )
        .filter(({ atS }) => atS <= 1_500)
        .map((origin) => origin.usual);
    expect(usual(99)).toEqual(usual(0));
  });
});

describe('scoring', () => {
  const course = (said: readonly number[], lasted: readonly number[], chance: number) => ({
    horizonS: 10,
    phase: 'settled' as const,
    capS: 80,
    origins: lasted.map((one, i) => ({ atS: 600 + 10 * i, remaining: 1, lasted: one, usual: 0.5 })),
    said: new Map([['m', said.map((one) => ({ lasts: LEVELS.map(() => one), chance }))]]),
  });

  it('charges a quantile that is too long by how rarely that should be', () => {
    expect(pinball(12, 10, 0.1)).toBeCloseTo(1.8, 12);
    expect(pinball(8, 10, 0.1)).toBeCloseTo(0.2, 12);
  });

  it('gives the figures that can be worked out by hand', () => {
    const [row] = score('t', 'requests', course([10, 10, 10, 10], [8, 12, 14, 90], 1));
    expect(row).toMatchObject({
      coverage_p50: 0.75,
      coverage_p90: 0.75,
      brier: 0.75,
      ran_out: 0.25,
      n: 3,
    });
    expect(row?.brier_skill).toBeCloseTo(-2, 12);
    // P50: (1 + 1 + 2 + 40) / 4; P90: (1.8 + 0.2 + 0.4 + 8) / 4; P99: (1.98 + 0.02 + 0.04 + 0.8) / 4
    expect(pinball(10, 90, 0.5)).toBe(40);
    expect(row?.pinball).toBeCloseTo((44 + 10.4 + 2.84) / 12, 9);
  });

  it('does not let a row drop out because what was said is no forecast', () => {
    expect(() => score('t', 'requests', course([NaN, 10], [8, 12], 1))).toThrow(
      /`m` said no forecast/,
    );
    expect(() => score('t', 'requests', course([10, 10], [8, 12], 1.01))).toThrow(/at 600 s/);
    expect(() => score('t', 'requests', course([10], [8, 12], 1))).toThrow(/at 610 s/);
  });

  it('notices claims of which the surer is the longer', () => {
    const { said, ...rest } = course([10, 10], [8, 12], 1);
    const all = (said.get('m') ?? []).map(({ lasts, chance }, at) => ({
      chance,
      lasts: lasts.map((one, i) => (at === 1 && i === LEVELS.length - 1 ? Infinity : one)),
    }));
    expect(score('t', 'requests', { ...rest, said })[0]?.crossed).toBe(0);
    const [row] = score('t', 'requests', { ...rest, said: new Map([[MODEL.id, all]]) });
    expect(row?.crossed).toBe(0.5);
    const cost = { update_p99_us: 1, forecast_p99_us: 1, state_bytes: 1 };
    const targets = targetsOf(row === undefined ? [] : [row], new Set(), cost);
    expect(targets.find(({ name }) => name.startsWith('claims'))?.met).toBe(false);
  });

  it('calls what lasted to the cap covered, however long was said', () => {
    const [row] = score('t', 'requests', course([1e9, 1e9], [80, 70], 0));
    expect(row?.coverage_p90).toBe(0.5);
    expect(row?.pinball).toBeLessThan(10);
  });

  it('knows the inverse Gaussian at tabulated places', () => {
    expect(inverseGaussianBelow(1, 1)).toBeCloseTo(0.668_102, 5);
    expect(inverseGaussianBelow(1, 301)).toBeCloseTo(inverseGaussianBelow(1, 299), 3);
  });

  it('finds the forecasts of a Poisson stream true within three standard errors', () => {
    for (const row of settled(scoreSeries(poisson(7_200, 'nominal'), 4_000))) {
      expect(row.n).toBeGreaterThan(90);
      for (const level of ['50', '90', '99'] as const) {
        const error = Math.max(0.003, row[`coverage_p${level}_se`]);
        expect(Math.abs(row[`coverage_p${level}`] - Number(level) / 100)).toBeLessThan(3 * error);
      }
      expect(row.brier_skill).toBeGreaterThan(-0.05);
    }
  });

  it('finds skill where the rate tells more than the habit, and gives the same twice', () => {
    const steps = [2, 12, 1, 8].flatMap((rate, i) =>
      poissonCounts(1_200, rate, `step ${String(i)}`),
    );
    const series = ofCounts('steps', steps, ALL);
    const rows = scoreSeries(series, 2_000);
    expect(rows).toHaveLength(2 * 2 * (1 + BASELINES.length));
    for (const row of settled(rows)) expect(row.brier_skill).toBeGreaterThan(0.5);
    expect(scoreSeries(series, 2_000)).toEqual(rows);
  });
});

describe('the command', () => {
  const script = fileURLToPath(new URL('../../bench/forecast/run.ts', import.meta.url));
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'forecast-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const run = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      execFile(process.execPath, [script, ...args], (error, out, err) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
      );
    });

  it('prints one object, with the promised members', async () => {
    const path = join(folder, 'counts.txt');
    writeFileSync(path, poissonCounts(2_000, 4, 'command').join('\n'));
    const { code, out } = await run(path, '--quick', '--json');
    expect(code).toBe(0);
    const told = JSON.parse(out) as { rows: Row[]; targets: { name: string; met: unknown }[] };
    expect(told.rows).toHaveLength(16);
    expect(own(told.rows)[0]).toMatchObject({ trace: 'counts', unit: 'requests', horizon_s: 10 });
    expect(told.targets.some(({ met }) => met === null)).toBe(true);
  });

  it('says which trace it cannot read, and refuses what it does not know', async () => {
    const path = join(folder, 'junk.csv');
    writeFileSync(path, 'a,b\n1,2,3\n');
    const junk = await run(path, '--quick');
    expect(junk.code).toBe(1);
    expect(junk.err).toContain(path);
    expect((await run(join(folder, 'nothing'), '--quick')).code).toBe(1);
    expect((await run('--fast')).code).toBe(2);
    expect((await run('--seeds', '1')).code).toBe(2);
    expect((await run('--seeds', 'few')).err).toContain('`--seeds few`');
    expect((await run('--budget', 'all')).code).toBe(2);
  });
});
