/**
 * What a refusal means: from an error object in a body or a stream, its status, and the wait that
 * the fields asked for. Codes and messages: README.md, "Refusals".
 */
import type { PoolSpec } from '../../src/core/claim.ts';
import type { Observation, ThrottleObservation } from '../../src/core/observation.ts';
import type { DurationMs } from '../../src/core/units.ts';
import { DAY, HOUR, MINUTE } from '../../src/core/units.ts';
import { parseGoDuration } from '../dialects/go-duration.ts';
import type { ModelPools } from './pools.ts';

export interface ErrorFacts {
  /** HTTP status; 200 for an error inside a stream. */
  readonly status: number;
  readonly type: string;
  readonly code: string;
  readonly message: string;
  /** What `retry-after-ms` or `retry-after` asked for. */
  readonly retryInMs: DurationMs | undefined;
  /** The limit that the same response's fields stated for a family. */
  readonly statedLimit: (family: string) => number | undefined;
  /** A family whose fields said that nothing remains. */
  readonly emptyFamily: string | undefined;
}

/** Money: waiting clears none of these, a person must act. */
const MONEY: ReadonlySet<string> = new Set([
  'insufficient_quota',
  'credit_balance_exhausted',
  'organization_spend_limit_exceeded',
  'project_spend_limit_exceeded',
  'organization_usage_limit_exceeded',
  'billing_hard_limit_reached',
  'billing_not_active',
]);

/** Messages are read this far; the arithmetic is in the first line. */
const MESSAGE_READ = 2048;

/** @returns nothing when the error is none of the limits' business */
export function explainError(error: ErrorFacts, pools: ModelPools): Observation[] {
  const { status, type, code } = error;
  const retry = error.retryInMs === undefined ? {} : { retryInMs: error.retryInMs };
  const named = printable(code) || printable(type) || `http_${status}`;
  if (MONEY.has(code) || (type === 'insufficient_quota' && code !== 'rate_limit_exceeded')) {
    return [{ kind: 'throttled', class: 'never', scope: 'identity', code: named }];
  }
  if (code === 'slow_down' || type === 'slow_down') {
    return [{ kind: 'throttled', class: 'slow_down', scope: 'identity', ...retry, code: named }];
  }
  if (code === 'server_is_overloaded' || status === 503 || status === 529) {
    return [{ kind: 'throttled', class: 'overloaded', scope: 'provider', ...retry, code: named }];
  }
  if (status !== 429 && code !== 'rate_limit_exceeded') return [];
  return rateLimited(error, pools, named);
}

function rateLimited(error: ErrorFacts, pools: ModelPools, code: string): Observation[] {
  const message = error.message.slice(0, MESSAGE_READ);
  const said = readMessage(message, error.type);
  const spec = specOf(said, error, pools);
  const found: Observation[] = [];
  if (spec !== undefined && said.limit !== undefined) {
    // Fields of the same answer are as fresh and say more; those of a stream are older than its error.
    if (error.status === 200 || error.statedLimit(spec.name) === undefined) {
      found.push({
        kind: 'quota',
        spec,
        limit: said.limit,
        ...(said.used === undefined
          ? {}
          : { used: said.used, remaining: Math.max(0, said.limit - said.used) }),
        ...(said.windowMs === undefined ? {} : { windowMs: said.windowMs }),
      });
    }
  }
  if (said.tooLarge) {
    const never = { kind: 'throttled', class: 'never', scope: 'request', code } as const;
    found.push(spec === undefined ? never : { ...never, spec });
    return found;
  }
  // The field is in whole seconds and the message is finer: whichever asks for more is obeyed.
  const wait = Math.max(error.retryInMs ?? -1, said.waitMs ?? -1);
  const throttle: ThrottleObservation = {
    kind: 'throttled',
    class: spec === undefined ? 'secondary' : 'primary',
    scope: spec === undefined ? 'identity' : 'pool',
    ...(spec === undefined ? {} : { spec }),
    ...(wait < 0 ? {} : { retryInMs: wait }),
    code,
  };
  found.push(throttle);
  return found;
}

interface Said {
  /** `requests`, `tokens`, `images`…, or `''`. */
  readonly family: string;
  readonly windowMs: DurationMs | undefined;
  readonly limit: number | undefined;
  readonly used: number | undefined;
  readonly waitMs: DurationMs | undefined;
  readonly tooLarge: boolean;
}

const PERIODS: Readonly<Record<string, DurationMs>> = { min: MINUTE, hour: HOUR, day: DAY };

function readMessage(message: string, type: string): Said {
  const quota = /\b(requests|tokens|images) per (min|hour|day)/i.exec(message);
  const wait = /\btry again in ([0-9][0-9.hmsuµn]{0,30})/i.exec(message);
  const waitMs = wait === null ? NaN : parseGoDuration((wait[1] as string).replace(/\.$/, ''));
  const typed = type === 'requests' || type === 'tokens' ? type : '';
  return {
    family: quota === null ? typed : (quota[1] as string).toLowerCase(),
    windowMs: quota === null ? undefined : PERIODS[(quota[2] as string).toLowerCase()],
    limit: numberAfter(message, /\bLimit:? ([\d,]{1,20})/i),
    used: numberAfter(message, /\b(?:Used|Current):? ([\d,]{1,20})/i),
    waitMs: Number.isNaN(waitMs) ? undefined : Math.ceil(waitMs),
    tooLarge: /^\s*Request too large/i.test(message),
  };
}

function numberAfter(message: string, pattern: RegExp): number | undefined {
  const match = pattern.exec(message);
  const value = match === null ? NaN : Number((match[1] as string).replaceAll(',', ''));
  return Number.isSafeInteger(value) ? value : undefined;
}

/**
 * The fields show one quota a name. Where a message names a daily one with another limit than the
 * fields state, both exist, and the daily one gets a pool of its own.
 */
function specOf(said: Said, error: ErrorFacts, pools: ModelPools): PoolSpec | undefined {
  const name = said.family === '' ? error.emptyFamily : said.family;
  if (name === undefined) return undefined;
  const stated = error.statedLimit(name);
  const apart =
    said.windowMs === DAY &&
    said.limit !== undefined &&
    stated !== undefined &&
    stated !== said.limit;
  return pools.family(apart ? `${name}-per-day` : name);
}

function printable(code: string): string {
  return /^[A-Za-z0-9_.-]{1,64}$/.test(code) ? code : '';
}
