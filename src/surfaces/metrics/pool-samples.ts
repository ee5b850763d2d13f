/** What is told of each quota. */
import type { EngineView, PoolView } from '../../query/ports.ts';
import type { MetricSpec, Sample } from './samples.ts';
import { OTHER } from './tally.ts';

/** More pools than this are not shown one by one: a scrape has to stay a scrape. */
export const MAX_POOLS = 2000;

const POOL = ['provider', 'pool', 'identity', 'model'] as const;
const SHARED = 'Of pools that differ in nothing but an agent or scope, the tightest is shown';

export const POOL_METRICS: readonly MetricSpec[] = [
  poolMetric('ratelord_pool_limit', 'What a quota allows in its window', (pool) => pool.limit),
  poolMetric('ratelord_pool_remaining', 'What is left of a quota', (pool) => pool.remaining),
  poolMetric(
    'ratelord_pool_over_reserved_ratio',
    'Share of what was charged that estimates kept idle besides',
    (pool) => pool.over_reserved_ratio ?? null,
  ),
  poolMetric('ratelord_pool_reset_seconds', 'Seconds until a quota resets', resetSeconds),
  labelledMetric(
    'ratelord_forecast_exhaustion_seconds',
    'Seconds until a quota is predicted to run out',
    'quantile',
    forecastOf,
  ),
  poolMetric(
    'ratelord_forecast_exhaustion_probability',
    'Probability that a quota runs out before its reset',
    (pool) => pool.forecast?.p_exhaust ?? null,
  ),
  poolMetric(
    'ratelord_pool_charged_ratio',
    'What is set aside for an estimated unit, as learned from what the provider charges',
    (pool) => pool.charged_ratio ?? null,
  ),
  poolMetric(
    'ratelord_pool_outside_per_second',
    'Units a second that others were seen to use of a quota',
    (pool) => pool.outside?.rate_per_s ?? null,
  ),
  labelledMetric(
    'ratelord_pool_queued',
    'Requests waiting before a quota or a gate, by priority',
    'priority',
    (pool) => Object.entries<number>({ ...pool.queued_by }),
  ),
  labelledMetric(
    'ratelord_pool_kept',
    'Units of a quota kept from requests of a priority for those above it',
    'priority',
    (pool) => (pool.kept ?? []).map(({ from, units }) => [from, units]),
  ),
  labelledMetric(
    'ratelord_gate',
    'Always 1: something besides quotas holds requests up, and what it does',
    'phase',
    (pool) => (pool.phase === undefined ? [] : [[pool.phase, 1]]),
  ),
  poolMetric(
    'ratelord_hidden_limit_per_second',
    'Requests a second let through where the provider refuses without saying its limit',
    (pool) => pool.rate_per_s ?? null,
  ),
];

function poolMetric(
  name: string,
  help: string,
  valueOf: (pool: PoolView, now: number) => number | null,
): MetricSpec {
  return {
    name,
    help: `${help}. ${SHARED}`,
    labels: POOL,
    type: 'gauge',
    *read({ view, facts }) {
      const now = facts.now();
      for (const { labels, pool } of shownPools(view)) {
        const value = valueOf(pool, now);
        if (value !== null) yield { labels, value };
      }
    },
  };
}

/** As `poolMetric`, with a label more. */
function labelledMetric(
  name: string,
  help: string,
  label: string,
  valuesOf: (pool: PoolView) => Iterable<readonly [string, number]>,
): MetricSpec {
  return {
    name,
    help: `${help}. ${SHARED}`,
    labels: [...POOL, label],
    type: 'gauge',
    *read({ view }): Iterable<Sample> {
      for (const { labels, pool } of shownPools(view)) {
        for (const [one, value] of valuesOf(pool))
          yield { labels: { ...labels, [label]: one }, value };
      }
    },
  };
}

function resetSeconds(pool: PoolView, now: number): number | null {
  if (pool.reset_at === null) return null;
  return Math.max(0, (Date.parse(pool.reset_at) - now) / 1000);
}

function forecastOf({ forecast }: PoolView): [string, number][] {
  if (forecast === undefined || forecast === null) return [];
  const { p50_s: p50, p90_s: p90, p99_s: p99 } = forecast;
  const told = [
    ['0.5', p50],
    ['0.9', p90],
    ['0.99', p99],
  ] as const;
  return told.flatMap(([quantile, seconds]) => (seconds === null ? [] : [[quantile, seconds]]));
}

interface ShownPool {
  readonly labels: Readonly<Record<string, string>>;
  readonly pool: PoolView;
}

/**
 * One pool per label set. Agents are no labels, so the partitions of a limit that is counted per
 * agent fall together: the tightest of them stands for all.
 */
function shownPools(view: EngineView): Iterable<ShownPool> {
  const shown = new Map<string, ShownPool>();
  for (const pool of view.pools()) {
    const { provider, identity, model } = pool;
    const key = [provider, pool.pool, identity, model ?? ''].join('\0');
    const known = shown.get(key);
    if (known === undefined && shown.size >= MAX_POOLS) continue;
    if (known !== undefined && ratioLeft(known.pool) <= ratioLeft(pool)) continue;
    const labels = { provider, pool: pool.pool, identity: identity === '' ? OTHER : identity };
    shown.set(key, { labels: model === undefined ? labels : { ...labels, model }, pool });
  }
  return shown.values();
}

function ratioLeft({ remaining, limit }: PoolView): number {
  if (remaining === null) return Infinity;
  return limit === null || limit === 0 ? remaining : remaining / limit;
}
