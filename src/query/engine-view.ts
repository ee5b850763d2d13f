/** The engine's state as the surfaces see it. */
import type { Governor } from '../core/governor/engine.ts';
import type { Pool } from '../core/quota/pool.ts';
import type { EpochMs } from '../core/units.ts';
import { GLOBAL } from '../core/units.ts';
import type {
  EngineTotals,
  EngineView,
  IdentityView,
  PolicyView,
  PoolView,
  ProviderView,
  QueueView,
} from './ports.ts';

export interface EngineViewParts {
  readonly governor: Governor;
  now(): EpochMs;
  /** Hosts by provider id. */
  readonly hosts: ReadonlyMap<string, readonly string[]>;
  /** Provider's clock minus ours, by provider id. */
  skew(provider: string): number | null;
  identities(): readonly IdentityView[];
  policy(): PolicyView;
}

export function createEngineView(parts: EngineViewParts): EngineView {
  const { governor } = parts;
  return {
    pools: () => {
      const now = parts.now();
      return [...governor.state.pools.values()].map((pool) => poolView(governor, pool, now));
    },
    providers: () => {
      const now = parts.now();
      return [...parts.hosts].map(([id, hosts]) => providerView(parts, id, hosts, now));
    },
    queueDepth: () => queues(governor),
    inFlight: () => {
      let count = 0;
      for (const request of governor.live.values()) if (request.state === 'sent') count += 1;
      return count;
    },
    identities: () => parts.identities(),
    policy: () => parts.policy(),
    totals: () => totals(governor),
  };
}

function poolView(governor: Governor, pool: Pool, now: EpochMs): PoolView {
  const figures = pool.figures(now);
  const model = /^model:(.+)$/.exec(pool.spec.partition)?.[1];
  const queued = governor.room.lines.get(pool)?.size ?? 0;
  const agents = pool.spending.list();
  return {
    id: pool.id,
    provider: pool.spec.provider,
    pool: pool.spec.name,
    identity: pool.charged,
    ...(model === undefined ? {} : { model }),
    unit: pool.spec.unit,
    kind: pool.spec.kind,
    limit: figures.limit,
    used: figures.used,
    remaining: figures.remaining,
    reserved: figures.reserved,
    reset_at: isoOrNull(figures.resetAt),
    window_s: figures.windowMs === null ? null : figures.windowMs / 1000,
    observed_at: isoOrNull(figures.observedAt),
    source: pool.spec.source,
    ...(queued > 0 ? { queued } : {}),
    throttled_until: pool.blockedUntil > now ? isoOrNull(pool.blockedUntil) : null,
    ...(agents.length > 0 ? { agents } : {}),
  };
}

function providerView(
  parts: EngineViewParts,
  id: string,
  hosts: readonly string[],
  now: EpochMs,
): ProviderView {
  const gate = parts.governor.state.gates.get(`${id}/${GLOBAL}/throttle`);
  const shut = gate !== undefined && gate.blockedUntil > now;
  return {
    id,
    hosts,
    degraded: gate !== undefined && gate.strikes > 0,
    throttled_until: shut ? isoOrNull(gate.blockedUntil) : null,
    clock_skew_ms: parts.skew(id),
  };
}

function queues(governor: Governor): QueueView[] {
  const views: QueueView[] = [];
  for (const [provider, depth] of governor.room.depth) views.push({ provider, depth });
  return views;
}

function totals(governor: Governor): EngineTotals {
  const split = (map: ReadonlyMap<string, number>) =>
    [...map].map(([key, count]) => {
      const cut = key.indexOf('|');
      return { provider: key.slice(0, cut), kind: key.slice(cut + 1), count };
    });
  return {
    throttled: split(governor.totals.throttled),
    events: [...governor.totals.events].map(([type, count]) => ({ type, count })),
    cost: [],
    malformed: split(governor.totals.malformed).map(({ provider, kind, count }) => ({
      provider,
      field: kind,
      count,
    })),
    rules_skipped: [...governor.totals.rulesSkipped].map(([rule, count]) => ({ rule, count })),
  };
}

function isoOrNull(at: EpochMs | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
