/** Consumers of a quota who do not pass through the governor. */
import type { DurationMs, MonoMs, Units } from '../../core/units.ts';
import type { Kernel } from '../kernel.ts';
import type { Random } from '../random.ts';
import type { Origin } from './origin.ts';

export interface Outsider {
  readonly identity: string;
  /** Name of the upstream model's pool. */
  readonly pool: string;
  /** Units taken on average in a second. */
  readonly perSecond: number;
  /** Units taken at once. */
  readonly batch: Units;
  /** `poisson`: batches come independently of one another. `periodic`: evenly spaced. */
  readonly arrivals: 'poisson' | 'periodic';
  readonly from: MonoMs;
  readonly until: MonoMs;
}

/** Starts it; it goes on until its end, or the run's. */
export function startOutsider(
  outsider: Outsider,
  origin: Origin,
  kernel: Kernel,
  random: Random,
): void {
  if (outsider.perSecond <= 0) return;
  const meanMs: DurationMs = (outsider.batch / outsider.perSecond) * 1000;
  const gap = (): DurationMs =>
    outsider.arrivals === 'poisson' ? random.exponential(meanMs) : meanMs;
  const next = (at: MonoMs): void => {
    if (at >= outsider.until) return;
    kernel.at(at, () => {
      // One request each: who sends ten may get seven of them through.
      for (let i = 0; i < outsider.batch; i++) origin.outside(outsider.identity, outsider.pool, 1);
      next(at + gap());
    });
  };
  next(outsider.from + gap());
}
