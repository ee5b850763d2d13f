import { DAY, HOUR, type EpochMs } from '../units.ts';
import { NO_FORECAST, NO_POOL, type Readings } from './readings.ts';
import type { ConditionEnv, Subject } from './types.ts';

/** 1970-01-01 was a Thursday. */
const WEEKDAYS = ['thu', 'fri', 'sat', 'sun', 'mon', 'tue', 'wed'] as const;

/** One object serves every rule of a request; only what is about a pool changes in between. */
export type MutableEnv = Omit<ConditionEnv, 'pool' | 'forecast'> & {
  pool: ConditionEnv['pool'];
  forecast: ConditionEnv['forecast'];
};

/** The values conditions see. `time.*` is UTC; `during` is there for local time. */
export function conditionEnv(subject: Subject, readings: Readings, now: EpochMs): MutableEnv {
  return {
    request: {
      method: subject.method,
      path: subject.path,
      host: subject.host,
      model: subject.model,
      bytes: readings.bytes,
      units: readings.units,
    },
    agent: {
      id: subject.agent,
      priority: subject.priority,
      weight: readings.agentWeight,
      share: readings.agentShare(),
    },
    identity: { id: subject.identity, kind: readings.identityKind },
    pool: NO_POOL,
    forecast: NO_FORECAST,
    cost: readings.cost(),
    provider: { id: subject.provider, degraded: readings.degraded },
    time: {
      hour: Math.floor(now / HOUR) % 24,
      weekday: WEEKDAYS[Math.floor(now / DAY) % 7] ?? 'thu',
    },
  };
}
