import type { Forecast } from '../forecast/forecaster.ts';
import type { Pool } from '../quota/pool.ts';
import type { EpochMs } from '../units.ts';
import type { Outlook } from './outlook.ts';

/** Longer than this is as good as for ever: a year, in seconds. A number, so that rules can compare. */
const FOREVER_S = 31_536_000;

/** What conditions see as `forecast`: worked out when one asks. `null` = nothing is known yet. */
export class ForecastReading {
  private readonly outlook: Outlook;
  private readonly subject: Pool;
  private readonly now: EpochMs;

  constructor(outlook: Outlook, subject: Pool, now: EpochMs) {
    this.outlook = outlook;
    this.subject = subject;
    this.now = now;
  }

  get p50(): number | null {
    return this.seconds('p50');
  }

  get p90(): number | null {
    return this.seconds('p90');
  }

  get p99(): number | null {
    return this.seconds('p99');
  }

  get p_exhaust(): number | null {
    return this.read()?.pExhaust ?? null;
  }

  /** Without an end it lasts for good; without a known reset there is nothing to compare with. */
  get margin(): number | null {
    const forecast = this.read();
    if (forecast === null) return null;
    return forecast.p90 === null ? FOREVER_S : forecast.margin;
  }

  private seconds(name: 'p50' | 'p90' | 'p99'): number | null {
    const forecast = this.read();
    return forecast === null ? null : (forecast[name] ?? FOREVER_S);
  }

  private read(): Forecast | null {
    return this.outlook.forecastOf(this.subject, this.now);
  }
}
