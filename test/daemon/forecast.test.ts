/** When a quota runs out, as the daemon tells it: events, pools, metrics, rules, the picture. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configFor } from './configs.ts';
import { githubOrigin, type GithubOrigin } from './github-origin.ts';
import { cleanUp, eventually, startDaemon, type Item, type TestDaemon } from './harness.ts';

const POLICY = `
version: 1
rules:
  - id: running-out
    match: { provider: github, pool: core, agent: careful }
    when: forecast.p_exhaust > 0.5
    action: delay
    with: { for: 200ms }
    reason: the quota will probably run out
`;

let github: GithubOrigin;
let daemon: TestDaemon;

beforeAll(async () => {
  github = await githubOrigin({ limit: 500, windowMs: 1_800_000, latencyMs: 2 });
  daemon = await startDaemon({ config: configFor({ github }), policy: POLICY });
});
afterAll(cleanUp);

const send = (agent: string) =>
  daemon.send(`/@${agent}/github/user`, { headers: { authorization: 'Bearer ghp_busy' } });

const computed = () => daemon.items('/v1/events?type=forecast_computed&limit=1000');
const isOfCore = (event: Item): boolean => String(event['pool_id']).endsWith('/core');
const corePool = async (query = ''): Promise<Item> => {
  const [pool] = await daemon.items(`/v1/pools?pool=core${query}`);
  if (pool === undefined) throw new Error('no pool');
  return pool;
};

describe('a quota that is used faster than it comes back', () => {
  test('has a forecast, told as an event when it moves', async () => {
    // Nothing is told before there is something to go by; here that takes about two seconds.
    const events = await eventually(
      async () => {
        expect((await send('crawler')).status).toBe(200);
        return computed();
      },
      (found) => found.some(isOfCore),
    );
    const pool = await corePool();
    const event = events.find(isOfCore);
    expect(event).toMatchObject({ provider_id: 'github', pool_id: pool['id'] });
    expect(event?.['payload']).toMatchObject({
      model: 'gamma-poisson-conformal',
      model_version: expect.any(Number) as number,
      p50_s: expect.any(Number) as number,
      burn_variance: expect.any(Number) as number,
    });
    const forecast = pool['forecast'] as Readonly<Record<string, number>>;
    expect(forecast).toMatchObject({ as_of: expect.any(String) as string });
    expect(forecast['p50_s']).toBeLessThan(600);
    expect(forecast['p90_s']).toBeLessThanOrEqual(forecast['p50_s'] ?? 0);
    expect(forecast['p_exhaust']).toBeGreaterThan(0.5);
    expect(forecast['margin_s']).toBeLessThan(0);
    expect(forecast['burn_rate']).toBeGreaterThan(0.1);
  });

  test('is told to Prometheus and in status', async () => {
    const text = (await daemon.api('/metrics')).text;
    expect(text).toMatch(
      /ratelord_forecast_exhaustion_seconds\{.*pool="core".*quantile="0\.9".*\} \d/,
    );
    expect(text).toMatch(/ratelord_ledger_events_total\{type="forecast_computed"\} [1-9]/);
    const { stdout } = await daemon.cli(['status']);
    expect(stdout).toMatch(/core .*empty in .*before reset/);
  });

  test('delays whoever a rule on it concerns, and explain shows what the rule saw', async () => {
    const answer = await send('careful');
    expect(answer.field('x-ratelord-decision')).toBe('delay');
    expect(Number(answer.field('x-ratelord-waited-ms'))).toBeGreaterThanOrEqual(199);
    const told = await daemon.cli(['explain', answer.field('x-ratelord-id')]);
    expect(told.stdout).toMatch(/running-out delayed it .*forecast\.p_exhaust=(0\.\d+|1)/);
    expect((await send('crawler')).field('x-ratelord-decision')).toBe('pass');
  });

  test('is drawn in the terminal', async () => {
    const pool = await corePool('&history=true');
    expect((pool['history'] as unknown[]).length).toBeGreaterThan(0);
    const drawn = await daemon.cli(['status', '--chart', String(pool['id']).slice(-9)]);
    expect(drawn.code).toBe(0);
    expect(drawn.stdout).toContain(`${String(pool['id'])}\n`);
    expect(drawn.stdout).toMatch(/▓/);
    expect(drawn.stdout).toMatch(/lasts .* \(50%\), .* \(90%\), .* \(99%\)/);
    const other = await daemon.cli(['status', '--chart', 'cone']);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain(`the nearest is \`${String(pool['id'])}\``);
  });

  test('is still known after a restart', async () => {
    const before = (await corePool())['forecast'] as Readonly<Record<string, number>>;
    const { home } = daemon;
    await daemon.stop();
    const stopped = Date.now();
    daemon = await startDaemon({ home });
    const after = (await corePool())['forecast'] as Readonly<Record<string, number>>;
    expect(after['burn_rate']).toBeGreaterThan((before['burn_rate'] ?? 0) / 3);
    expect(after['p50_s']).toBeLessThan(1_800);
    const again = (await computed()).filter(
      (event) => Date.parse(String(event['ts_event'])) > stopped,
    );
    expect(again).toEqual([]);
  });
});
