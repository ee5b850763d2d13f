import type { PoolSpec } from '../../src/core/claim.ts';
import { HOUR, MINUTE } from '../../src/core/units.ts';
import type { DurationMs, QuotaUnit, Units } from '../../src/core/units.ts';

/** What is documented of one primary bucket; its limit is only ever observed. */
export interface Bucket {
  readonly name: string;
  readonly unit: QuotaUnit;
  /** Length of its fixed window; absent where nobody documents one. */
  readonly windowMs?: DurationMs;
  /** Limit shown to requests that carry no (valid) credential, where it is documented. */
  readonly anonymousLimit?: Units;
}

/**
 * Names as `x-ratelimit-resource` and `GET /rate_limit` spell them. The set is open: a name that is
 * missing here is governed all the same, without a documented window.
 * https://docs.github.com/en/rest/rate-limit/rate-limit
 */
const KNOWN: readonly Bucket[] = [
  { name: 'core', unit: 'requests', windowMs: HOUR, anonymousLimit: 60 },
  { name: 'search', unit: 'requests', windowMs: MINUTE, anonymousLimit: 10 },
  { name: 'code_search', unit: 'requests', windowMs: MINUTE },
  { name: 'graphql', unit: 'points', windowMs: HOUR, anonymousLimit: 0 },
  { name: 'integration_manifest', unit: 'requests', windowMs: HOUR },
  { name: 'source_import', unit: 'requests', windowMs: MINUTE },
  { name: 'code_scanning_upload', unit: 'requests', windowMs: HOUR },
  { name: 'code_scanning_autofix', unit: 'requests', windowMs: MINUTE },
  { name: 'actions_runner_registration', unit: 'requests', windowMs: HOUR },
  { name: 'scim', unit: 'requests', windowMs: HOUR },
  { name: 'dependency_snapshots', unit: 'requests', windowMs: MINUTE },
  { name: 'dependency_sbom', unit: 'requests' },
  { name: 'audit_log', unit: 'requests', windowMs: HOUR },
  { name: 'audit_log_streaming', unit: 'requests', windowMs: HOUR },
];

export const BUCKETS: ReadonlyMap<string, Bucket> = new Map(KNOWN.map((b) => [b.name, b]));

export function primarySpec(name: string, partition: string): PoolSpec {
  const bucket = BUCKETS.get(name);
  return {
    provider: 'github',
    name,
    partition,
    unit: bucket?.unit ?? 'requests',
    kind: 'fixed',
    ...(bucket?.windowMs === undefined ? {} : { windowMs: bucket.windowMs }),
    source: 'observed',
  };
}

/**
 * Secondary limits cannot be queried, so they are declared.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
 */
export interface SecondarySpecs {
  /** In flight at once, REST and GraphQL together. */
  readonly concurrency: PoolSpec;
  readonly restPoints: PoolSpec;
  readonly graphqlPoints: PoolSpec;
  readonly contentMinute: PoolSpec;
  readonly contentHour: PoolSpec;
}

export function secondarySpecs(partition: string): SecondarySpecs {
  const base = { provider: 'github', partition, source: 'documented' } as const;
  const points = { ...base, unit: 'points', kind: 'rolling', windowMs: MINUTE } as const;
  const content = { ...base, unit: 'requests', kind: 'rolling' } as const;
  return {
    concurrency: {
      ...base,
      name: 'secondary-concurrency',
      unit: 'requests',
      kind: 'concurrent',
      limit: 100,
    },
    restPoints: { ...points, name: 'secondary-points', limit: 900 },
    graphqlPoints: { ...points, name: 'secondary-graphql-points', limit: 2000 },
    contentMinute: { ...content, name: 'secondary-content-minute', limit: 80, windowMs: MINUTE },
    contentHour: { ...content, name: 'secondary-content-hour', limit: 500, windowMs: HOUR },
  };
}

/** Points a request costs against the secondary limits: reads 1, writes (and mutations) 5. */
export const READ_POINTS: Units = 1;
export const WRITE_POINTS: Units = 5;
/** Core units a successful upload to `uploads.github.com` was seen to take, though no field says so. */
export const UPLOAD_UNITS: Units = 2;
