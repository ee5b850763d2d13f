/**
 * GitHub's REST and GraphQL API, as far as its quotas go: fixed windows opened by the first call,
 * per user; secondary limits on top, which no field tells of and which refuse with plenty left.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
import { field } from '../../core/head.ts';
import { HOUR, MINUTE, SECOND, type DurationMs, type Units } from '../../core/units.ts';
import type { SimRequest, UpstreamPool, UpstreamWindow } from '../types.ts';
import { Partition, type PoolShape } from './partition.ts';
import type { FixedQuota, Quota } from './quota.ts';
import type { Moment, UpstreamRules, Verdict } from './rules.ts';

export interface GithubLimits {
  /** Requests an hour (`core`) or points an hour (`graphql`), requests a minute (`search`). */
  readonly core: Units;
  readonly search: Units;
  readonly graphql: Units;
  /** Another length for the window of `core` and `graphql`; GitHub's own is an hour. */
  readonly windowMs: DurationMs;
  /** The documented secondary limits, or `null` for none. */
  readonly secondary: SecondaryLimits | null;
  /** Limits that nobody documents: so many requests in so long, refused as secondary. */
  readonly hidden: readonly HiddenLimit[];
  /** What a secondary refusal asks to wait; `null` = it does not say. */
  readonly retryAfterMs: DurationMs | null;
}

export interface SecondaryLimits {
  readonly concurrent: Units;
  readonly pointsPerMinute: Units;
  readonly graphqlPointsPerMinute: Units;
  readonly contentPerMinute: Units;
  readonly contentPerHour: Units;
}

export interface HiddenLimit {
  readonly name: string;
  readonly limit: Units;
  readonly windowMs: DurationMs;
  /** Only requests that write. */
  readonly writes: boolean;
}

export const GITHUB_DEFAULTS: GithubLimits = {
  core: 5000,
  search: 30,
  graphql: 5000,
  windowMs: HOUR,
  secondary: {
    concurrent: 100,
    pointsPerMinute: 900,
    graphqlPointsPerMinute: 2000,
    contentPerMinute: 80,
    contentPerHour: 500,
  },
  hidden: [],
  retryAfterMs: 60 * SECOND,
};

const PRIMARY_BODY = JSON.stringify({
  message: 'API rate limit exceeded for user ID 1.',
  documentation_url: 'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api',
});
const SECONDARY_BODY = JSON.stringify({
  message:
    'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
  documentation_url:
    'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits',
});
const CONTENT_BODY = JSON.stringify({
  message:
    'You have exceeded a secondary rate limit and have been temporarily blocked from content creation. Please retry your request again later.',
  documentation_url:
    'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits',
});

/** Ends of paths whose POST makes something that people see. */
const CONTENT = /\/(?:issues|comments|pulls|reviews|replies|releases|gists|repos|forks)$/;

interface Toll {
  readonly quota: Quota;
  readonly units: Units;
}

export class GithubRules implements UpstreamRules {
  private readonly limits: GithubLimits;
  private readonly partition: Partition;
  private readonly shapes: ReadonlyMap<string, PoolShape>;

  constructor(limits: Partial<GithubLimits> = {}) {
    this.limits = { ...GITHUB_DEFAULTS, ...limits };
    this.shapes = shapesOf(this.limits);
    this.partition = new Partition((pool) => this.shapes.get(pool));
  }

  admit(request: SimRequest, { at, wall }: Moment): Verdict {
    const { job } = request;
    const bucket = bucketOf(job.path);
    const primary = this.quota(job.identity, bucket) as FixedQuota;
    const free = field(request.fields, 'if-none-match') === UNCHANGED || bucket === '';
    const units = free ? 0 : bucket === 'graphql' ? (job.cost.units['graphql'] ?? 1) : 1;
    const tolls = this.tolls(request, bucket);
    // Secondary limiters stand before the primary one: they refuse while it has plenty left.
    const short = tolls.find((toll) => !toll.quota.has(toll.units, at));
    if (short !== undefined) return this.secondary(short.quota, primary, bucket, at, wall);
    if (!primary.has(units, at)) {
      primary.refuse(at);
      const fields = fieldsOf(primary, bucket, at, wall);
      return refusal(fields, PRIMARY_BODY, primary.pool.name);
    }
    const charged: Record<string, Units> = {};
    for (const { quota, units: points } of tolls) {
      quota.take(points, at, true);
      charged[quota.pool.name] = points;
    }
    if (units > 0) primary.take(units, at, true);
    charged[bucket] = units;
    const seat = tolls.find(({ quota }) => quota.pool.kind === 'concurrent');
    return {
      status: free ? 304 : job.method === 'POST' && bucket === 'core' ? 201 : 200,
      fields: fieldsOf(primary, bucket, at, wall),
      body: free ? undefined : '{}',
      refused: false,
      refusedBy: '',
      charged,
      serviceMs: null,
      left: seat === undefined ? null : () => seat.quota.free(1),
    };
  }

  private secondary(short: Quota, primary: FixedQuota, bucket: string, at: number, wall: number) {
    const { retryAfterMs } = this.limits;
    short.refuse(at);
    const fields = fieldsOf(primary, bucket, at, wall);
    if (retryAfterMs !== null) fields.push('retry-after', String(Math.ceil(retryAfterMs / SECOND)));
    const creating = short.pool.name.startsWith('secondary-content');
    return refusal(fields, creating ? CONTENT_BODY : SECONDARY_BODY, short.pool.name);
  }

  /** The secondary limits that this request counts against. */
  private tolls({ job }: SimRequest, bucket: string): Toll[] {
    const { secondary, hidden } = this.limits;
    const reads = job.method === 'GET' || job.method === 'HEAD' || job.method === 'OPTIONS';
    const tolls: Toll[] = [];
    const add = (name: string, units: Units): void => {
      tolls.push({ quota: this.quota(job.identity, name), units });
    };
    for (const one of hidden) if (!one.writes || !reads) add(one.name, 1);
    if (secondary === null) return tolls;
    add('secondary-concurrency', 1);
    if (bucket === 'graphql')
      add('secondary-graphql-points', job.body?.includes('mutation') === true ? 5 : 1);
    else add('secondary-points', reads ? 1 : 5);
    if (job.method === 'POST' && CONTENT.test(job.path)) {
      add('secondary-content-minute', 1);
      add('secondary-content-hour', 1);
    }
    return tolls;
  }

  outside(identity: string, pool: string, units: Units, { at }: Moment): boolean {
    const quota = this.quota(identity, pool);
    if (!quota.has(units, at)) return false;
    quota.take(units, at, false);
    return true;
  }

  private quota(identity: string, pool: string): Quota {
    const quota = this.partition.of(identity, pool);
    if (quota === undefined) throw new Error(`GitHub has no pool \`${pool}\``);
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

/** The entity tag that a client sends whose copy is still good. */
export const UNCHANGED = '"unchanged"';

function bucketOf(path: string): string {
  if (path.startsWith('/search/')) return 'search';
  return path === '/graphql' ? 'graphql' : 'core';
}

function shapesOf(limits: GithubLimits): ReadonlyMap<string, PoolShape> {
  const { windowMs, secondary } = limits;
  const fixed = { kind: 'fixed', unit: 'requests' } as const;
  const rolling = { kind: 'rolling', unit: 'points', windowMs: MINUTE } as const;
  const shapes: PoolShape[] = [
    { ...fixed, name: 'core', limit: limits.core, windowMs },
    { ...fixed, name: 'search', limit: limits.search, windowMs: MINUTE },
    { ...fixed, name: 'graphql', unit: 'points', limit: limits.graphql, windowMs },
  ];
  for (const { name, limit, windowMs: length } of limits.hidden) {
    shapes.push({ kind: 'rolling', unit: 'requests', name, limit, windowMs: length });
  }
  if (secondary !== null) {
    const content = { kind: 'rolling', unit: 'requests' } as const;
    shapes.push(
      {
        name: 'secondary-concurrency',
        kind: 'concurrent',
        unit: 'requests',
        limit: secondary.concurrent,
        windowMs: Infinity,
      },
      { ...rolling, name: 'secondary-points', limit: secondary.pointsPerMinute },
      { ...rolling, name: 'secondary-graphql-points', limit: secondary.graphqlPointsPerMinute },
      {
        ...content,
        name: 'secondary-content-minute',
        limit: secondary.contentPerMinute,
        windowMs: MINUTE,
      },
      {
        ...content,
        name: 'secondary-content-hour',
        limit: secondary.contentPerHour,
        windowMs: HOUR,
      },
    );
  }
  return new Map(shapes.map((shape) => [shape.name, shape]));
}

function refusal(fields: readonly string[], body: string, refusedBy: string): Verdict {
  return {
    status: 403,
    fields,
    body,
    refused: true,
    refusedBy,
    charged: {},
    serviceMs: null,
    left: null,
  };
}

/** The reset is in whole seconds, floored. */
function fieldsOf(quota: FixedQuota, bucket: string, at: number, wall: number): string[] {
  const { limit } = quota.pool;
  return [
    'content-type',
    'application/json; charset=utf-8',
    'x-ratelimit-limit',
    String(limit),
    'x-ratelimit-remaining',
    String(quota.remaining(at)),
    'x-ratelimit-used',
    String(quota.usedAt(at)),
    'x-ratelimit-reset',
    String(Math.floor((wall + quota.resetIn(at)) / SECOND)),
    'x-ratelimit-resource',
    bucket,
  ];
}
