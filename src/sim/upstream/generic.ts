/**
 * Any HTTP API that tells its quotas in the IETF fields (draft-ietf-httpapi-ratelimit-headers) or
 * the older `X-RateLimit-*`, refuses with 429 and Retry-After, and checks all before it charges any.
 */
import { SECOND, type DurationMs, type Units } from '../../core/units.ts';
import type { SimRequest, UpstreamPool, UpstreamWindow } from '../types.ts';
import { Partition, type PoolShape } from './partition.ts';
import type { Quota } from './quota.ts';
import type { Moment, UpstreamRules, Verdict } from './rules.ts';

export interface GenericLimits {
  readonly pools: readonly PoolShape[];
  readonly dialect: 'ietf' | 'x-ratelimit' | 'none';
  /** Refusals carry Retry-After. */
  readonly retryAfter: boolean;
}

export class GenericRules implements UpstreamRules {
  private readonly limits: GenericLimits;
  private readonly shapes: ReadonlyMap<string, PoolShape>;
  private readonly partition: Partition;
  private readonly policyField: string;

  constructor(limits: GenericLimits) {
    this.limits = limits;
    this.shapes = new Map(limits.pools.map((shape) => [shape.name, shape]));
    this.partition = new Partition((pool) => this.shapes.get(pool));
    this.policyField = limits.pools.map(policyItem).join(', ');
  }

  admit(request: SimRequest, { at }: Moment): Verdict {
    const { job } = request;
    const quotas = this.limits.pools.map(({ name }) => this.quota(job.identity, name));
    const asked = quotas.map(({ pool }) => unitsOf(request, pool));
    const short = quotas.findIndex((quota, i) => !quota.has(asked[i] as number, at));
    if (short >= 0) return this.refusal(quotas, short, asked[short] as number, at);
    const charged: Record<string, Units> = {};
    for (const [i, quota] of quotas.entries()) {
      quota.take(asked[i] as number, at, true);
      charged[quota.pool.name] = asked[i] as number;
    }
    const seats = quotas.filter(({ pool }) => pool.kind === 'concurrent');
    return {
      status: 200,
      fields: this.fields(quotas, at),
      body: '{}',
      refused: false,
      refusedBy: '',
      charged,
      serviceMs: null,
      left: seats.length === 0 ? null : () => seats.forEach((seat) => seat.free(1)),
    };
  }

  private refusal(quotas: readonly Quota[], short: number, units: Units, at: number): Verdict {
    const quota = quotas[short] as Quota;
    quota.refuse(at);
    const fields = this.fields(quotas, at);
    const wait = quota.waitFor(units, at);
    if (this.limits.retryAfter) {
      // Of concurrency nobody knows: a second is what servers say then.
      const ms = Number.isFinite(wait) ? wait : SECOND;
      fields.push('retry-after', String(Math.max(1, Math.ceil(ms / SECOND))));
    }
    return {
      status: 429,
      fields,
      body: JSON.stringify({ message: `quota \`${quota.pool.name}\` exceeded` }),
      refused: true,
      refusedBy: quota.pool.name,
      charged: {},
      serviceMs: null,
      left: null,
    };
  }

  private fields(quotas: readonly Quota[], at: number): string[] {
    const fields = ['content-type', 'application/json'];
    const { dialect } = this.limits;
    if (dialect === 'ietf') {
      fields.push('ratelimit-policy', this.policyField);
      fields.push('ratelimit', quotas.map((quota) => quotaItem(quota, at)).join(', '));
    } else if (dialect === 'x-ratelimit') {
      for (const quota of quotas) fields.push(...olderFields(quota, at, quotas.length === 1));
    }
    return fields;
  }

  outside(identity: string, pool: string, units: Units, { at }: Moment): boolean {
    const quotas = this.limits.pools.map(({ name }) => this.quota(identity, name));
    const counted = quotas.filter(
      (quota) =>
        quota.pool.kind !== 'concurrent' &&
        (quota.pool.name === pool || quota.pool.unit === 'requests'),
    );
    const asked = (quota: Quota): Units => (quota.pool.name === pool ? units : 1);
    if (counted.some((quota) => !quota.has(asked(quota), at))) return false;
    for (const quota of counted) quota.take(asked(quota), at, false);
    return true;
  }

  private quota(identity: string, pool: string): Quota {
    const quota = this.partition.of(identity, pool);
    if (quota === undefined) throw new Error(`this API has no pool \`${pool}\``);
    return quota;
  }

  shape(pool: string): PoolShape | undefined {
    return this.shapes.get(pool);
  }

  pools(): readonly UpstreamPool[] {
    return this.partition.pools();
  }

  windows(until: number): readonly UpstreamWindow[] {
    return this.partition.windows(until);
  }
}

function unitsOf({ job }: SimRequest, pool: UpstreamPool): Units {
  return job.cost.units[pool.name] ?? 1;
}

function policyItem(shape: PoolShape): string {
  const unit = shape.kind === 'concurrent' ? 'concurrent-requests' : shape.unit;
  const window =
    shape.kind === 'concurrent' ? '' : `;w=${Math.max(1, Math.round(shape.windowMs / SECOND))}`;
  return `"${shape.name}";q=${shape.limit};qu="${unit}"${window}`;
}

/** `t` is when more is to be had: for windows their end, for others when one more unit is back. */
function quotaItem(quota: Quota, at: number): string {
  const left = Math.floor(quota.remaining(at));
  if (quota.pool.kind === 'concurrent') return `"${quota.pool.name}";r=${left}`;
  return `"${quota.pool.name}";r=${left};t=${secondsUntilReset(quota, at)}`;
}

function secondsUntilReset(quota: Quota, at: number): number {
  return Math.max(0, Math.ceil(quota.resetIn(at) / SECOND));
}

function olderFields(quota: Quota, at: number, only: boolean): string[] {
  const name = only ? '' : `-${quota.pool.name}`;
  return [
    `x-ratelimit-limit${name}`,
    String(quota.pool.limit),
    `x-ratelimit-remaining${name}`,
    String(Math.floor(quota.remaining(at))),
    `x-ratelimit-reset${name}`,
    String(secondsUntilReset(quota, at)),
  ];
}

/** For tests and benches: one pool. */
export function onePool(
  kind: UpstreamPool['kind'],
  limit: Units,
  windowMs: DurationMs,
  dialect: GenericLimits['dialect'] = 'ietf',
): GenericLimits {
  const shape: PoolShape = { name: 'default', kind, unit: 'requests', limit, windowMs };
  return { pools: [shape], dialect, retryAfter: true };
}
