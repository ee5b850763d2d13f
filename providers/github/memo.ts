import type { Claim } from '../../src/core/claim.ts';
import type { Pools, Primary } from './pools.ts';
import type { Route } from './route.ts';

/** What a claim remembers until its response comes. */
export class GithubMemo {
  readonly pools: Pools;
  readonly route: Route;
  readonly primary: Primary;
  readonly method: string;
  /** The API's own path without query, `''` when it was none. */
  readonly path: string;
  /** Whether a credential came along; without one GitHub counts by address. */
  readonly authenticated: boolean;
  /** Whether no content will be shown to a tap, so that the head must be enough. */
  readonly headOnly: boolean;
  /** GraphQL: members of `data` that hold the rate limit; `[]` when not asked for. */
  readonly rateLimitKeys: readonly string[];
  /** GraphQL: the cost is asked for, not incurred. */
  readonly dryRun: boolean;

  constructor(from: GithubMemo) {
    this.pools = from.pools;
    this.route = from.route;
    this.primary = from.primary;
    this.method = from.method;
    this.path = from.path;
    this.authenticated = from.authenticated;
    this.headOnly = from.headOnly;
    this.rateLimitKeys = from.rateLimitKeys;
    this.dryRun = from.dryRun;
  }
}

/** `null` for a claim that was not made here, e.g. one read back from a record. */
export function memoOf(claim: Claim): GithubMemo | null {
  return claim.memo instanceof GithubMemo ? claim.memo : null;
}
