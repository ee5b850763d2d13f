import { Buckets, Family } from './tally.ts';

const MAX_PROVIDERS = 100;
const MAX_FIELDS = 50;
const STATUSES = 500;

export interface Decisions {
  pass: number;
  delay: number;
  reject: number;
}

/** Tunnels since the start; open now = opened − closed. */
export interface Tunnels {
  opened: number;
  closed: number;
  denied: number;
}

const WAIT_S = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600];
const OVERHEAD_S = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5,
];

/**
 * The proxy's meter. A request costs some 30 ns here, where prom-client's own counters and
 * histograms with children resolved once cost several times that, and 18 MB of memory in a daemon
 * that nobody scrapes: that library is loaded by the first scrape and filled from this.
 */
export class RequestMeter {
  readonly decisions = new Family<Decisions>(MAX_PROVIDERS, () => ({
    pass: 0,
    delay: 0,
    reject: 0,
  }));
  /** Index = status − 100. */
  readonly statuses = new Family(MAX_PROVIDERS, () => new Float64Array(STATUSES));
  readonly malformedFields = new Family(
    MAX_PROVIDERS,
    () => new Family<{ count: number }>(MAX_FIELDS, () => ({ count: 0 })),
  );
  readonly wait = new Buckets(WAIT_S);
  readonly overheads = new Buckets(OVERHEAD_S);
  readonly tunnels: Tunnels = { opened: 0, closed: 0, denied: 0 };

  /** A request was decided; `waitedMs` is 0 when it did not wait. */
  request(provider: string, decision: keyof Decisions, waitedMs: number): void {
    this.decisions.of(provider)[decision] += 1;
    this.wait.observe(waitedMs / 1000);
  }

  upstream(provider: string, status: number): void {
    const counts = this.statuses.of(provider);
    const at = status - 100;
    if (at >= 0 && at < STATUSES) counts[at] = (counts[at] as number) + 1;
  }

  overhead(ms: number): void {
    this.overheads.observe(ms / 1000);
  }

  tunnel(event: keyof Tunnels): void {
    this.tunnels[event] += 1;
  }

  malformed(provider: string, field: string): void {
    this.malformedFields.of(provider).of(field.toLowerCase()).count += 1;
  }
}
