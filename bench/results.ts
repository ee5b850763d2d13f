/** What a run says. Times in microseconds. */

export interface Row {
  readonly case: string;
  readonly load: string;
  readonly name: string;
  readonly rps: number | null;
  readonly ratio_http_proxy_3: number | null;
  readonly ratio_nginx: number | null;
  readonly p50_us: number | null;
  readonly p99_us: number | null;
  /** CPU of the process under test for each request. */
  readonly cpu_us: number | null;
  /** Share of its core that the process under test used. */
  readonly busy: number | null;
  readonly note?: string;
}

export interface Target {
  readonly name: string;
  readonly value: number | null;
  readonly bound: number;
  /** Which side of the bound is good. */
  readonly wanted: 'at least' | 'at most';
  readonly met: boolean | null;
  /** Why it could not be measured. */
  readonly reason?: string;
}

/** What one case found out. */
export interface Findings {
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
  /** What was left out, and why. */
  readonly skipped: readonly string[];
}

export interface Plan {
  readonly quick: boolean;
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
  progress(text: string): void;
}

export function target(
  name: string,
  wanted: Target['wanted'],
  bound: number,
  value: number | null,
  reason = 'a peer or a tool is missing',
): Target {
  if (value === null || !Number.isFinite(value)) {
    return { name, value: null, bound, wanted, met: null, reason };
  }
  const met = wanted === 'at least' ? value >= bound : value <= bound;
  return { name, value: round(value), bound, wanted, met };
}

/** Three significant places, as many as such numbers are good for. */
export function round(value: number): number {
  return Number(value.toPrecision(4));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const above = sorted[Math.floor(middle)] ?? NaN;
  return sorted.length % 2 === 1 ? above : (above + (sorted[middle - 1] ?? NaN)) / 2;
}
