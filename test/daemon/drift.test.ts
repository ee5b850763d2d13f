/** Somebody else uses the same key: the daemon notices, says so, and keeps room for him. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asOpenai, chat, configFor } from './configs.ts';
import { githubOrigin, type GithubOrigin } from './github-origin.ts';
import { openaiOrigin } from './openai-origin.ts';
import { cleanUp, eventually, startDaemon, type Item, type TestDaemon } from './harness.ts';

let daemon: TestDaemon;
let github: GithubOrigin;

beforeAll(async () => {
  github = await githubOrigin({ limit: 200, windowMs: 600_000, latencyMs: 5 });
  const openai = await openaiOrigin({ tokensPerMinute: 30_000 });
  daemon = await startDaemon({ config: configFor({ github, openai }) });
});
afterAll(cleanUp);

const headers = (name: string) => ({ authorization: `Bearer ghp_${name}` });

describe('use that was not sent through here', () => {
  test('is told in the events and shown beside the pool', async () => {
    const send = () => daemon.send('/github/user', { headers: headers('shared') });
    for (let i = 0; i < 3; i++) expect((await send()).status).toBe(200);
    expect(await daemon.items('/v1/events?type=drift_detected')).toEqual([]);
    const [name, window] = [...github.windows].find(([, one]) => one.used === 3) ?? [];
    expect(name).toContain('shared');
    // Another machine with the same key.
    window?.take(30);
    expect((await send()).status).toBe(200);
    const [event, ...rest] = await eventually(
      () => daemon.items('/v1/events?type=drift_detected'),
      (events) => events.length > 0,
    );
    expect(rest).toEqual([]);
    expect(event).toMatchObject({ type: 'drift_detected', provider_id: 'github' });
    expect(event?.['pool_id']).toMatch(/^github\/.*\/core$/);
    const payload = event?.['payload'] as Item;
    // What may have been our own is not counted: our first one may not have been in its answer.
    expect(payload['units']).toBeGreaterThanOrEqual(29);
    expect(payload['units']).toBeLessThanOrEqual(30);
    expect(payload['share_of_limit']).toBeCloseTo(Number(payload['units']) / 200, 3);
    expect(payload['rate_per_s']).toBeGreaterThanOrEqual(0);
    expect(Date.now() - Date.parse(String(payload['since']))).toBeLessThan(20_000);
    const pools = await daemon.items('/v1/pools');
    const shared = pools.filter((pool) => pool['outside'] !== undefined);
    expect(shared).toMatchObject([
      { id: event?.['pool_id'], outside: { units: payload['units'] } },
    ]);
    const { stdout } = await daemon.cli(['status']);
    expect(stdout).toContain(`others elsewhere ${String(payload['units'])}`);
    expect((await daemon.api('/metrics')).text).toMatch(
      /^ratelord_pool_outside_per_second\{.*pool="core".*\} \d/m,
    );
  });

  test('is never our own, however many are under way at once', async () => {
    const before = (await daemon.items('/v1/events?type=drift_detected')).length;
    const sent = Array.from({ length: 120 }, () =>
      daemon.send('/github/user', { headers: headers('alone') }),
    );
    expect((await Promise.all(sent)).map(({ status }) => status)).not.toContain(403);
    const after = await daemon.items('/v1/events?type=drift_detected');
    expect(after).toHaveLength(before);
    const own = (await daemon.items('/v1/pools?pool=core')).filter((one) => one['used'] === 120);
    expect(own).toHaveLength(1);
    expect(own[0]?.['outside']).toBeUndefined();
  });

  test('is never our own, though a bucket charges small requests more by the token', async () => {
    const content = 'x'.repeat(200);
    const before = (await daemon.items('/v1/events?type=drift_detected')).length;
    for (let i = 0; i < 150; i++) {
      const answer = await daemon.send('/openai/v1/chat/completions', {
        method: 'POST',
        headers: asOpenai,
        body: chat({ messages: [{ role: 'user', content }], max_tokens: 20 + 30 * (i % 7) }),
      });
      expect(answer.status).toBe(200);
    }
    const [tokens] = await daemon.items('/v1/pools?pool=tokens');
    expect(tokens?.['charged_ratio']).toBeGreaterThan(1);
    expect(tokens?.['outside']).toBeUndefined();
    expect(await daemon.items('/v1/events?type=drift_detected')).toHaveLength(before);
  });
});
