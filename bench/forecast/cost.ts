/** What a forecaster costs: time of an update and of a forecast, and bytes kept. */
import { Forecaster } from '../../src/core/forecast/forecaster.ts';
import { Random } from '../../src/sim/random.ts';

export interface Cost {
  /** 99th percentiles, microseconds. */
  readonly update_p99_us: number;
  readonly forecast_p99_us: number;
  /** Typed arrays and counters of one pool. */
  readonly state_bytes: number;
}

const ROUNDS = 7;
const CALLS = 2_000;
/** Long enough for every horizon to have learned, at ten arrivals a second. */
const WARM_UP_MS = 14 * 3_600_000;
const GAP_MS = 100;

/** Of several rounds the best: whatever else the machine does only ever adds. */
export function measureCost(): Cost {
  const forecaster = new Forecaster();
  const random = new Random('cost');
  let at = 1_700_000_000_000;
  const arrive = (): void => {
    at += random.exponential(GAP_MS);
    forecaster.offered(at, 1 + Math.floor(random.next() * 3));
  };
  for (const end = at + WARM_UP_MS; at < end;) arrive();
  const updates: number[] = [];
  const forecasts: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    updates.push(p99(arrive));
    forecasts.push(
      p99((i) => {
        const refill = i % 2 === 0 ? 0 : 5;
        const remaining = 10 ** (1 + (i % 40) / 10);
        forecaster.forecast(at, { remaining, resetInMs: 60_000, refill, ageMs: 500 });
      }),
    );
  }
  return {
    update_p99_us: Math.min(...updates),
    forecast_p99_us: Math.min(...forecasts),
    state_bytes: forecaster.bytes,
  };
}

function p99(call: (i: number) => void): number {
  const took: number[] = [];
  for (let i = 0; i < CALLS; i++) {
    const begun = process.hrtime.bigint();
    call(i);
    took.push(Number(process.hrtime.bigint() - begun) / 1000);
  }
  took.sort((a, b) => a - b);
  return took[Math.floor(CALLS * 0.99)] ?? NaN;
}
