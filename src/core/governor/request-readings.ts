/** What policy conditions are told of a request. */
import { NO_FORECAST, type PoolRef, type Readings } from '../policy/readings.ts';
import type { ConditionEnv } from '../policy/types.ts';
import { gateId, hostGate } from '../quota/gate.ts';
import type { Pool } from '../quota/pool.ts';
import { GLOBAL, type EpochMs } from '../units.ts';
import { CostReading, NOTHING_SPENT } from './expenses.ts';
import type { Outlook } from './outlook.ts';
import { ForecastReading } from './outlook-reading.ts';
import { keptFor, type LiveRequest } from './request.ts';
import type { EngineState } from './state.ts';

/** Worked out only as far as rules ask. */
export class RequestReadings implements Readings {
  readonly bytes: number;
  readonly units: number;
  readonly agentWeight: number;
  readonly identityKind: string;
  private readonly state: EngineState;
  private readonly request: LiveRequest;
  private readonly now: EpochMs;
  private refs: PoolRef[] | null = null;
  private readonly read: ConditionEnv['pool'][] = [];
  private readonly foreseen: ConditionEnv['forecast'][] = [];
  private readonly outlook: Outlook | null;

  constructor(
    state: EngineState,
    request: LiveRequest,
    agentWeight: number,
    identityKind: string,
    now: EpochMs,
    outlook: Outlook | null,
  ) {
    this.bytes = request.head.contentLength ?? 0;
    this.units = request.claim.draws[0]?.units ?? 1;
    this.agentWeight = agentWeight;
    this.identityKind = identityKind;
    this.state = state;
    this.request = request;
    this.now = now;
    this.outlook = outlook;
  }

  get degraded(): boolean {
    if (this.state.gates.size === 0) return false;
    const { provider, head } = this.request;
    return (
      this.isTroubled(provider.id, GLOBAL) || this.isTroubled(provider.id, hostGate(head.host))
    );
  }

  private isTroubled(provider: string, what: string): boolean {
    return (this.state.gates.get(gateId(provider, what))?.strikes ?? 0) > 0;
  }

  get pools(): readonly PoolRef[] {
    return (this.refs ??= this.request.draws.map((draw) => ({
      id: draw.pool.id,
      name: draw.pool.spec.name,
      units: draw.units,
      kept: keptFor(draw),
    })));
  }

  agentShare(): number | null {
    return this.request.draws[0]?.pool.spending.share(this.request.who.agent) ?? null;
  }

  /** The same for every rule of one decision: worked out once. */
  pool(index: number): ConditionEnv['pool'] {
    const known = this.read[index];
    if (known !== undefined) return known;
    const pool = this.request.draws[index]?.pool;
    if (pool === undefined) throw new Error('a reading of a pool that is not drawn on');
    return (this.read[index] = new PoolReading(pool, this.now));
  }

  /** Nothing is worked out before a condition asks. */
  forecast(index: number): ConditionEnv['forecast'] {
    const pool = this.request.draws[index]?.pool;
    if (this.outlook === null || pool === undefined) return NO_FORECAST;
    return (this.foreseen[index] ??= new ForecastReading(this.outlook, pool, this.now));
  }

  /** The most it can cost, and what its agent's requests cost since midnight UTC. */
  cost(): ConditionEnv['cost'] {
    const { money, who } = this.request;
    const { spent } = this.state;
    if (money === null && spent.empty) return NOTHING_SPENT;
    return new CostReading(money, spent, who.agent, this.now);
  }
}

/** Readings of one pool at one moment. How fast it goes is worked out for who asks. */
class PoolReading {
  readonly id: string;
  readonly limit: number | null;
  readonly remaining: number | null;
  readonly remaining_ratio: number | null;
  readonly used: number | null;
  readonly reset_in: number | null;
  readonly utilization: number | null;
  readonly age: number | null;
  private readonly source: Pool;
  private readonly now: EpochMs;

  constructor(pool: Pool, now: EpochMs) {
    const { limit, remaining, used, reserved, resetAt, observedAt } = pool.figures(now);
    const free = remaining === null ? null : Math.max(0, remaining - reserved);
    const ratio = limit !== null && limit > 0 && free !== null ? free / limit : null;
    this.id = pool.spec.name;
    this.limit = limit;
    this.remaining = free;
    this.remaining_ratio = ratio;
    this.used = used === null ? null : used + reserved;
    this.reset_in = resetAt === null ? null : Math.max(0, resetAt - now) / 1000;
    this.utilization = ratio === null ? null : 1 - ratio;
    this.age = observedAt === null ? null : Math.max(0, now - observedAt) / 1000;
    this.source = pool;
    this.now = now;
  }

  get burn_rate(): number {
    return this.source.spending.rate(this.now);
  }
}
