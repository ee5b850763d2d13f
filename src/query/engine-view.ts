/** The engine's state as the surfaces see it. */
import type { Governor } from '../core/governor/engine.ts';
import type { WaitLine } from '../core/governor/line.ts';
import { forecastJson, lastingJson } from '../core/governor/outlook-telling.ts';
import type { Kept } from '../core/governor/protection.ts';
import { CLASSES } from '../core/governor/protection-levels.ts';
import type { Gate } from '../core/quota/gate.ts';
import type { HiddenLimit } from '../core/quota/hidden.ts';
import type { Outside } from '../core/quota/outside.ts';
import type { Pool } from '../core/quota/pool.ts';
import type { EpochMs, Priority } from '../core/units.ts';
import type {
  EngineTotals,
  EngineView,
  IdentityView,
  KeptView,
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
    pools: (history = false) => {
      const now = parts.now();
      const { pools, gates, hidden } = governor.state;
      return [
        ...[...pools.values()].map((pool) => ({
          ...poolView(governor, pool, now),
          ...prospects(governor, pool, now, history),
        })),
        ...[...gates.values()].flatMap((gate) => gateView(governor, gate, now)),
        ...[...hidden.values()].flatMap((limit) => hiddenView(governor, limit, now)),
      ];
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
  const { partition } = pool.spec;
  const model = /^model:([^,]+)$/.exec(partition)?.[1];
  const line = governor.room.lines.get(pool);
  const queued = line?.size ?? 0;
  const agents = usersOf(pool, now);
  const kept = governor.protection.keptOf(pool, now);
  const ratio = pool.charging?.ratio ?? null;
  const overReserved = pool.excess?.ratio(pool.windowMs) ?? null;
  return {
    id: pool.id,
    provider: pool.spec.provider,
    pool: pool.spec.name,
    identity: pool.charged,
    ...(model === undefined ? {} : { model }),
    ...(partition === '' || model !== undefined ? {} : { partition }),
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
    ...(line === undefined || queued === 0 ? {} : { queued, queued_by: byClass(line) }),
    ...(kept.length === 0 ? {} : { kept: kept.map(keptView) }),
    throttled_until: pool.blockedUntil > now ? isoOrNull(pool.blockedUntil) : null,
    ...(overReserved === null ? {} : { over_reserved_ratio: Math.round(overReserved * 1e4) / 1e4 }),
    ...(ratio === null ? {} : { charged_ratio: brief(ratio) }),
    ...(pool.outside === null ? {} : { outside: outsideView(pool.outside, isUnused(pool, now)) }),
    ...(agents.length > 0 ? { agents } : {}),
  };
}

function byClass({
  classes: [high, normal, background],
}: WaitLine): Readonly<Record<Priority, number>> {
  return { high: high.size, normal: normal.size, background: background.size };
}

function keptView({ rank, above, kept, forecast }: Kept): KeptView {
  return {
    from: CLASSES[rank] ?? 'background',
    for: above,
    units: Math.ceil(kept),
    expected: brief(forecast.mean),
    spread: brief(Math.sqrt(forecast.variance)),
  };
}

/** What is to come of it, and what was; slots are held, not used up. */
function prospects({ outlook }: Governor, pool: Pool, now: EpochMs, history: boolean) {
  if (pool.spec.kind === 'concurrent') return {};
  const forecast = outlook.shownForecastOf(pool, now);
  const agents = usersOf(pool, now).map(({ agent, used }) => {
    const alone = forecast === null ? null : outlook.forecastOfAgent(pool, agent, now);
    return { agent, used, ...(alone === null ? {} : { forecast: lastingJson(alone) }) };
  });
  const points = history ? outlook.historyOf(pool) : [];
  return {
    forecast: forecast === null ? null : forecastJson(forecast),
    ...(agents.length > 0 ? { agents } : {}),
    ...(history
      ? { history: points.map(({ at, used }) => [new Date(at).toISOString(), used] as const) }
      : {}),
  };
}

/** Those that are open hold nobody up. */
function gateView(governor: Governor, gate: Gate, now: EpochMs): PoolView[] {
  const phase = gate.phase(now);
  if (phase === 'open') return [];
  return [{ ...poolView(governor, gate, now), kind: 'gate', limit: null, phase }];
}

function hiddenView(governor: Governor, limit: HiddenLimit, now: EpochMs): PoolView[] {
  if (limit.isOver(now)) return [];
  const view = poolView(governor, limit, now);
  return [
    { ...view, kind: 'gate', limit: null, phase: 'limited', rate_per_s: brief(limit.rate(now)) },
  ];
}

/** Who used what of the present window. */
function usersOf(pool: Pool, now: EpochMs) {
  return isUnused(pool, now) ? [] : pool.spending.list(now, pool.windowMs);
}

/** Its window is over, and what is known of the users is of that one. */
function isUnused(pool: Pool, now: EpochMs): boolean {
  return pool.spec.kind === 'fixed' && pool.resetTime(now) === null && pool.figures(now).used === 0;
}

function outsideView({ rate, batch, units, since }: Outside, unused: boolean) {
  return {
    rate_per_s: brief(rate),
    batch: brief(batch),
    units: unused ? 0 : units,
    since: new Date(since).toISOString(),
  };
}

/** Four significant digits. */
function brief(value: number): number {
  return Number(value.toPrecision(4));
}

function providerView(
  parts: EngineViewParts,
  id: string,
  hosts: readonly string[],
  now: EpochMs,
): ProviderView {
  let until = 0;
  let degraded = false;
  for (const gate of parts.governor.state.gates.values()) {
    if (gate.spec.provider !== id || !gate.isOfProvider) continue;
    degraded ||= gate.strikes > 0;
    until = Math.max(until, gate.blockedUntil);
  }
  return {
    id,
    hosts,
    degraded,
    throttled_until: until > now ? isoOrNull(until) : null,
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
    cost: split(governor.totals.cost).map(({ provider, kind, count }) => ({
      provider,
      model: kind,
      micro_usd: count,
    })),
    unpriced: split(governor.totals.unpriced).map(({ provider, kind, count }) => ({
      provider,
      model: kind,
      count,
    })),
    malformed: split(governor.totals.malformed).map(({ provider, kind, count }) => ({
      provider,
      field: kind,
      count,
    })),
    retries: [...governor.totals.retries].map(([provider, count]) => ({ provider, count })),
    turns: Object.entries(governor.totals.turns).map(([turn, count]) => ({ turn, count })),
    rules_skipped: [...governor.totals.rulesSkipped].map(([rule, count]) => ({ rule, count })),
  };
}

function isoOrNull(at: EpochMs | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
