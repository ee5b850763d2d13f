/** Observations → the data of an `observed` entry. */
import {
  ACCOUNT_PREFIX,
  NEWS_LIMIT,
  NEWS_WINDOW,
  type ObservedData,
  type QuotaRow,
  type ThrottleRow,
} from '../ledger/layout.ts';
import type { Observation, QuotaObservation, ThrottleObservation } from '../observation.ts';
import {
  backoffMs,
  gateId,
  HOPELESS_MS,
  OVERLOAD_CAP_MS,
  OVERLOAD_FIRST_MS,
  SECONDARY_CAP_MS,
  SECONDARY_FIRST_MS,
} from '../quota/gate.ts';
import { hiddenId } from '../quota/hidden.ts';
import type { Pool } from '../quota/pool.ts';
import { GLOBAL, SECOND, type EpochMs } from '../units.ts';
import { PoolIndex, specRows } from './entries.ts';
import type { EngineState, Party } from './state.ts';

/** A window whose reset is this much later than the one known is a new one. */
const NEW_WINDOW_MS = 2 * SECOND;

/** How fast a party was sending to an endpoint class when the answer came. */
export interface Pace {
  readonly endpoint: string;
  /** Requests a second. */
  readonly perS: number;
}

interface Moment {
  readonly sentAt: EpochMs;
  readonly now: EpochMs;
  readonly pace: Pace | null;
}

export interface Observed {
  readonly data: ObservedData;
  readonly pools: readonly string[];
}

/**
 * @param sentAt when the request that brought it was sent
 * @returns `null` when there is nothing in it
 */
export function observedData(
  state: EngineState,
  party: Party,
  observations: readonly Observation[],
  source: ObservedData[0],
  status: number,
  sentAt: EpochMs,
  date: EpochMs | null,
  now: EpochMs,
  pace: Pace | null = null,
): Observed | null {
  if (observations.length === 0) return null;
  const index = new PoolIndex();
  const made: Pool[] = [];
  const quotas: QuotaRow[] = [];
  const throttles: ThrottleRow[] = [];
  const charges: [number, number][] = [];
  const malformed: string[] = [];
  let account = -1;
  // Who is charged decides which pools the figures belong to: first of all.
  for (const o of observations) {
    if (o.kind !== 'account' || o.account === party.charged) continue;
    account = index.of(ACCOUNT_PREFIX + o.account);
    state.setAccount(party.provider, party.identity, o.account, now);
  }
  for (const o of observations) {
    if (o.kind === 'quota') {
      const pool = state.poolFor(party, o.spec, made);
      quotas.push(quotaRow(o, pool, party.identity, index, now));
    } else if (o.kind === 'throttled') {
      const pool = o.spec === undefined ? null : state.poolFor(party, o.spec, made);
      throttles.push(throttleRow(state, party, o, pool, index, { sentAt, now, pace }));
    } else if (o.kind === 'charge') {
      charges.push([index.of(state.poolFor(party, o.spec, made).id), o.units]);
    } else if (o.kind === 'malformed') malformed.push(o.field);
  }
  if (quotas.length + throttles.length + charges.length + malformed.length === 0 && account < 0) {
    return null;
  }
  const specs = specRows(made, index);
  const data: ObservedData = [
    source,
    status,
    sentAt,
    date,
    quotas,
    throttles,
    charges,
    account,
    specs,
    malformed,
  ];
  return { data, pools: index.ids };
}

function quotaRow(
  o: QuotaObservation,
  pool: Pool,
  identity: string,
  index: PoolIndex,
  now: EpochMs,
): QuotaRow {
  const limit = o.limit ?? null;
  const resetAt = o.resetAt ?? null;
  let news = limit !== null && pool.isNewLimit(identity, limit) ? NEWS_LIMIT : 0;
  if (resetAt !== null && pool.spec.kind === 'fixed') {
    const known = pool.figures(now).resetAt;
    if (known === null || resetAt - known > NEW_WINDOW_MS) news |= NEWS_WINDOW;
  }
  return [
    index.of(pool.id),
    limit,
    o.remaining ?? null,
    o.used ?? null,
    resetAt,
    o.resetIn ?? null,
    o.windowMs ?? null,
    o.free === true ? 1 : 0,
    news,
  ];
}

function throttleRow(
  state: EngineState,
  party: Party,
  o: ThrottleObservation,
  pool: Pool | null,
  index: PoolIndex,
  { sentAt, now, pace }: Moment,
): ThrottleRow {
  const wait = waitAfter(state, party, o, pool, sentAt, now);
  const until = o.scope === 'request' ? 0 : now + wait;
  const unexplained = (o.class === 'secondary' || o.class === 'slow_down') && pool === null;
  const hidden =
    pace !== null && unexplained && o.scope !== 'provider'
      ? index.of(hiddenId(party.provider, party.charged, pace.endpoint))
      : -1;
  return [
    o.class,
    o.scope,
    blockedIndex(party, o, pool, index),
    o.retryInMs ?? null,
    o.code,
    Math.ceil(until),
    o.class === 'never' ? 1 : 0,
    ...(hidden < 0 || pace === null ? ([] as const) : ([hidden, round3(pace.perS)] as const)),
  ];
}

/** What the refusal shuts: a pool, or the gate of an identity or of the whole provider. */
function blockedIndex(
  party: Party,
  o: ThrottleObservation,
  pool: Pool | null,
  index: PoolIndex,
): number {
  if (o.scope === 'provider') return index.of(gateId(party.provider, GLOBAL));
  if (o.scope === 'identity') return index.of(gateId(party.provider, party.charged));
  if (pool !== null) return index.of(pool.id);
  return o.scope === 'pool' ? index.of(gateId(party.provider, party.charged)) : -1;
}

/** Retry-After outranks the reset, which outranks our own doubling wait. */
function waitAfter(
  state: EngineState,
  party: Party,
  o: ThrottleObservation,
  pool: Pool | null,
  sentAt: EpochMs,
  now: EpochMs,
): number {
  if (o.class === 'never') return HOPELESS_MS;
  if (o.retryInMs !== undefined) return o.retryInMs;
  if (o.class === 'primary') {
    const reset = pool?.resetTime(now) ?? null;
    return reset !== null && reset > now ? reset - now : SECONDARY_FIRST_MS;
  }
  const charged = o.scope === 'provider' ? GLOBAL : party.charged;
  const strikes = state.gates.get(gateId(party.provider, charged))?.doublings(sentAt) ?? 0;
  return o.class === 'overloaded'
    ? backoffMs(strikes, OVERLOAD_FIRST_MS, OVERLOAD_CAP_MS)
    : backoffMs(strikes, SECONDARY_FIRST_MS, SECONDARY_CAP_MS);
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
