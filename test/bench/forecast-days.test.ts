import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LEVELS } from '../../bench/forecast/contestants.ts';
import { cutDays, type Cut } from '../../bench/forecast/days.ts';
import {
  blocksOf,
  bootstrap,
  bootstrapError,
  jackknifeError,
} from '../../bench/forecast/errors.ts';
import { pooled } from '../../bench/forecast/pool.ts';
import { ratio, score, type Row } from '../../bench/forecast/scores.ts';
import { dayLongOf, madeSubjects, recordedSubjects } from '../../bench/forecast/subjects.ts';
import type { Course } from '../../bench/forecast/walk.ts';
import { Random } from '../../src/sim/random.ts';

const ALL = { days: 100, arrivals: 1e6 };
const DAY_S = 86_400;

/** Ten-minute bins of two days, the second twice as busy. */
const RATES = Array.from({ length: 288 }, (_, i) => {
  const rate = i < 144 ? 0.02 : 0.04;
  return `${String(i * 600)},${String(rate)},1,Gamma,1,${String(1 / rate)}`;
}).join('\n');

/** One request every `every` seconds of each day. */
const counts = (...every: readonly number[]): string =>
  every
    .flatMap((gap) => Array.from({ length: DAY_S }, (_, i) => (gap > 0 && i % gap === 0 ? 1 : 0)))
    .join('\n');

const unitsOf = ({ series: { units } }: Cut): number => units.reduce((sum, one) => sum + one, 0);

describe('cutting days', () => {
  it('gives a recorded trace’s own days, each from its own beginning, and no more', () => {
    const days = cutDays('t', `${counts(60, 30, 0, 20)}\n1\n1`, 9, ALL, '1');
    expect(days?.map(unitsOf)).toEqual([1_440, 2_880, 4_320]);
    expect(
      days?.every(({ series: { seconds, atMs } }) => seconds === DAY_S && (atMs[0] ?? 0) < 1_000),
    ).toBe(true);
    expect(days?.map(({ day }) => day)).toEqual([0, 1, 3]);
    expect(cutDays('t', counts(60, 30, 20, 10), 2, ALL, '1')?.map(unitsOf)).toEqual([1_440, 4_320]);
  });

  it('draws as many days as wanted of a client, each with a seed of its own', () => {
    const days = cutDays('c', RATES, 4, ALL, '1') ?? [];
    expect(days).toHaveLength(4);
    const [one, two, three] = days.map(unitsOf);
    // 1,728 and 3,456 are expected; a standard deviation is 42 and 59.
    expect(Math.abs((one ?? 0) - 1_728)).toBeLessThan(250);
    expect(Math.abs((two ?? 0) - 3_456)).toBeLessThan(350);
    expect(Math.abs((three ?? 0) - 1_728)).toBeLessThan(250);
    expect(days.map(({ day }) => day)).toEqual([0, 1, 0, 1]);
    expect(days[0]?.series.atMs).not.toEqual(days[2]?.series.atMs);
    expect(cutDays('c', RATES, 4, ALL, '1')).toEqual(days);
    expect(cutDays('c', RATES, 4, ALL, '2')?.[0]?.series.atMs).not.toEqual(days[0]?.series.atMs);
  });

  it('leaves alone what has no days', () => {
    expect(cutDays('t', counts(60), 4, ALL, '1')).toBeNull();
    const rows = Array.from({ length: 50 }, (_, i) => `${String(i * 1000)},1,1`);
    const text = ['timestamp_ms,input_tokens,output_tokens', ...rows].join('\n');
    expect(cutDays('t', text, 4, ALL, '1')).toBeNull();
    expect(() => cutDays('t', 'junk', 4, ALL, '1')).toThrow(/line 1/);
  });
});

describe('what is scored as one', () => {
  it('is a series by itself, or all drawings of it', () => {
    const short = { days: 0.03, arrivals: 1e6 };
    const plain = madeSubjects(short, 0, '1');
    const drawn = madeSubjects(short, 3, '1');
    expect(plain.map(({ trace }) => trace)).toContain('bursts');
    expect(drawn.map(({ trace }) => trace)).toEqual(plain.map(({ trace }) => `${trace}, 3 seeds`));
    for (const { walks, isPooled } of drawn) {
      expect(isPooled).toBe(true);
      expect(new Set(walks.map(({ day }) => day)).size).toBe(3);
      expect(new Set(walks.map(({ series }) => series.atMs[0])).size).toBe(3);
    }
  });

  it('is a trace as it is where nothing can be cut, and day-long only when every walk is', () => {
    const hour = counts(60).split('\n').slice(0, 3_600).join('\n');
    const [whole] = recordedSubjects('hour', hour, ALL, 4, '1');
    const [days] = recordedSubjects('days', counts(60, 30), ALL, 4, '1');
    expect(whole).toMatchObject({ trace: 'hour', isPooled: false });
    expect(days).toMatchObject({ trace: 'days, 2 single days', isPooled: true });
    const all = [whole, days].flatMap((one) => one ?? []);
    expect([...dayLongOf(all)]).toEqual(['days, 2 single days']);
  });
});

describe('errors', () => {
  /** Origins four horizons apart, so that each is a block of its own. */
  const course = (lasted: readonly number[], chance = 0.5): Course => ({
    horizonS: 10,
    phase: 'settled',
    capS: 80,
    origins: lasted.map((one, i) => ({ atS: 600 + 40 * i, remaining: 1, lasted: one, usual: 0.5 })),
    said: new Map([['m', lasted.map(() => ({ lasts: LEVELS.map(() => 10), chance }))]]),
  });

  it('of a share of independent outcomes is what the binomial says', () => {
    const random = new Random('binomial');
    const lasted = Array.from({ length: 400 }, () => (random.next() < 0.9 ? 20 : 5));
    const [row] = score('t', 'requests', course(lasted));
    const share = row?.coverage_p90 ?? 0;
    const expected = Math.sqrt((share * (1 - share)) / 400);
    expect((row?.coverage_p90_se ?? 0) / expected).toBeGreaterThan(0.85);
    expect((row?.coverage_p90_se ?? 0) / expected).toBeLessThan(1.15);
  });

  it('keeps origins whose outcomes overlap in one block', () => {
    const close = course([1, 2, 3, 4, 5]);
    const atS = [600, 610, 639, 640, 700];
    const origins = close.origins.map((origin, i) => ({ ...origin, atS: atS[i] ?? 0 }));
    expect(blocksOf({ ...close, origins })).toEqual([0, 3, 4, 5]);
  });

  it('is unknown, not nought, from a single block', () => {
    const [row] = score('t', 'requests', course([20]));
    expect(row?.coverage_p90).toBe(1);
    expect(row?.coverage_p90_se).toBeNaN();
    expect(JSON.parse(JSON.stringify(row))).toMatchObject({ coverage_p90_se: null, n: 1 });
  });

  it('says what a handful of blocks can, which is less than their spread', () => {
    const losses = [Float64Array.of(0, 0, 1, 1)];
    const starts = [0, 1, 2, 3, 4];
    const error = bootstrapError(bootstrap(losses, starts, 's')[0] ?? [], 4);
    // s = √(1/3), over √4; 200 draws know it to 5 %.
    expect(error / (Math.sqrt(1 / 3) / 2)).toBeGreaterThan(0.93);
    expect(error / (Math.sqrt(1 / 3) / 2)).toBeLessThan(1.07);
  });

  it('by leaving out is the deviation over √n, for a mean', () => {
    const values = [3, 5, 9, 11];
    const mean = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0) / of.length;
    // Deviations −4, −2, 2, 4: variance 40 / 3.
    expect(jackknifeError(values, mean)).toBeCloseTo(Math.sqrt(40 / 3 / 4), 12);
    expect(jackknifeError([3], mean)).toBeNaN();
  });

  it('knows no multiple of a loss that is none', () => {
    expect(ratio(0, 0)).toBe(1);
    expect(ratio(1, 0)).toBeGreaterThan(1e6);
    expect(Number.isFinite(ratio(1, 0))).toBe(true);
    expect(ratio(3, 2)).toBe(1.5);
  });
});

describe('pooling', () => {
  const walk = (model: string, figures: Partial<Row>): Row => ({
    ...{ trace: 'a day', unit: 'requests', horizon_s: 60, phase: 'settled', model },
    ...{ coverage_p50: 0.5, coverage_p90: 0.9, coverage_p99: 0.99, crps: 1 },
    ...{
      pinball: 1,
      pinball_ratio: 1,
      brier: 0.1,
      brier_usual: 0.2,
      brier_skill: 0.5,
      ran_out: 0.5,
      crossed: 0,
    },
    ...{
      n: 16,
      coverage_p50_se: 0,
      coverage_p90_se: 0,
      coverage_p99_se: 0,
      pinball_se: 0,
      crps_se: 0,
    },
    ...{ pinball_ratio_se: 0, brier_se: 0, brier_skill_se: 0, origins: 64, cap_s: 480, walks: 1 },
    ...figures,
  });

  it('counts every day the same and takes the error from how they differ', () => {
    const days = [0.8, 0.9, 1].map((coverage_p90, day) => ({
      day,
      rows: [walk('m', { coverage_p90 })],
    }));
    const [row] = pooled('all', days, []);
    expect(row).toMatchObject({ trace: 'all', n: 48, origins: 192, walks: 3 });
    expect(row?.coverage_p90).toBeCloseTo(0.9, 12);
    expect(row?.coverage_p90_se).toBeCloseTo(0.1 / Math.sqrt(3), 12);
    expect(row?.coverage_p50_se).toBe(0);
  });

  it('has one best baseline for all days, and skill over their sums', () => {
    const days = [
      [
        walk('m', { pinball: 3, brier: 0.3, brier_usual: 0.2 }),
        walk('a', { pinball: 1 }),
        walk('b', { pinball: 4 }),
      ],
      [
        walk('m', { pinball: 3, brier: 0.1, brier_usual: 0.6 }),
        walk('a', { pinball: 9 }),
        walk('b', { pinball: 4 }),
      ],
    ].map((rows, day) => ({ day, rows }));
    const rows = pooled('all', days, ['a', 'b']);
    expect(rows.map(({ model }) => model)).toEqual(['m', 'a', 'b']);
    expect(rows[0]?.pinball_ratio).toBeCloseTo(0.75, 12);
    expect(rows[0]?.brier_skill).toBeCloseTo(0.5, 12);
    expect(rows[2]?.pinball_ratio).toBe(1);
    expect(pooled('all', days, ['b', 'a'])).toEqual(rows);
  });

  it('takes the same day drawn again for the same day', () => {
    const drawn = (day: number, coverage_p90: number) => ({
      day,
      rows: [walk('m', { coverage_p90, coverage_p90_se: 0.03 })],
    });
    const [two] = pooled('all', [drawn(0, 0.7), drawn(0, 0.8), drawn(1, 0.95)], []);
    expect(two).toMatchObject({ walks: 3, n: 32 });
    expect(two?.coverage_p90).toBeCloseTo(0.85, 12);
    expect(two?.coverage_p90_se).toBeCloseTo(0.1, 12);
    const [one] = pooled('all', [drawn(0, 0.8), drawn(0, 0.8), drawn(0, 0.8)], []);
    expect(one).toMatchObject({ walks: 3, n: 16 });
    expect(one?.coverage_p90_se).toBeCloseTo(0.03, 12);
  });

  it('leaves out a day that has nothing to say of a horizon', () => {
    const days = [
      { day: 0, rows: [walk('m', {})] },
      { day: 1, rows: [walk('m', { horizon_s: 600, coverage_p90: 0.7 })] },
    ];
    const rows = pooled('all', days, []);
    expect(rows.map((row) => [row.horizon_s, row.walks])).toEqual([
      [60, 1],
      [600, 1],
    ]);
  });
});

describe('the command, over days', () => {
  const script = fileURLToPath(new URL('../../bench/forecast/run.ts', import.meta.url));
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'forecast-days-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  interface Told {
    readonly rows: readonly Row[];
    readonly targets: readonly { readonly name: string; readonly rows: number }[];
  }
  const run = (...args: string[]): Promise<Told> =>
    new Promise((resolve, reject) => {
      execFile(process.execPath, [script, ...args], (error, stdout) =>
        error === null ? resolve(JSON.parse(stdout) as Told) : reject(new Error(error.message)),
      );
    });

  it('prints one pooled row for each horizon, phase and model', async () => {
    const path = join(folder, 'client.csv');
    writeFileSync(path, RATES);
    const told = await run(path, '--seeds', '2', '--quick', '--json');
    expect(told.rows).toHaveLength(3 * 2 * 4);
    expect(
      told.rows.every(({ trace, walks }) => trace === 'client, 2 single days' && walks === 2),
    ).toBe(true);
    const long = told.targets.find(({ name }) => name === 'P90 coverage off 90 %, day-long');
    expect(long?.rows).toBe(3);
  });
});
