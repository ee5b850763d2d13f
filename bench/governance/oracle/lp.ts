/**
 * A bound on the best in hindsight where jobs cost different amounts of several buckets: the linear
 * relaxation over time steps, solved by HiGHS. A job may be served in parts; within a step all of
 * the step's refill is there at once. Both only add to what could be had, so no schedule does better.
 */
import type { Highs } from 'highs';
import type { Job } from '../../../src/sim/types.ts';

export interface Bucket {
  readonly name: string;
  /** Units it holds, and units it refills in `windowMs`. */
  readonly limit: number;
  readonly windowMs: number;
}

export interface LpOptions {
  /** Length of the run in milliseconds, from 0. */
  readonly untilMs: number;
  /** Shorter is tighter and slower. */
  readonly stepMs: number;
}

/** The package types its default export as CommonJS would see it, and Node gives the module's. */
async function loadHighs(): Promise<Highs> {
  const loaded = (await import('highs')) as unknown as { default: () => Promise<Highs> };
  return loaded.default();
}

let loading: Promise<Highs> | null = null;

class Columns {
  readonly cost: number[] = [];
  readonly upper: number[] = [];
  readonly starts: number[] = [0];
  readonly indices: number[] = [];
  readonly values: number[] = [];

  add(cost: number, upper: number, entries: readonly (readonly [row: number, value: number])[]) {
    this.cost.push(cost);
    this.upper.push(upper);
    for (const [row, value] of entries) {
      this.indices.push(row);
      this.values.push(value);
    }
    this.starts.push(this.indices.length);
  }
}

/** Units are divided by this, so that requests and tokens are of one size in the matrix. */
const scaleOf = (bucket: Bucket): number => bucket.limit / 1000;

function jobColumns(
  columns: Columns,
  jobs: readonly Job[],
  buckets: readonly Bucket[],
  steps: number,
  { stepMs }: LpOptions,
): void {
  for (const [row, job] of jobs.entries()) {
    const first = Math.max(0, Math.floor(job.arrivedAt / stepMs));
    const last = Math.min(steps - 1, Math.floor(job.deadlineAt / stepMs));
    const draws = buckets.flatMap((bucket, p) => {
      const units = job.cost.units[bucket.name] ?? 0;
      return units === 0 ? [] : [[p, units / scaleOf(bucket)] as const];
    });
    for (let step = first; step <= last; step++) {
      const entries = draws.map(([p, units]) => [jobs.length + p * steps + step, units] as const);
      columns.add(job.value, 1, [[row, 1], ...entries]);
    }
  }
}

/** @throws when the solver finds no optimum */
export async function boundValue(
  jobs: readonly Job[],
  buckets: readonly Bucket[],
  options: LpOptions,
): Promise<number> {
  const { untilMs, stepMs } = options;
  const highs = await (loading ??= loadHighs());
  const steps = Math.ceil(untilMs / stepMs);
  const worth = jobs.filter((job) => job.value > 0 && job.arrivedAt < untilMs);
  if (worth.length === 0) return 0;
  const columns = new Columns();
  jobColumns(columns, worth, buckets, steps, options);
  // What is left in bucket p after step t: taken(t) + left(t) − left(t − 1) ≤ refill.
  for (const [p, bucket] of buckets.entries()) {
    for (let step = 0; step < steps; step++) {
      const row = worth.length + p * steps + step;
      const next: [number, number][] = step + 1 < steps ? [[row + 1, -1]] : [];
      columns.add(0, bucket.limit / scaleOf(bucket), [[row, 1], ...next]);
    }
  }
  const rowUpper = [
    ...worth.map(() => 1),
    ...buckets.flatMap((bucket) => {
      const refill = (bucket.limit * stepMs) / bucket.windowMs / scaleOf(bucket);
      const full = bucket.limit / scaleOf(bucket);
      return Array.from({ length: steps }, (_, step) => refill + (step === 0 ? full : 0));
    }),
  ];
  const size = { numCols: columns.cost.length, numRows: rowUpper.length };
  const model = highs.createModel({
    ...size,
    sense: highs.constants.objectiveSense.maximize,
    colCost: Float64Array.from(columns.cost),
    colLower: new Float64Array(size.numCols),
    colUpper: Float64Array.from(columns.upper),
    rowLower: new Float64Array(size.numRows).fill(-highs.infinity),
    rowUpper: Float64Array.from(rowUpper),
    matrix: {
      format: 'csc',
      ...size,
      starts: Int32Array.from(columns.starts),
      indices: Int32Array.from(columns.indices),
      values: Float64Array.from(columns.values),
    },
  });
  try {
    model.options.set({ output_flag: false, solver: 'simplex' });
    model.run();
    const status = model.getModelStatus();
    if (status !== highs.constants.modelStatus.optimal) {
      throw new Error(`the bound was not found: solver status ${String(status)}`);
    }
    return model.getObjectiveValue();
  } finally {
    model.dispose();
  }
}
