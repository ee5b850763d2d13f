/** Small series with known answers, for when no trace is given. */
import { DAY, HOUR, MINUTE } from '../../src/core/units.ts';
import { Random } from '../../src/sim/random.ts';
import { makeTrace, type SyntheticSpec } from '../../src/sim/synthetic.ts';
import { ofArrivals, type Extent, type Series } from './series.ts';

interface Made {
  readonly name: string;
  readonly hours: number;
  readonly spec: SyntheticSpec;
}

const MADE: readonly Made[] = [
  // No forecast beats the habit here, and every claim must come true.
  { name: 'poisson', hours: 2, spec: { kind: 'poisson', perSecond: 8 } },
  // Variance over mean is 1 / (1 − 0.8)² = 25 over long spans.
  {
    name: 'bursts',
    hours: 2,
    spec: { kind: 'hawkes', perSecond: 1, branching: 0.8, decayMs: 10_000 },
  },
  // The rate that holds is known within seconds; the habit is wrong most of the time.
  {
    name: 'regime change',
    hours: 2,
    spec: {
      kind: 'regimes',
      regimes: [2, 10, 1, 6, 20, 4].map((perSecond, i) => ({
        fromMs: i * 20 * MINUTE,
        perSecond,
      })),
    },
  },
  {
    name: 'daily cycle',
    hours: 72,
    spec: {
      kind: 'daily',
      day: { perSecond: 1, swing: 0.7, peakAtMs: 14 * HOUR, dayMs: DAY, noiseCv: 0.5 },
    },
  },
];

export function madeSeries(seed: string, extent: Extent): readonly Series[] {
  return MADE.flatMap(({ name, hours, spec }) => {
    const lengthMs = Math.min(hours * HOUR, extent.days * DAY);
    const sizes = { input: 1, output: 1 };
    const arrivals = makeTrace(spec, lengthMs, new Random(`${seed}/${name}`), sizes);
    return ofArrivals(name, arrivals, extent).filter(({ unit }) => unit === 'requests');
  });
}
