/** The simulator's figures and the real ones side by side, and why they differ where they do. */
import type { Row } from '../report.ts';
import type { Strain } from './play.ts';

/** Part by which a live figure may differ from the simulator's. */
export const BOUND = 0.02;
/** Standard deviations of its draws by which one more draw may differ: one in some hundred does. */
const CHANCE = 3;
/** Timers that a wait begins and ends with: the client's, and the daemon's on the same machine. */
const TIMERS = 2;

const FIGURES = [
  'upstream_429_per_million',
  'utilisation',
  'value_vs_oracle',
  'wait_p50_ms',
  'wait_p99_ms',
  'jain',
  'stampede',
  'lost_ratio',
] as const;
export type Figure = (typeof FIGURES)[number];

export interface Comparison {
  readonly workload: string;
  readonly figure: Figure;
  readonly live: number | null;
  /** Mean over the simulator's draws. */
  readonly simulated: number | null;
  /** Standard deviation of its draws: the same jobs, other latencies and jitter. */
  readonly deviation: number | null;
  /** |live − simulated|, relative to the larger. */
  readonly difference: number | null;
  readonly agrees: boolean | null;
  /** Why it differs or could not be told; absent when it agrees. */
  readonly reason?: string;
  /** Whether the reason accounts for it. */
  readonly explained: boolean;
}

/** @param draws the simulator's rows for the same jobs, one for each draw of network and jitter */
export function compare(
  live: Row,
  simulated: Row,
  draws: readonly Row[],
  strain: Strain,
): Comparison[] {
  return FIGURES.map((figure) => {
    const deviation = deviationOf(draws.map((row) => row[figure]));
    const [a, b] = [live[figure], simulated[figure]];
    const found = { workload: live.workload, figure, live: a, simulated: b, deviation };
    if (a === null || b === null) {
      const reason = a === b ? 'too short to tell' : 'only one of them could tell';
      return {
        ...found,
        difference: null,
        agrees: a === b ? null : false,
        reason,
        explained: a === b,
      };
    }
    const difference = a === b ? 0 : Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b));
    if (difference <= BOUND) return { ...found, difference, agrees: true, explained: true };
    return { ...found, difference, agrees: false, ...reasonFor(figure, a - b, deviation, strain) };
  });
}

function reasonFor(
  figure: Figure,
  difference: number,
  deviation: number | null,
  { lateP99Ms, errors }: Strain,
): { reason: string; explained: boolean } {
  const told = `the simulator's own draws of latencies deviate by ${short(deviation ?? 0)}`;
  if (errors.length > 0) {
    const reason = `${String(errors.length)} failures that the simulator does not have, first: ${String(errors[0])}`;
    return { reason, explained: false };
  }
  if (Math.abs(difference) <= CHANCE * (deviation ?? 0)) {
    return { reason: `chance: ${told}`, explained: true };
  }
  const late = `timers of clients and origin were up to ${short(lateP99Ms)} ms late`;
  const wait = figure === 'wait_p50_ms' || figure === 'wait_p99_ms';
  if (wait && Math.abs(difference) <= TIMERS * lateP99Ms) {
    return { reason: `the machine: ${late}`, explained: true };
  }
  return { reason: `not accounted for: ${told}, ${late}`, explained: false };
}

/** Of a sample; `null` of fewer than two. */
function deviationOf(values: readonly (number | null)[]): number | null {
  const told = values.filter((value) => value !== null);
  if (told.length < 2) return null;
  const mean = told.reduce((sum, value) => sum + value, 0) / told.length;
  const squares = told.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (told.length - 1));
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
