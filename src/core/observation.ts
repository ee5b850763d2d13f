import type { PoolSpec } from './claim.ts';
import type { DurationMs, EpochMs, Units } from './units.ts';

/**
 * What a provider told us. Never an estimate. Times are on the provider's clock where they are
 * absolute (`resetAt`); the core converts them with the response's own `Date`.
 */
export type Observation =
  QuotaObservation | ThrottleObservation | ChargeObservation | AccountObservation | MalformedField;

/** A quota's state. Absent members were not said. */
export interface QuotaObservation {
  readonly kind: 'quota';
  /** Which pool; for names not seen before, a spec made on the spot. */
  readonly spec: PoolSpec;
  readonly limit?: Units;
  readonly remaining?: Units;
  readonly used?: Units;
  /** When a fixed window ends, provider's clock, whole seconds floored. */
  readonly resetAt?: EpochMs;
  /** Fixed window: time until it ends. Bucket: time until it is *full*. */
  readonly resetIn?: DurationMs;
  /** Window length, stated or computed. */
  readonly windowMs?: DurationMs;
  /** True when the response that carried this was not itself counted (304, `/rate_limit`). */
  readonly free?: boolean;
}

/** A refusal by the provider. */
export interface ThrottleObservation {
  readonly kind: 'throttled';
  readonly class:
    | 'primary' // a known quota ran out: waits for its reset
    | 'secondary' // hidden or burst limit: Retry-After, else 60 s and doubling
    | 'overloaded' // provider in trouble (503, 529, server_is_overloaded)
    | 'slow_down' // ramped too fast
    | 'never'; // waiting cannot clear it: money, request too large
  /** The quota that refused, where it is known. */
  readonly spec?: PoolSpec;
  /** How far the refusal reaches. */
  readonly scope: 'request' | 'pool' | 'identity' | 'provider';
  /** How long the provider asked to wait; absent = it did not say. */
  readonly retryInMs?: DurationMs;
  /** The provider's code or the start of its message; never a credential, never a body. */
  readonly code: string;
}

/** The provider told (or its rules say) what this request itself was charged in a pool. */
export interface ChargeObservation {
  readonly kind: 'charge';
  readonly spec: PoolSpec;
  readonly units: Units;
}

/** Who is really charged, e.g. `org-…/proj_…`: credentials of one account share their pools. */
export interface AccountObservation {
  readonly kind: 'account';
  readonly account: string;
}

/** A rate-limit field that could not be read: ignored and counted. */
export interface MalformedField {
  readonly kind: 'malformed';
  readonly field: string;
}
