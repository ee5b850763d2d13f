/** What is scored: units over time, from files of several forms. */
import { SECOND } from '../../src/core/units.ts';
import { Random } from '../../src/sim/random.ts';
import {
  readServegen,
  readTrace,
  servegenArrivals,
  type ServegenBin,
  type TraceArrival,
} from '../../src/sim/traces.ts';

export type Unit = 'requests' | 'tokens';

/** Times count from the beginning, in order. */
export interface Series {
  readonly trace: string;
  readonly unit: Unit;
  readonly atMs: Float64Array;
  readonly units: Float64Array;
  /** Whole seconds that it covers. */
  readonly seconds: number;
}

/** How much of a long trace is taken. */
export interface Extent {
  readonly days: number;
  /** A busier ServeGen client is thinned by slowing it down, and says so in its name. */
  readonly arrivals: number;
}

export const DAY_S = 86_400;
const BIN_S = 600;
/** A second's count comes spread over so many moments at most. */
const MOMENTS = 4;
/** Sizes that nobody looks at, so that drawing them costs nothing. */
const NO_SIZES = { input: 1, output: 1 };

/** A trace as it was written down. */
export type Recorded =
  | { readonly kind: 'counts'; readonly counts: readonly number[] }
  | { readonly kind: 'rates'; readonly bins: readonly ServegenBin[] }
  | { readonly kind: 'arrivals'; readonly arrivals: readonly TraceArrival[] };

/**
 * Per-second counts (`count` or `second,count` a line, a heading allowed), traces of single LLM
 * requests, or the rates of a client of ServeGen.
 * @throws Error when the text is none of the known forms, naming the line
 */
export function readRecorded(trace: string, text: string): Recorded {
  const lines = text.slice(0, 400).split(/\r?\n/);
  if (text.trim() === '') throw new Error('line 1: nothing is there');
  const isCounts = [lines[0], lines[1]].some((line) => line !== undefined && COUNTS.test(line));
  if (isCounts) return { kind: 'counts', counts: readCounts(text) };
  if (/^\d+,[\d.e+-]*,/.test(lines[0] ?? '')) return { kind: 'rates', bins: readServegen(text) };
  return { kind: 'arrivals', arrivals: readTrace(text, new Random(trace)) };
}

/** Counts and rates make one series; single LLM requests make two, requests and tokens. */
export function readSeries(trace: string, text: string, extent: Extent): readonly Series[] {
  const recorded = readRecorded(trace, text);
  switch (recorded.kind) {
    case 'counts':
      return [ofCounts(trace, recorded.counts, extent)];
    case 'rates':
      return [ofRates(trace, recorded.bins, extent, new Random(trace))];
    case 'arrivals':
      return ofArrivals(trace, recorded.arrivals, extent);
  }
}

const COUNTS = /^\s*\d+(\.\d+)?\s*(,\s*\d+(\.\d+)?\s*)?$/;

/** Units by second; seconds that are left out in the two-column form had none. */
function readCounts(text: string): number[] {
  const counts: number[] = [];
  let first: number | null = null;
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]?.trim() ?? '';
    if (line === '' || (i === 0 && !COUNTS.test(line))) continue;
    if (!COUNTS.test(line)) throw new Error(`line ${String(i + 1)}: \`${line}\` is no count`);
    const [one = '', two] = line.split(',');
    if (two === undefined) {
      counts.push(Number(one));
      continue;
    }
    first ??= Number(one);
    const at = Number(one) - first;
    if (!Number.isInteger(at) || at < counts.length - 1 || at > counts.length + 366 * DAY_S) {
      throw new Error(`line ${String(i + 1)}: seconds must be whole and rise`);
    }
    while (counts.length <= at) counts.push(0);
    counts[at] = (counts[at] ?? 0) + Number(two);
  }
  return counts;
}

export function ofCounts(trace: string, counts: readonly number[], extent: Extent): Series {
  const seconds = Math.min(counts.length, extent.days * DAY_S);
  const atMs: number[] = [];
  const units: number[] = [];
  for (let second = 0; second < seconds; second++) {
    const count = counts[second] ?? 0;
    if (count <= 0) continue;
    const moments = Math.min(MOMENTS, Math.ceil(count));
    for (let i = 0; i < moments; i++) {
      atMs.push(second * SECOND + ((i + 0.5) / moments) * SECOND);
      units.push(count / moments);
    }
  }
  return series(trace, 'requests', atMs, units, seconds);
}

export function ofArrivals(
  trace: string,
  arrivals: readonly TraceArrival[],
  extent: Extent,
): readonly Series[] {
  const kept = arrivals.filter(({ atMs }) => atMs < extent.days * DAY_S * SECOND);
  const atMs = kept.map((one) => one.atMs);
  const seconds = Math.floor((atMs.at(-1) ?? 0) / SECOND) + 1;
  const tokens = kept.map(({ inputTokens, outputTokens }) => inputTokens + outputTokens);
  const ones = kept.map(() => 1);
  return [
    series(trace, 'requests', atMs, ones, seconds),
    series(trace, 'tokens', atMs, tokens, seconds),
  ];
}

/** Drawn bin by bin: a whole client may be hundreds of millions of arrivals. */
export function ofRates(
  trace: string,
  all: readonly ServegenBin[],
  extent: Extent,
  random: Random,
): Series {
  const expected = (bins: readonly ServegenBin[]): number =>
    bins.reduce((sum, { perSecond }) => sum + perSecond * BIN_S, 0);
  const upTo = (days: number): ServegenBin[] =>
    all.filter(({ fromMs }) => fromMs < days * DAY_S * SECOND);
  let days = extent.days;
  while (days > 1 && expected(upTo(days)) > extent.arrivals) days -= 1;
  const bins = upTo(days);
  const slower = Math.max(1, Math.ceil(expected(bins) / extent.arrivals));
  const counts: number[] = [];
  for (const bin of bins) {
    const slowed = { ...bin, perSecond: bin.perSecond / slower };
    for (const { atMs } of servegenArrivals([slowed], random, NO_SIZES)) {
      const second = Math.floor(atMs / SECOND);
      while (counts.length <= second) counts.push(0);
      counts[second] = (counts[second] ?? 0) + 1;
    }
  }
  const name = slower === 1 ? trace : `${trace} ÷${String(slower)}`;
  return ofCounts(name, counts, { ...extent, days });
}

function series(
  trace: string,
  unit: Unit,
  atMs: readonly number[],
  units: readonly number[],
  seconds: number,
): Series {
  if (seconds < MIN_SECONDS || atMs.length < MIN_ARRIVALS) {
    throw new Error(
      `too little to score: ${String(seconds)} s and ${String(atMs.length)} arrivals ` +
        `(at least ${String(MIN_SECONDS)} s and ${String(MIN_ARRIVALS)})`,
    );
  }
  return { trace, unit, atMs: Float64Array.from(atMs), units: Float64Array.from(units), seconds };
}

const MIN_SECONDS = 1_200;
const MIN_ARRIVALS = 30;
