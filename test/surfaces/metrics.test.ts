import { expect, test } from 'vitest';
import type { ProxyMeter } from '../../src/proxy/ports.ts';
import { Buckets, Family, OTHER } from '../../src/surfaces/metrics/tally.ts';
import { fakeDaemon, POOLS } from './fakes/daemon.ts';
import { T0 } from './fakes/ledger.ts';

/** Name and label names of every sample, `{a,b}` sorted as written. */
function seriesOf(text: string): Set<string> {
  const found = new Set<string>();
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+)(?:\{(.*)\})? \S+$/.exec(line);
    if (match === null) continue;
    const labels = [...(match[2] ?? '').matchAll(/([a-z_]+)="/g)].map((m) => m[1]).join(',');
    found.add(`${match[1] ?? ''}{${labels}}`);
  }
  return found;
}

function valueOf(text: string, series: string): number {
  const line = text.split('\n').find((l) => l.startsWith(`${series} `));
  expect(line, series).toBeDefined();
  return Number(line?.slice(series.length + 1));
}

test('every promised metric is there, with the promised labels', async () => {
  const { deps, meter } = fakeDaemon();
  const proxyMeter: ProxyMeter = meter;
  proxyMeter.request('github', 'pass', 0);
  proxyMeter.upstream('github', 200);
  proxyMeter.overhead(0.2);
  proxyMeter.malformed('github', 'X-RateLimit-Reset');
  const found = seriesOf(await deps.metrics.render());
  for (const series of [
    'ratelord_requests_total{provider,decision}',
    'ratelord_upstream_responses_total{provider,status}',
    'ratelord_upstream_throttled_total{provider,kind}',
    'ratelord_wait_seconds_bucket{le}',
    'ratelord_wait_seconds_sum{}',
    'ratelord_wait_seconds_count{}',
    'ratelord_overhead_seconds_bucket{le}',
    'ratelord_pool_limit{provider,pool,identity}',
    'ratelord_pool_limit{provider,pool,identity,model}',
    'ratelord_pool_remaining{provider,pool,identity}',
    'ratelord_pool_reset_seconds{provider,pool,identity}',
    'ratelord_forecast_exhaustion_seconds{provider,pool,identity,quantile}',
    'ratelord_queue_depth{provider}',
    'ratelord_turns_total{turn}',
    'ratelord_ledger_events_total{type}',
    'ratelord_ledger_lag_seconds{}',
    'ratelord_cost_usd_total{provider,model}',
    'ratelord_malformed_fields_total{provider,field}',
  ]) {
    expect(found, series).toContain(series);
  }
});

test('values: counted on the way, read at the scrape, not added up by scraping twice', async () => {
  const { deps, meter } = fakeDaemon();
  meter.request('github', 'pass', 0);
  meter.request('github', 'delay', 1500);
  meter.request('openai', 'reject', 0);
  meter.upstream('github', 403);
  meter.upstream('github', 9999);
  meter.overhead(0.3);
  await deps.metrics.render();
  const text = await deps.metrics.render();
  expect(valueOf(text, 'ratelord_requests_total{provider="github",decision="pass"}')).toBe(1);
  expect(valueOf(text, 'ratelord_requests_total{provider="openai",decision="reject"}')).toBe(1);
  expect(valueOf(text, 'ratelord_upstream_responses_total{provider="github",status="403"}')).toBe(
    1,
  );
  expect(valueOf(text, 'ratelord_wait_seconds_bucket{le="1"}')).toBe(2);
  expect(valueOf(text, 'ratelord_wait_seconds_bucket{le="2.5"}')).toBe(3);
  expect(valueOf(text, 'ratelord_wait_seconds_bucket{le="+Inf"}')).toBe(3);
  expect(valueOf(text, 'ratelord_wait_seconds_sum')).toBe(1.5);
  expect(valueOf(text, 'ratelord_overhead_seconds_bucket{le="0.00025"}')).toBe(0);
  expect(valueOf(text, 'ratelord_overhead_seconds_bucket{le="0.0005"}')).toBe(1);
  expect(valueOf(text, 'ratelord_cost_usd_total{provider="openai",model="gpt-4o"}')).toBe(2.5);
  expect(valueOf(text, 'ratelord_turns_total{turn="backfill"}')).toBe(5);
  const core = 'provider="github",pool="core",identity="gh-ci"';
  expect(valueOf(text, `ratelord_pool_remaining{${core}}`)).toBe(10);
  expect(valueOf(text, `ratelord_pool_reset_seconds{${core}}`)).toBe(720);
});

test('a pool that went away leaves no series behind', async () => {
  const { deps, view } = fakeDaemon();
  expect(await deps.metrics.render()).toContain('pool="core"');
  view.poolList = [];
  expect(await deps.metrics.render()).not.toContain('pool="core"');
});

test('pools that differ in nothing but an agent fall together: the tightest is shown', async () => {
  const { deps, view } = fakeDaemon();
  const [, core] = POOLS;
  if (core === undefined) throw new Error('no pool');
  const partition = (agent: string, remaining: number) => ({ ...core, id: agent, remaining });
  view.poolList = [partition('a', 40), partition('b', 7), partition('c', 90)];
  const text = await deps.metrics.render();
  expect(text.match(/^ratelord_pool_remaining\{/gm)).toHaveLength(1);
  expect(text).toMatch(/^ratelord_pool_remaining\{.*\} 7$/m);
});

test('names that others choose cannot grow it', () => {
  const family = new Family<{ count: number }>(3, () => ({ count: 0 }));
  for (let i = 0; i < 1000; i += 1) family.of(`name-${String(i)}`).count += 1;
  const counts = new Map([...family.entries()].map(([name, { count }]) => [name, count]));
  expect(counts.size).toBeLessThanOrEqual(4);
  expect(counts.get(OTHER)).toBe(997);
});

test('a histogram puts a value on a bound into that bucket', () => {
  const buckets = new Buckets([1, 2]);
  for (const value of [0, 1, 1.5, 2, 3]) buckets.observe(value);
  expect([...buckets.counts]).toEqual([2, 2, 1]);
  expect([buckets.sum, buckets.count]).toEqual([7.5, 5]);
});

test('a ledger that is not written shows', async () => {
  const { deps, ledger } = fakeDaemon();
  ledger.current = { state: 'degraded', reason: 'disk full', since: T0, lost: 3 };
  expect(valueOf(await deps.metrics.render(), 'ratelord_ledger_writable')).toBe(0);
});
