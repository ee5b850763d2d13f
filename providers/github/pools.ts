import type { Draw, PoolSpec } from '../../src/core/claim.ts';
import { primarySpec, READ_POINTS, secondarySpecs, UPLOAD_UNITS, WRITE_POINTS } from './buckets.ts';
import type { SecondarySpecs } from './buckets.ts';
import { layoutOf } from './route.ts';
import type { Layout, Route } from './route.ts';

/** Beyond this many names from one origin, new ones are not believed. */
const MOST_BUCKETS = 256;
const MOST_LESSONS = 512;
const MOST_HOSTS = 256;

/** How a request draws, as far as it matters for pools; combined they index cached draws. */
export const WRITE = 1;
export const CONTENT = 2;
export const UNSURE = 4;

/** A primary pool and every array of draws that was made for it. */
export interface Primary {
  readonly spec: PoolSpec | null;
  readonly draws: (readonly Draw[] | undefined)[];
}

/** The pools of one API. Hosts of the same API (`api.`, `uploads.`, `codeload.`) share them. */
export interface Pools {
  readonly partition: string;
  /** An Enterprise Server: limits are off until its administrator sets them. */
  readonly selfHosted: boolean;
  readonly secondary: SecondarySpecs;
  readonly byName: Map<string, Primary>;
  /** Routes whose bucket was guessed wrong, by template, with the bucket the origin named. */
  readonly lessons: Map<string, string>;
  readonly none: Primary;
  /** True once the server said that it limits nothing; any rate-limit field ends that. */
  unlimited: boolean;
}

export interface Site {
  readonly layout: Layout;
  readonly pools: Pools;
}

function createPools(partition: string, selfHosted: boolean): Pools {
  return {
    partition,
    selfHosted,
    secondary: secondarySpecs(partition),
    byName: new Map(),
    lessons: new Map(),
    none: { spec: null, draws: [] },
    unlimited: false,
  };
}

/** Primary pool by bucket name, made on the spot; `null` when too many names were met already. */
export function primary(pools: Pools, name: string): Primary | null {
  let found = pools.byName.get(name);
  if (found === undefined) {
    if (pools.byName.size >= MOST_BUCKETS) return null;
    found = { spec: primarySpec(name, pools.partition), draws: [] };
    pools.byName.set(name, found);
  }
  return found;
}

/** Remembers which API a host belongs to. */
export function createSites(): (host: string) => Site {
  const sites = new Map<string, Site>();
  const byApi = new Map<string, Pools>();
  return (host) => {
    const known = sites.get(host);
    if (known !== undefined) return known;
    if (sites.size >= MOST_HOSTS) {
      sites.clear();
      byApi.clear();
    }
    const layout = layoutOf(host);
    const api = layout === 'self' ? host : host.slice(host.indexOf('.') + 1);
    let pools = byApi.get(api);
    if (pools === undefined) {
      const cloud = api === 'github.com' || api.endsWith('.ghe.com');
      pools = createPools(api === 'github.com' ? '' : 'host:' + api, !cloud);
      byApi.set(api, pools);
    }
    const site = { layout, pools };
    sites.set(host, site);
    return site;
  };
}

/** The draws of a request, made once for each primary pool and combination of flags. */
export function drawsOf(pools: Pools, from: Primary, route: Route, flags: number): readonly Draw[] {
  if (pools.unlimited) return NONE;
  const key = flags | (route.secondary ? 0 : 8) | (route.endpoint === 'upload' ? 16 : 0);
  return (from.draws[key] ??= makeDraws(pools, from, route, flags));
}

const NONE: readonly Draw[] = [];

function makeDraws(pools: Pools, from: Primary, route: Route, flags: number): readonly Draw[] {
  const draws: Draw[] = [];
  if (from.spec !== null) {
    const upload = route.endpoint === 'upload';
    const units = upload ? UPLOAD_UNITS : 1;
    draws.push({ spec: from.spec, units, sure: !upload && (flags & UNSURE) === 0 });
  }
  if (route.secondary && !pools.selfHosted) {
    const points = (flags & WRITE) === 0 ? READ_POINTS : WRITE_POINTS;
    draws.push(...secondaryDraws(pools, pools.secondary.restPoints, points));
    if ((flags & CONTENT) !== 0) draws.push(...contentDraws(pools, 1));
  }
  return draws;
}

/** GraphQL's draws vary with each query, so they are not cached. */
export function graphqlDraws(
  pools: Pools,
  from: Primary,
  asked: { readonly cost: number; readonly points: number; readonly creations: number },
): readonly Draw[] {
  if (pools.unlimited) return NONE;
  const draws: Draw[] = [];
  if (from.spec !== null) draws.push({ spec: from.spec, units: asked.cost, sure: false });
  if (pools.selfHosted) return draws;
  draws.push(...secondaryDraws(pools, pools.secondary.graphqlPoints, asked.points));
  if (asked.creations > 0) draws.push(...contentDraws(pools, asked.creations));
  return draws;
}

function secondaryDraws(pools: Pools, points: PoolSpec, units: number): Draw[] {
  return [
    { spec: pools.secondary.concurrency, units: 1, sure: true },
    { spec: points, units, sure: true },
  ];
}

function contentDraws(pools: Pools, units: number): Draw[] {
  return [
    { spec: pools.secondary.contentMinute, units, sure: true },
    { spec: pools.secondary.contentHour, units, sure: true },
  ];
}

/** The bucket an earlier answer named for a route like this one, else the guess. */
export function bucketFor(pools: Pools, route: Route, method: string, path: string): string | null {
  if (pools.lessons.size === 0) return route.bucket;
  return pools.lessons.get(template(method, path)) ?? route.bucket;
}

export function learn(pools: Pools, method: string, path: string, bucket: string): void {
  const key = template(method, path);
  if (pools.lessons.size < MOST_LESSONS || pools.lessons.has(key)) pools.lessons.set(key, bucket);
}

/** A path with its names and numbers taken out, so that requests of one kind share a template. */
function template(method: string, path: string): string {
  const parts = path.split('/', 8);
  const named = parts[1] === 'repos' ? 4 : ACCOUNTS.has(parts[1] ?? '') ? 3 : 0;
  for (let i = 2; i < parts.length; i++) {
    if (i < named || !LITERAL.test(parts[i] ?? '')) parts[i] = '*';
  }
  return method + ' ' + parts.join('/');
}

const ACCOUNTS = new Set(['orgs', 'users', 'enterprises', 'scim', 'app-manifests']);
const LITERAL = /^[a-z][a-z_-]{0,31}$/;
