/**
 * Demand of classes by calibrated forecasts instead of the simple estimate: one forecaster for each
 * class of a pool, asked how long the expected demand would last. Where one has not shown that it is
 * better than what usually happens, the simple estimate stands.
 */
import { Forecaster } from '../forecast/forecaster.ts';
import type { Offered } from '../quota/offered.ts';
import { SECOND, type DurationMs, type EpochMs, type Units } from '../units.ts';
import { FROM_HISTORY, type DemandOutlook, type Prospect } from './demand.ts';

/** Normal quantile of 90 %. */
const Z90 = 1.2816;
/** What was worked out holds for such a part of the time looked ahead. */
const HOLDS = 1 / 50;
const CLASSES = 3;
/** Times looked ahead that are remembered of each class: of a rolling window several are asked for. */
const REMEMBERED = 8;

interface Known {
  readonly at: EpochMs;
  readonly ms: DurationMs;
  /** Of the simple estimate's mean and variance; `null` = no better is known. */
  readonly mean: number;
  readonly variance: number;
}

/** Forecasters by class of one pool; made for pools that several classes ask. */
export class ClassForecasts {
  private readonly forecasters: (Forecaster | null)[] = Array.from({ length: CLASSES }, () => null);
  private readonly known: readonly Known[][] = Array.from({ length: CLASSES }, () => []);

  usedAt: EpochMs = 0;

  ask(rank: number, units: Units, at: EpochMs): void {
    this.usedAt = at;
    (this.forecasters[rank] ??= new Forecaster()).offered(at, units);
  }

  /** The simple estimate, moved to what the forecaster says where that has shown skill. */
  better(simple: Prospect, rank: number, ms: DurationMs, now: EpochMs): Prospect {
    const forecaster = this.forecasters[rank] ?? null;
    if (forecaster === null || simple.mean <= 0) return simple;
    const { mean, variance } = this.knownOf(forecaster, simple, rank, ms, now);
    return { ...simple, mean: simple.mean * mean, variance: simple.variance * variance };
  }

  private knownOf(
    forecaster: Forecaster,
    simple: Prospect,
    rank: number,
    ms: DurationMs,
    now: EpochMs,
  ): Known {
    const all = this.known[rank] ?? [];
    let oldest = 0;
    for (let i = 0; i < all.length; i++) {
      const one = all[i] as Known;
      if (!isOld(one, ms, now)) return one;
      if (one.at < (all[oldest] as Known).at) oldest = i;
    }
    const known = compare(forecaster, simple, ms, now);
    all[all.length < REMEMBERED ? all.length : oldest] = known;
    return known;
  }
}

function isOld({ at, ms }: Known, wanted: DurationMs, now: EpochMs): boolean {
  const holds = Math.max(SECOND, ms * HOLDS);
  return now - at >= holds || Math.abs(wanted - (ms - (now - at))) > holds;
}

/**
 * If y units last for at least T with probability 90 %, at most y are asked within T with about that
 * probability: the law of the time is the law of the demand, seen from its side.
 */
function compare(forecaster: Forecaster, simple: Prospect, ms: DurationMs, now: EpochMs): Known {
  const same = { at: now, ms, mean: 1, variance: 1 };
  const seconds = ms / 1000;
  if (!forecaster.isCalibratedAt(seconds) || (forecaster.skillAt(seconds) ?? 0) <= 0) return same;
  const question = { remaining: simple.mean, resetInMs: ms, refill: 0, ageMs: 0 };
  const { p50, p90 } = forecaster.forecast(now, question);
  if (p50 === null || p90 === null || p50 <= 0 || p90 <= 0) return same;
  const spread = Math.log(p50 / p90) / Z90;
  // In logarithms the error is about normal.
  const mean = (seconds / p50) * Math.exp((spread * spread) / 2);
  const variance = (simple.mean * mean) ** 2 * Math.expm1(spread * spread);
  return { at: now, ms, mean, variance: Math.max(1e-6, variance / simple.variance) };
}

/** Behind the port of protection. */
export class ForecastDemand implements DemandOutlook {
  private readonly classesOf: (offered: Offered) => ClassForecasts | null;

  constructor(classesOf: (offered: Offered) => ClassForecasts | null) {
    this.classesOf = classesOf;
  }

  ahead(offered: Offered, rank: number, ms: DurationMs, now: EpochMs): Prospect {
    const simple = FROM_HISTORY.ahead(offered, rank, ms, now);
    const classes = this.classesOf(offered);
    return classes === null ? simple : classes.better(simple, rank, ms, now);
  }
}
