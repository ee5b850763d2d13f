/**
 * Recorded traces as arrivals. Three published forms are read, told apart by their first line:
 *
 * - Azure/AzurePublicDataset, `AzureLLMInferenceTrace_*.csv`: `TIMESTAMP,ContextTokens,GeneratedTokens`
 * - kvcache-ai/Mooncake as CSV: `timestamp_ms,input_tokens,output_tokens`
 * - alibaba/ServeGen, one client's `*-trace.csv`, without a heading: the start of a bin in seconds,
 *   requests/s in it, the coefficient of variation of the gaps, the family fitted to them (`Gamma` or
 *   `Weibull`), its shape, its scale in seconds; the last four are empty where nothing came. The
 *   Gammas are fitted by moments, the Weibulls by likelihood, whose mean may be far from 1/rate:
 *   gaps are therefore scaled to the bin's rate.
 */
import { SECOND } from '../core/units.ts';
import type { DurationMs, MonoMs } from '../core/units.ts';
import { drawWhole, gamma, weibull } from './arrivals-draws.ts';
import type { Distribution } from './arrivals-draws.ts';
import type { Random } from './random.ts';

/** One LLM request of a trace; times count from the trace's beginning, in order. */
export interface TraceArrival {
  readonly atMs: MonoMs;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** A stretch of one client's behaviour. */
export interface ServegenBin {
  readonly fromMs: MonoMs;
  readonly perSecond: number;
  readonly family: 'Gamma' | 'Weibull';
  readonly shape: number;
}

/** ServeGen's sizes are not in its trace files; these are what a chat's are about. */
export interface TokenSizes {
  readonly input: Distribution;
  readonly output: Distribution;
}

export const CHAT_SIZES: TokenSizes = {
  input: { kind: 'lognormal', median: 800, sigma: 1 },
  output: { kind: 'lognormal', median: 200, sigma: 0.8 },
};

const AZURE = 'TIMESTAMP,ContextTokens,GeneratedTokens';
const MOONCAKE = 'timestamp_ms,input_tokens,output_tokens';
const SERVEGEN_BIN_MS: DurationMs = 600 * SECOND;

/**
 * Any of the three forms. `random` and `sizes` serve for ServeGen's, which tell how the arrivals are
 * spread and not when they came.
 * @throws Error naming the line that is malformed
 */
export function readTrace(
  text: string,
  random: Random,
  sizes: TokenSizes = CHAT_SIZES,
): readonly TraceArrival[] {
  const first = text.slice(0, 200).split(/\r?\n/, 1)[0]?.trim() ?? '';
  if (first === AZURE) return readAzure(text);
  if (first === MOONCAKE) return readMooncake(text);
  if (/^\d+,[\d.e+-]*,/.test(first)) return servegenArrivals(readServegen(text), random, sizes);
  throw new Error(`line 1: no known form of trace begins with \`${first.slice(0, 60)}\``);
}

/** Times are UTC with up to seven decimals of a second. */
export function readAzure(text: string): readonly TraceArrival[] {
  return fromBeginning(rows(text, AZURE), (time) => azureTime(time));
}

export function readMooncake(text: string): readonly TraceArrival[] {
  return fromBeginning(rows(text, MOONCAKE), (time) => whole(time));
}

export function readServegen(text: string): readonly ServegenBin[] {
  const bins: ServegenBin[] = [];
  for (const { cells, line } of rows(text, null)) {
    const [from = '', rate = '', , family = '', shape = ''] = cells;
    const fromMs = Number(from) * SECOND;
    const perSecond = Number(rate === '' ? 0 : rate);
    if (!Number.isFinite(fromMs) || from === '' || !(perSecond >= 0)) throw malformed(line);
    if (perSecond === 0 || family === '') continue;
    if ((family !== 'Gamma' && family !== 'Weibull') || !(Number(shape) > 0)) {
      throw malformed(line);
    }
    bins.push({ fromMs, perSecond, family, shape: Number(shape) });
  }
  return bins;
}

/** Arrivals drawn by the bins, of which each lasts ten minutes. */
export function servegenArrivals(
  bins: readonly ServegenBin[],
  random: Random,
  sizes: TokenSizes = CHAT_SIZES,
): readonly TraceArrival[] {
  const arrivals: TraceArrival[] = [];
  for (const bin of bins) {
    const endMs = bin.fromMs + SERVEGEN_BIN_MS;
    // A bin begins at a random point of a gap, or each would begin with a burst of the heavy-tailed.
    let atMs = bin.fromMs + gapMs(bin, random) * random.next();
    while (atMs < endMs) {
      arrivals.push({
        atMs,
        inputTokens: drawWhole(sizes.input, random),
        outputTokens: drawWhole(sizes.output, random),
      });
      atMs += gapMs(bin, random);
    }
  }
  return arrivals;
}

/** A gap of the bin's family and shape, with the mean that its rate asks for. */
function gapMs({ family, shape, perSecond }: ServegenBin, random: Random): DurationMs {
  const meanMs = SECOND / perSecond;
  return family === 'Gamma'
    ? gamma(random, shape, meanMs / shape)
    : weibull(random, shape, meanMs / gammaOf(1 + 1 / shape));
}

/** How many came in each second, from the trace's beginning to the second of its last arrival. */
export function perSecondCounts(arrivals: readonly TraceArrival[]): readonly number[] {
  return perSecondSums(arrivals, () => 1);
}

/** Sum of something over the arrivals of each second, e.g. tokens. */
export function perSecondSums(
  arrivals: readonly TraceArrival[],
  of: (arrival: TraceArrival) => number,
): readonly number[] {
  const last = arrivals[arrivals.length - 1];
  const sums = new Array<number>(last === undefined ? 0 : Math.floor(last.atMs / SECOND) + 1);
  sums.fill(0);
  for (const arrival of arrivals) {
    const second = Math.floor(arrival.atMs / SECOND);
    sums[second] = (sums[second] ?? 0) + of(arrival);
  }
  return sums;
}

interface Row {
  readonly cells: readonly string[];
  /** From 1. */
  readonly line: number;
}

function* rows(text: string, heading: string | null): Generator<Row> {
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const written = lines[i]?.trim() ?? '';
    if (i === 0 && heading !== null) {
      if (written !== heading) throw new Error(`line 1: \`${heading}\` was expected`);
    } else if (written !== '') yield { cells: written.split(','), line: i + 1 };
  }
}

function fromBeginning(
  found: Iterable<Row>,
  timeOf: (written: string) => number,
): readonly TraceArrival[] {
  const read: TraceArrival[] = [];
  for (const { cells, line } of found) {
    const [time = '', input = '', output = ''] = cells;
    const arrival = {
      atMs: timeOf(time),
      inputTokens: whole(input),
      outputTokens: whole(output),
    };
    if (Number.isNaN(arrival.atMs + arrival.inputTokens + arrival.outputTokens)) {
      throw malformed(line);
    }
    read.push(arrival);
  }
  read.sort((a, b) => a.atMs - b.atMs);
  const first = read[0]?.atMs ?? 0;
  return read.map((arrival) => ({ ...arrival, atMs: arrival.atMs - first }));
}

function malformed(line: number): Error {
  return new Error(`line ${String(line)}: malformed`);
}

function whole(written: string): number {
  return /^\d+$/.test(written) ? Number(written) : NaN;
}

/**
 * `2023-11-16 18:17:03.9799600` in milliseconds, with their fraction; `NaN` when it is none. The traces
 * of 2024 say that it is UTC: `2024-05-10 00:00:00.009930+00:00`.
 */
function azureTime(written: string): number {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?(?:\+00:00)?$/.exec(written);
  if (match === null) return NaN;
  const seconds = Date.parse(`${String(match[1])}T${String(match[2])}Z`);
  return seconds + Number(match[3] ?? 0) * SECOND;
}

/** Γ(x) for x ≥ 1 (Lanczos, g = 7; relative error below 1e-13). */
function gammaOf(x: number): number {
  const z = x - 1;
  let sum = LANCZOS[0];
  for (let i = 1; i < LANCZOS.length; i++) sum += (LANCZOS[i] ?? 0) / (z + i);
  const t = z + 7.5;
  return Math.sqrt(2 * Math.PI) * t ** (z + 0.5) * Math.exp(-t) * sum;
}

const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
  -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
  1.5056327351493116e-7,
] as const;

/** Draws sizes for arrivals that have none. */
export function withSizes(
  times: readonly MonoMs[],
  sizes: TokenSizes,
  random: Random,
): readonly TraceArrival[] {
  return times.map((atMs) => ({
    atMs,
    inputTokens: drawWhole(sizes.input, random),
    outputTokens: drawWhole(sizes.output, random),
  }));
}
