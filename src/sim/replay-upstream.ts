/**
 * The providers after the replay has left the record: quotas as they were last told, charged by what
 * the replay sends; answers as late as the recorded ones were. Nobody else uses them.
 */
import type { PoolSpec } from '../core/claim.ts';
import type { Observation } from '../core/observation.ts';
import type { Pool } from '../core/quota/pool.ts';
import { HOUR, MINUTE, type DurationMs, type EpochMs, type Units } from '../core/units.ts';
import type { RecordedRequest } from './replay-record.ts';

interface ModelPool {
  readonly limit: Units;
  readonly windowMs: DurationMs;
  readonly bucket: boolean;
  used: Units;
  /** End of a fixed window, `null` while none is open; of a bucket, when `used` was worked out. */
  at: EpochMs | null;
}

export interface ModelAnswer {
  readonly status: number;
  readonly observations: readonly Observation[];
  readonly headMs: DurationMs;
  readonly tailMs: DurationMs;
}

export class ReplayUpstream {
  private readonly pools = new Map<string, ModelPool>();
  private readonly latency: (provider: string) => Latency;

  constructor(pools: Iterable<Pool>, latency: (provider: string) => Latency, now: EpochMs) {
    this.latency = latency;
    for (const pool of pools) {
      const { spec } = pool;
      if (spec.source === 'policy' || (spec.kind !== 'fixed' && spec.kind !== 'bucket')) continue;
      const { limit, used, resetAt, windowMs } = pool.figures(now);
      if (limit === null || !Number.isFinite(limit)) continue;
      const bucket = spec.kind === 'bucket';
      this.pools.set(pool.id, {
        limit,
        windowMs: windowMs ?? (bucket ? MINUTE : HOUR),
        bucket,
        used: Math.max(0, used ?? 0),
        at: bucket ? now : resetAt,
      });
    }
  }

  /** @param ids pool ids of the request's draws, in their order */
  answer(request: RecordedRequest, ids: readonly string[], now: EpochMs): ModelAnswer {
    const own = ownLatency(request) ?? this.latency(request.entry.who.provider);
    const drawn: { spec: PoolSpec; pool: ModelPool; units: Units }[] = [];
    request.draws.forEach((draw, i) => {
      const id = ids[i] ?? '';
      const pool = this.pools.get(id);
      if (pool === undefined) return;
      roll(pool, now);
      drawn.push({ spec: draw.spec, pool, units: request.charges.get(id) ?? draw.units });
    });
    const full = drawn.find(({ pool, units }) => pool.used + units > pool.limit);
    if (full !== undefined) {
      const { spec, pool } = full;
      const retryInMs = Math.ceil(waitFor(pool, full.units, now));
      const base = { kind: 'throttled', class: 'primary', scope: 'pool' } as const;
      const throttle = { ...base, spec, retryInMs, code: 'modelled' };
      return { ...own, status: 429, observations: [quotaOf(spec, pool, now), throttle] };
    }
    for (const { pool, units } of drawn) {
      if (!pool.bucket && units > 0) pool.at ??= now + pool.windowMs;
      pool.used += units;
    }
    const recorded = request.ended?.[1] ?? 200;
    const status = recorded === 429 || recorded === 403 || recorded === 0 ? 200 : recorded;
    const observations = drawn.map(({ spec, pool }) => quotaOf(spec, pool, now));
    return { ...own, status, observations };
  }
}

function roll(pool: ModelPool, now: EpochMs): void {
  if (pool.at === null || (!pool.bucket && pool.at > now)) return;
  if (pool.bucket) {
    pool.used = Math.max(0, pool.used - ((now - pool.at) / pool.windowMs) * pool.limit);
    pool.at = now;
  } else {
    pool.used = 0;
    pool.at = null;
  }
}

function waitFor(pool: ModelPool, units: Units, now: EpochMs): DurationMs {
  if (!pool.bucket) return Math.max(0, (pool.at ?? now) - now);
  return ((pool.used + units - pool.limit) / pool.limit) * pool.windowMs;
}

function quotaOf(spec: PoolSpec, pool: ModelPool, now: EpochMs): Observation {
  const { limit, windowMs, bucket } = pool;
  const used = Math.min(limit, Math.ceil(pool.used));
  const base = { kind: 'quota', spec, limit, used, remaining: limit - used } as const;
  if (bucket) return { ...base, resetIn: Math.ceil((pool.used / limit) * windowMs) };
  return pool.at === null ? base : { ...base, resetAt: Math.floor(Math.max(pool.at, now)) };
}

export interface Latency {
  /** From sending to the answer's head. */
  readonly headMs: DurationMs;
  /** From there to its end. */
  readonly tailMs: DurationMs;
}

function ownLatency({ sentAt, headAt, endedAt }: RecordedRequest): Latency | null {
  const sent = sentAt.at(-1);
  if (sent === undefined || endedAt === null) return null;
  const head = headAt ?? endedAt;
  return { headMs: Math.max(0, head - sent), tailMs: Math.max(0, endedAt - head) };
}

/** Of requests that the record never sent: the median of those of their provider that it did. */
export function medianLatency(requests: Iterable<RecordedRequest>): (provider: string) => Latency {
  const seen = new Map<string, Latency[]>();
  for (const request of requests) {
    const own = ownLatency(request);
    if (own === null) continue;
    const { provider } = request.entry.who;
    const list = seen.get(provider);
    if (list === undefined) seen.set(provider, [own]);
    else list.push(own);
  }
  const medians = new Map<string, Latency>();
  for (const [provider, list] of seen) {
    medians.set(provider, {
      headMs: median(list.map((one) => one.headMs)),
      tailMs: median(list.map((one) => one.tailMs)),
    });
  }
  return (provider) => medians.get(provider) ?? { headMs: 100, tailMs: 0 };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
