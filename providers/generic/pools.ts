/**
 * Which quotas a request will draw on, learned from answers. Before the first answer it draws on
 * `requests`, which is also the pool of the unnamed families, so that the draw and the observation
 * meet. Named quotas are remembered by the first segment of the path, where vendors divide them.
 */
import type { Claim, Draw, PoolKind, PoolSpec } from '../../src/core/claim.ts';
import type { RequestHead } from '../../src/core/head.ts';
import type { QuotaUnit } from '../../src/core/units.ts';
import { UNKNOWN } from '../../src/core/units.ts';

const MAX_FAMILIES = 64;
const MAX_ROUTES = 256;
const MAX_NAME_LENGTH = 64;

interface Route {
  readonly specs: readonly PoolSpec[];
  readonly claim: Claim;
}

/** Key of the claims made while nothing was known of routes. */
export const NO_ROUTE = '';

export class PoolMemory {
  readonly requests: PoolSpec;
  private readonly provider: string;
  private readonly specs = new Map<string, PoolSpec>();
  private readonly routes = new Map<string, Route>();
  private latest: readonly PoolSpec[];
  /** Nothing but `requests` was ever told: all routes are one. */
  private plain = true;
  private readonly only: Route;

  constructor(provider: string) {
    this.provider = provider;
    this.requests = this.make('requests', 'requests', 'fixed');
    this.latest = [this.requests];
    this.only = this.route(NO_ROUTE, this.latest);
  }

  /** The pool of a quota; `undefined` when the origin has invented too many names. */
  pool(name: string, unit: QuotaUnit, kind: PoolKind): PoolSpec | undefined {
    return (
      this.specs.get(name) ??
      (this.specs.size < MAX_FAMILIES ? this.make(name, unit, kind) : undefined)
    );
  }

  /** Claims are shared by all requests of a route. */
  claimFor(head: RequestHead): Claim {
    if (this.plain) return this.only.claim;
    const key = firstSegment(head.path);
    return (this.routes.get(key) ?? this.remember(key, this.latest)).claim;
  }

  /** An answer to a request of this route named these quotas. */
  learn(key: string, specs: readonly PoolSpec[]): void {
    if (this.plain) {
      if (specs.length === 1 && specs[0] === this.requests) return;
      this.plain = false;
    }
    this.latest = specs;
    if (key === NO_ROUTE) return;
    const known = this.routes.get(key);
    if (known === undefined || !sameSpecs(known.specs, specs)) this.remember(key, specs);
  }

  private remember(key: string, specs: readonly PoolSpec[]): Route {
    if (this.routes.size >= MAX_ROUTES) this.routes.clear();
    const route = this.route(key, specs);
    this.routes.set(key, route);
    return route;
  }

  private route(key: string, specs: readonly PoolSpec[]): Route {
    const draws = specs.map((spec, i): Draw => {
      const sure = spec.unit === 'requests';
      return i === 0 ? { spec, units: 1, sure } : { spec, units: 1, sure, ifKnown: true };
    });
    const claim: Claim = {
      provider: this.provider,
      endpoint: 'http',
      scope: UNKNOWN,
      draws,
      stream: false,
      inputBytes: 0,
      memo: key,
    };
    return { specs, claim };
  }

  private make(name: string, unit: QuotaUnit, kind: PoolKind): PoolSpec {
    const spec: PoolSpec = {
      provider: this.provider,
      name,
      partition: '',
      unit,
      kind,
      source: 'observed',
    };
    this.specs.set(name, spec);
    return spec;
  }
}

/** `default` and the nameless are the quota drawn on before anything was told. */
export function poolName(family: string): string {
  const name = family.slice(0, MAX_NAME_LENGTH).replace(/[^\w.:-]+/g, '-');
  return name === '' || name === 'default' ? 'requests' : name;
}

function firstSegment(path: string): string {
  for (let i = 1; i < path.length; i++) {
    const c = path.charCodeAt(i);
    if (c === 47 || c === 63) return path.slice(0, i);
  }
  return path;
}

function sameSpecs(a: readonly PoolSpec[], b: readonly PoolSpec[]): boolean {
  return a.length === b.length && a.every((spec, i) => spec === b[i]);
}
