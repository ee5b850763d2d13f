/** What a response's fields say, in any of the dialects. */
import type { Claim, PoolSpec } from '../../src/core/claim.ts';
import type { ResponseHead } from '../../src/core/head.ts';
import type { Observation, QuotaObservation } from '../../src/core/observation.ts';
import { parseCount } from '../dialects/count.ts';
import { readRetryAfter } from '../dialects/retry-after.ts';
import type { QuotaItem } from './ietf.ts';
import { readPolicies, readQuotas } from './ietf.ts';
import type { Role } from './names.ts';
import { roleReader, unitOf, windowOf } from './names.ts';
import { NO_ROUTE, poolName } from './pools.ts';
import type { PoolMemory } from './pools.ts';
import { readReset } from './resets.ts';
import type { Reset } from './resets.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Quota = Writable<QuotaObservation>;

interface Reading extends Reset {
  readonly family: string;
  readonly dialect: string;
  readonly name: string;
  limit: number;
  remaining: number;
  used: number;
  windowMs: number | undefined;
}

const MAX_READINGS = 16;
const MAX_POLICIES_CACHED = 64;

export type Observe = (head: ResponseHead, claim: Claim) => Observation[];

export function observer(memory: PoolMemory): Observe {
  const roleOf = roleReader();
  const policiesOf = cachedPolicies();

  return (head, claim) => {
    const found: Observation[] = [];
    const readings: Reading[] = [];
    let quotaLines: string | undefined;
    let policyLines: string | undefined;
    let cached = false;
    let retry = false;
    const { fields } = head;
    for (let i = 0; i < fields.length; i += 2) {
      const role = roleOf(fields[i] as string);
      if (role === null) continue;
      const value = fields[i + 1] as string;
      if (role.kind === 'part') takePart(role, value, head, readings, found);
      else if (role.kind === 'ietf-quota') quotaLines = joined(quotaLines, value);
      else if (role.kind === 'ietf-policy') policyLines = joined(policyLines, value);
      else if (role.kind === 'age') cached = parseCount(value) > 0;
      else retry = true;
    }
    // What a cache kept tells of the past (draft-ietf-httpapi-ratelimit-headers, "Caching").
    if (!cached) {
      const quotas: Quota[] = [];
      const named = ietfQuotas(quotaLines, policyLines, policiesOf, memory, quotas, found);
      for (const reading of readings) addReading(reading, named, memory, quotas);
      if (quotas.length > 0) learn(quotas, claim, memory, found);
    }
    if (retry || head.status === 429 || head.status >= 500) refusal(head, found);
    return found;
  };
}

function joined(before: string | undefined, line: string): string {
  return before === undefined ? line : `${before}, ${line}`;
}

/** A host's policy is the same text on every answer. */
function cachedPolicies(): (lines: string) => QuotaItem[] | null {
  const cache = new Map<string, QuotaItem[] | null>();
  return (lines) => {
    const known = cache.get(lines);
    if (known !== undefined) return known;
    if (cache.size >= MAX_POLICIES_CACHED) cache.clear();
    const items = readPolicies(lines);
    cache.set(lines, items);
    return items;
  };
}

/** @returns whether the unnamed quota was told in this dialect, which then outranks the older ones */
function ietfQuotas(
  quotaLines: string | undefined,
  policyLines: string | undefined,
  policiesOf: (lines: string) => QuotaItem[] | null,
  memory: PoolMemory,
  quotas: Quota[],
  found: Observation[],
): boolean {
  const items = quotaLines === undefined ? [] : readQuotas(quotaLines);
  if (items === null) found.push({ kind: 'malformed', field: 'ratelimit' });
  const policies = policyLines === undefined ? [] : policiesOf(policyLines);
  if (policies === null) found.push({ kind: 'malformed', field: 'ratelimit-policy' });
  for (const item of items ?? []) {
    const policy = policies?.find((one) => describes(one, item));
    addItem(item, policy, memory, quotas);
  }
  // Without `RateLimit` a policy still tells the limit, unless the older fields tell more.
  if (quotaLines === undefined) {
    for (const policy of policies ?? []) {
      if (policy.name !== '') addItem(policy, policy, memory, quotas);
    }
  }
  return items !== null && items.length > 0;
}

function describes(policy: QuotaItem, item: QuotaItem): boolean {
  if (policy.name !== item.name) return false;
  return item.name !== '' || item.limit === undefined || item.limit === policy.limit;
}

function addItem(
  item: QuotaItem,
  policy: QuotaItem | undefined,
  memory: PoolMemory,
  quotas: Quota[],
): void {
  const qu = policy?.unit ?? item.unit;
  const kind = qu.startsWith('concurrent') ? 'concurrent' : 'fixed';
  const unit =
    qu === '' || qu.startsWith('request') || kind === 'concurrent' ? 'requests' : unitOf(qu);
  const spec = memory.pool(poolName(item.name), unit, kind);
  if (spec === undefined) return;
  const quota: Quota = { kind: 'quota', spec };
  const limit = item.limit ?? policy?.limit;
  const windowMs = item.windowMs ?? policy?.windowMs;
  if (limit !== undefined) quota.limit = limit;
  if (item.remaining !== undefined) quota.remaining = Math.min(item.remaining, limit ?? Infinity);
  if (item.resetIn !== undefined) quota.resetIn = item.resetIn;
  if (windowMs !== undefined) quota.windowMs = windowMs;
  quotas.push(quota);
}

function takePart(
  role: Extract<Role, { kind: 'part' }>,
  value: string,
  head: ResponseHead,
  readings: Reading[],
  found: Observation[],
): void {
  const { part, family, dialect } = role;
  let reading: Reading | undefined;
  for (const one of readings) if (one.family === family) reading = one;
  if (reading === undefined) {
    if (readings.length >= MAX_READINGS) return;
    reading = newReading(role);
    readings.push(reading);
  }
  // The same quota in two spellings: the first is as good as the second.
  if (reading.dialect !== dialect) return;
  let good: boolean;
  if (part === 'reset') good = reading.in !== undefined || readReset(value, head.date, reading);
  else if (part === 'resetAfter') good = readReset(value, 0, reading);
  else good = takeCount(reading, part, value);
  if (!good) found.push({ kind: 'malformed', field: fieldName(role) });
}

function newReading({ family, dialect }: Extract<Role, { kind: 'part' }>): Reading {
  return {
    family,
    dialect,
    name: poolName(family),
    limit: NaN,
    remaining: NaN,
    used: NaN,
    at: undefined,
    in: undefined,
    windowMs: undefined,
  };
}

/** `100`, `99.5`, or `100, 100;w=60` as drafts before 07 had it. */
function takeCount(reading: Reading, part: 'limit' | 'remaining' | 'used', value: string): boolean {
  const count = parseCount(value);
  if (!Number.isNaN(count)) {
    reading[part] = count;
    return true;
  }
  const match = /^\s*(\d{1,15})(?:\.\d{1,9})?\s*(?:[,;]|$)/.exec(value);
  if (match === null) return false;
  reading[part] = Number(match[1]);
  const window = /;\s*w(?:indow)?=(\d{1,8})/.exec(value);
  if (part === 'limit' && window !== null) reading.windowMs = Number(window[1]) * 1000 || undefined;
  return true;
}

function addReading(reading: Reading, named: boolean, memory: PoolMemory, quotas: Quota[]): void {
  const { family, limit, remaining, used } = reading;
  if (named && family === '') return;
  if (Number.isNaN(limit) && Number.isNaN(remaining) && Number.isNaN(used)) return;
  const spec = family === '' ? memory.requests : memory.pool(reading.name, unitOf(family), 'fixed');
  if (spec === undefined) return;
  const quota: Quota = { kind: 'quota', spec };
  if (!Number.isNaN(limit)) quota.limit = limit;
  if (!Number.isNaN(used)) quota.used = used;
  if (!Number.isNaN(remaining)) quota.remaining = remaining > limit ? limit : remaining;
  else if (used >= 0 && limit >= 0) quota.remaining = Math.max(0, limit - used);
  if (reading.at !== undefined) quota.resetAt = reading.at;
  if (reading.in !== undefined) quota.resetIn = reading.in;
  const windowMs = reading.windowMs ?? windowOf(family);
  if (windowMs !== undefined) quota.windowMs = windowMs;
  quotas.push(quota);
}

function learn(quotas: Quota[], claim: Claim, memory: PoolMemory, found: Observation[]): void {
  const specs: PoolSpec[] = [];
  for (const quota of quotas) {
    if (!specs.includes(quota.spec)) specs.push(quota.spec);
    found.push(quota);
  }
  const route = typeof claim.memo === 'string' ? claim.memo : NO_ROUTE;
  // Requests that were let in, or wait, on `requests` are judged by the tightest of the named ones.
  if (route === NO_ROUTE && !specs.includes(memory.requests)) {
    const tightest = quotas.reduce((a, b) => (share(b) < share(a) ? b : a));
    found.push({ ...tightest, spec: memory.requests });
  }
  memory.learn(route, specs);
}

function share(quota: Quota): number {
  return quota.spec.unit === 'requests' ? (quota.remaining ?? Infinity) : Infinity;
}

function refusal(head: ResponseHead, found: Observation[]): void {
  const { status } = head;
  // A 200 may carry it too: Hugging Face's router and Anthropic do, and ask for nothing by it.
  if (status !== 429 && status < 500) return;
  const retry = readRetryAfter(head);
  if (retry.malformed !== undefined) found.push({ kind: 'malformed', field: retry.malformed });
  const wait = retry.ms === undefined ? {} : { retryInMs: retry.ms };
  const code = `http_${status}`;
  if (status !== 429) {
    if (status !== 503 && status !== 529 && retry.ms === undefined) return;
    found.push({ kind: 'throttled', class: 'overloaded', scope: 'identity', ...wait, code });
    return;
  }
  let empty: PoolSpec | undefined;
  for (const one of found) {
    if (one.kind === 'quota' && one.remaining === 0 && empty === undefined) empty = one.spec;
  }
  found.push(
    empty === undefined
      ? { kind: 'throttled', class: 'secondary', scope: 'identity', ...wait, code }
      : { kind: 'throttled', class: 'primary', scope: 'pool', spec: empty, ...wait, code },
  );
}

function fieldName({ part, family, dialect }: Extract<Role, { kind: 'part' }>): string {
  const word = part === 'resetAfter' ? 'reset-after' : part;
  return `${dialect}ratelimit-${word}${family === '' ? '' : `-${family}`}`;
}
