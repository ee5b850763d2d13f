/**
 * GitHub: github.com, data-residency tenants (`api.<tenant>.ghe.com`) and Enterprise Servers.
 * Sources and what is guessed: README.md beside this file.
 */
import type { Claim } from '../../src/core/claim.ts';
import { field } from '../../src/core/head.ts';
import type { RawFields, RequestHead } from '../../src/core/head.ts';
import type { CredentialRef, Provider } from '../../src/core/provider.ts';
import { READ_POINTS, WRITE_POINTS } from './buckets.ts';
import { createsContent } from './content.ts';
import { GithubMemo } from './memo.ts';
import { observe, refusal } from './observe.ts';
import {
  bucketFor,
  CONTENT,
  createSites,
  drawsOf,
  graphqlDraws,
  primary,
  UNSURE,
  WRITE,
} from './pools.ts';
import type { Site } from './pools.ts';
import { poll } from './poll.ts';
import { problem } from './problem.ts';
import { readQuery } from './query-cost.ts';
import type { QueryFacts } from './query-cost.ts';
import { apiPath, routeOf } from './route.ts';
import type { Route } from './route.ts';
import { scopeOf } from './scope.ts';
import { responseTap } from './taps.ts';

export interface GithubOptions {
  /** Enterprise Servers, by host name. */
  readonly hosts?: readonly string[];
}

/** Archives are governed for the record alone: nothing there is counted. */
const HOSTS = ['api.github.com', 'uploads.github.com', 'codeload.github.com', '.ghe.com'];

const CREDENTIAL: CredentialRef = { in: 'field', name: 'authorization', scheme: 'any' };
/** Enterprise Servers of old still take it; github.com has not since 2021. */
const QUERY_CREDENTIAL: CredentialRef = { in: 'query', name: 'access_token' };

export function createGithub(options: GithubOptions = {}): Provider {
  const siteOf = createSites();
  return {
    id: 'github',
    hosts: [...new Set([...HOSTS, ...(options.hosts ?? []).map((host) => host.toLowerCase())])],
    origin: 'https://api.github.com',
    bodyNeeds(head) {
      return head.method === 'POST' && isGraphql(siteOf(head.host), head) ? 'json' : 'none';
    },
    credential,
    classify(head, body) {
      return classify(siteOf(head.host), head, body);
    },
    observe,
    refusal,
    responseTap,
    poll,
    problem,
  };
}

function isGraphql(site: Site, head: RequestHead): boolean {
  const path = apiPath(site.layout, head.path);
  return routeOf(site.layout, head.method, path).endpoint === 'graphql';
}

/** `token`, `Bearer` and `Basic` alike: the scheme is no part of the credential. */
function credential(head: RequestHead): CredentialRef | null {
  if (field(head.fields, 'authorization') !== undefined) return CREDENTIAL;
  return /[?&]access_token=[^&]/.test(head.path) ? QUERY_CREDENTIAL : null;
}

function classify(site: Site, head: RequestHead, body: string | undefined): Claim {
  const { layout, pools } = site;
  const path = apiPath(layout, head.path);
  const route = routeOf(layout, head.method, path);
  const query = route.endpoint === 'graphql' ? readQuery(body) : null;
  const bucket = bucketFor(pools, route, head.method, path ?? '');
  const from = (bucket === null ? null : primary(pools, bucket)) ?? pools.none;
  const told = readRequestFields(head.fields);
  const memo = new GithubMemo({
    pools,
    route,
    primary: from,
    method: head.method,
    path: path ?? '',
    // Of a response seen elsewhere or polled for, the request's own fields are not shown.
    authenticated: (told & AUTHORIZED) !== 0 || head.way === 'passive' || head.way === 'poll',
    headOnly: head.method === 'HEAD' || head.way === 'passive',
    rateLimitKeys: query?.rateLimitKeys ?? [],
    dryRun: query?.dryRun ?? false,
  });
  return {
    provider: 'github',
    endpoint: route.endpoint,
    scope: scopeOf(layout, path),
    draws:
      query === null
        ? drawsOf(pools, from, route, flagsOf(head.method, path, route, told))
        : graphqlDraws(pools, from, asked(query)),
    stream: false,
    inputBytes: 0,
    memo,
  };
}

function asked(query: QueryFacts): { cost: number; points: number; creations: number } {
  const points = query.mutation ? WRITE_POINTS : READ_POINTS;
  return { cost: query.cost, points, creations: query.creations };
}

const AUTHORIZED = 1;
const CONDITIONAL = 2;

function readRequestFields(fields: RawFields): number {
  let told = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const { length } = name;
    // authorization, if-none-match, if-modified-since
    if (length !== 13 && length !== 17) continue;
    const lower = name.toLowerCase();
    if (lower === 'authorization') told |= AUTHORIZED;
    else if (lower === 'if-none-match' || lower === 'if-modified-since') told |= CONDITIONAL;
  }
  return told;
}

function flagsOf(method: string, path: string | null, route: Route, told: number): number {
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') {
    // A 304, and the redirect to an archive, will turn out to be free.
    return (told & CONDITIONAL) !== 0 || route.freeRedirect ? UNSURE : 0;
  }
  return path !== null && createsContent(method, path) ? WRITE | CONTENT : WRITE;
}
