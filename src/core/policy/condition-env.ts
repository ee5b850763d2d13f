import { DAY, HOUR, type EpochMs } from '../units.ts';
import { NO_FORECAST, NO_POOL, type Readings } from './readings.ts';
import type { ConditionEnv, Subject } from './types.ts';

/** 1970-01-01 was a Thursday. */
const WEEKDAYS = ['thu', 'fri', 'sat', 'sun', 'mon', 'tue', 'wed'] as const;

/**
 * The values conditions see. One object serves every rule of a request, and only what is asked for is
 * worked out. `time.*` is UTC; `during` is there for local time.
 */
export class RequestEnv implements ConditionEnv {
  /** The pool that a rule is tried against; below 0: none. */
  poolIndex = -1;
  private readonly subject: Subject;
  private readonly readings: Readings;
  private readonly now: EpochMs;
  private asked: ConditionEnv['request'] | null = null;
  private asker: ConditionEnv['agent'] | null = null;
  private spent: ConditionEnv['cost'] | null = null;

  constructor(subject: Subject, readings: Readings, now: EpochMs) {
    this.subject = subject;
    this.readings = readings;
    this.now = now;
  }

  get request(): ConditionEnv['request'] {
    return (this.asked ??= {
      method: this.subject.method,
      path: this.subject.path,
      host: this.subject.host,
      model: this.subject.model,
      bytes: this.readings.bytes,
      units: this.readings.units,
    });
  }

  get agent(): ConditionEnv['agent'] {
    return (this.asker ??= new AgentReading(this.subject, this.readings));
  }

  get identity(): ConditionEnv['identity'] {
    return { id: this.subject.identity, kind: this.readings.identityKind };
  }

  get pool(): ConditionEnv['pool'] {
    return this.poolIndex < 0 ? NO_POOL : this.readings.pool(this.poolIndex);
  }

  get forecast(): ConditionEnv['forecast'] {
    return this.poolIndex < 0 ? NO_FORECAST : this.readings.forecast(this.poolIndex);
  }

  get cost(): ConditionEnv['cost'] {
    return (this.spent ??= this.readings.cost());
  }

  get provider(): ConditionEnv['provider'] {
    return { id: this.subject.provider, degraded: this.readings.degraded };
  }

  get time(): ConditionEnv['time'] {
    const { now } = this;
    return {
      hour: Math.floor(now / HOUR) % 24,
      weekday: WEEKDAYS[Math.floor(now / DAY) % 7] ?? 'thu',
    };
  }
}

/** Its share is a sum over all agents: added up only for who asks. */
class AgentReading {
  readonly id: string;
  readonly priority: string;
  readonly weight: number;
  private readonly readings: Readings;

  constructor(subject: Subject, readings: Readings) {
    this.id = subject.agent;
    this.priority = subject.priority;
    this.weight = readings.agentWeight;
    this.readings = readings;
  }

  get share(): number | null {
    return this.readings.agentShare();
  }
}
