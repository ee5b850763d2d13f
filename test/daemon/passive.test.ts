/** What is told rather than proxied: observations, intents, identities, polls; and looking on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asGithub, configFor, GITHUB_KEY } from './configs.ts';
import { githubOrigin, type GithubOrigin } from './github-origin.ts';
import { cleanUp, eventually, startDaemon, type Item, type TestDaemon } from './harness.ts';

let github: GithubOrigin;
let daemon: TestDaemon;

beforeAll(async () => {
  github = await githubOrigin({ limit: 3, windowMs: 3_600_000 });
  daemon = await startDaemon({ config: configFor({ github }) });
});
afterAll(cleanUp);

function seen(more: Readonly<Record<string, unknown>>) {
  return {
    provider: 'github',
    url: 'https://api.github.com/user',
    status: 200,
    ...more,
  };
}

function headers(used: number, resetS: number): Record<string, string> {
  return {
    'x-ratelimit-limit': '100',
    'x-ratelimit-remaining': String(100 - used),
    'x-ratelimit-used': String(used),
    'x-ratelimit-reset': String(resetS),
    'x-ratelimit-resource': 'core',
  };
}

async function coreOf(identity: string): Promise<Item | undefined> {
  const pools = await daemon.items(`/v1/pools?identity=${identity}`);
  return pools.find((one) => one['pool'] === 'core');
}

const inAnHour = Math.floor(Date.now() / 1000) + 3_600;

describe('POST /v1/observations', () => {
  test('one observation makes a pool', async () => {
    const body = seen({ identity: 'elsewhere', headers: headers(40, inAnHour) });
    const answer = await daemon.post('/v1/observations', body);
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({ accepted: 1 });
    expect(await coreOf('elsewhere')).toMatchObject({ limit: 100, used: 40, remaining: 60 });
    const events = await daemon.items('/v1/events?identity=elsewhere&type=usage_observed');
    expect(events).toHaveLength(1);
  });

  test('an array, fields as pairs, a hash for the credential', async () => {
    const pairs = Object.entries(headers(7, inAnHour));
    const batch = [
      seen({ credential_hash: 'theirs-1', headers: pairs }),
      seen({ credential_hash: 'theirs-2', headers: pairs }),
    ];
    const answer = await daemon.post('/v1/observations', batch);
    expect(answer.json()).toMatchObject({ accepted: 2 });
    const pools = await daemon.items('/v1/pools?pool=core');
    expect(pools.filter((one) => one['used'] === 7)).toHaveLength(2);
  });

  test('an old one is recorded, and does not undo what is newer', async () => {
    const identity = 'late';
    const at = Date.now();
    await daemon.post('/v1/observations', seen({ identity, headers: headers(50, inAnHour), at }));
    const old = seen({
      identity,
      headers: headers(20, inAnHour),
      at: new Date(at - 600_000).toISOString(),
    });
    expect((await daemon.post('/v1/observations', old)).status).toBe(200);
    expect(await coreOf(identity)).toMatchObject({ used: 50, remaining: 50 });
    const events = await daemon.items(`/v1/events?identity=${identity}&type=usage_observed`);
    expect(events).toHaveLength(2);
    expect(Date.parse(String(events[1]?.['ts_event']))).toBe(at - 600_000);
    expect(Date.parse(String(events[1]?.['ts_ingest']))).toBeGreaterThanOrEqual(at);
  });

  test('one from a window that is over is recorded, and changes no pool', async () => {
    const identity = 'ancient';
    const body = seen({
      identity,
      headers: headers(99, inAnHour - 90_000),
      at: Date.now() - 86_400_000,
    });
    expect((await daemon.post('/v1/observations', body)).status).toBe(200);
    expect((await coreOf(identity))?.['used'] ?? 0).toBe(0);
    const events = await daemon.items(`/v1/events?identity=${identity}&type=usage_observed`);
    expect(events).toHaveLength(1);
  });

  test('a bad one is refused, naming the member', async () => {
    const answer = await daemon.post('/v1/observations', seen({ provider: 'gitlab', headers: {} }));
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('gitlab');
    expect((await daemon.post('/v1/observations', { provider: 'github' })).status).toBe(400);
  });
});

describe('POST /v1/intent', () => {
  const intent = (more: Readonly<Record<string, unknown>> = {}) => ({
    agent_id: 'planner',
    identity_id: 'intending',
    workload_id: 'nightly',
    scope_id: 'repo:acme/site',
    urgency: 'normal',
    ...more,
  });

  test('approves what fits, waits for what will, denies what never does', async () => {
    const soon = Math.floor(Date.now() / 1000) + 30;
    const known = seen({ identity: 'intending', headers: headers(98, soon) });
    await daemon.post('/v1/observations', known);
    const fits = await daemon.post('/v1/intent', intent({ expected_cost: 1 }));
    expect(fits.json()).toMatchObject({ decision: 'approve', modifications: {} });
    const waits = await daemon.post('/v1/intent', intent({ expected_cost: 10 }));
    const answer = waits.json() as { decision: string; modifications: { wait_seconds: number } };
    expect(answer.decision).toBe('approve_with_modifications');
    expect(answer.modifications.wait_seconds).toBeGreaterThan(1);
    const never = await daemon.post('/v1/intent', intent({ expected_cost: 1_000, debug: true }));
    expect(never.status).toBe(200);
    expect(never.json()).toMatchObject({
      decision: 'deny_with_reason',
      reason: expect.any(String) as string,
      trace: expect.any(Array) as unknown[],
    });
  });

  test('is in the ledger before it is answered', async () => {
    const answer = await daemon.post('/v1/intent', intent());
    const { intent_id: id } = answer.json() as { intent_id: string };
    const decision = await daemon.api(`/v1/decisions/${id}`);
    expect(decision.status).toBe(200);
    expect(decision.json()).toMatchObject({ agent: 'planner', workload: 'nightly' });
  });

  test('an identity that was only seen in traffic is known, by what the list calls it', async () => {
    await daemon.send('/github/user', { headers: { authorization: 'Bearer ghp_passing_by' } });
    const items = await daemon.items('/v1/identities');
    const key = items.find((one) => String(one['id']).startsWith('key-'));
    const answer = await daemon.post('/v1/intent', intent({ identity_id: key?.['id'] }));
    expect(answer.json()).toMatchObject({ decision: 'approve' });
  });

  test('an identity that nobody knows is denied, which is recorded too', async () => {
    const answer = await daemon.post('/v1/intent', intent({ identity_id: 'nobody-knows' }));
    expect(answer.status).toBe(200);
    const told = answer.json() as { intent_id: string; decision: string; reason: string };
    expect(told.decision).toBe('deny_with_reason');
    expect(told.reason).toContain('nobody-knows');
    expect((await daemon.api(`/v1/decisions/${told.intent_id}`)).status).toBe(200);
  });
});

describe('identities', () => {
  test('are registered, listed and deleted, and a credential is never taken', async () => {
    const raw = { id: 'bot', provider: 'github', credential: 'ghp_raw' };
    expect((await daemon.post('/v1/identities', raw)).status).toBe(400);
    const made = await daemon.post('/v1/identities', {
      id: 'bot',
      provider: 'github',
      credential_hash: 'opaque-1',
    });
    expect(made.status).toBe(201);
    expect(await ids()).toContain('bot');
    const twice = await daemon.post('/v1/identities', { id: 'bot', provider: 'github' });
    expect(twice.status).toBe(409);
    expect((await daemon.api('/v1/identities/bot', { method: 'DELETE' })).status).toBe(204);
    expect(await ids()).not.toContain('bot');
    const types = (await daemon.items('/v1/events?identity=bot')).map((event) => event['type']);
    expect(types).toEqual(['identity_registered', 'identity_deleted']);
  });

  const ids = async (): Promise<unknown[]> =>
    (await daemon.items('/v1/identities')).map((one) => one['id']);

  test('a configured one is polled at once, for free, and owns its credential’s traffic', async () => {
    const polled = await githubOrigin({ limit: 30, windowMs: 3_600_000 });
    const own = await startDaemon({
      config: configFor({
        github: polled,
        more:
          'identities:\n' +
          '  - { id: gh-ci, provider: github, credential: env:GITHUB_TOKEN, poll: 60s }\n',
      }),
      env: { GITHUB_TOKEN: GITHUB_KEY },
    });
    const pools = await eventually(
      () => own.items('/v1/pools?identity=gh-ci'),
      (items) => items.length > 0,
    );
    expect(pools.find((one) => one['pool'] === 'core')).toMatchObject({ limit: 30, used: 0 });
    expect(polled.seen[0]).toMatchObject({ method: 'GET', url: '/rate_limit' });
    await own.send('/github/user', { headers: asGithub });
    const after = await own.items('/v1/pools?identity=gh-ci');
    expect(after.find((one) => one['pool'] === 'core')).toMatchObject({ used: 1, remaining: 29 });
    const types = (await own.items('/v1/events?identity=gh-ci')).map((event) => event['type']);
    expect(types).toContain('provider_poll_observed');
    expect((await own.api('/v1/identities/gh-ci', { method: 'DELETE' })).status).toBe(409);
  });
});

describe('mode: observe', () => {
  test('records what would have been decided, and changes nothing', async () => {
    const origin = await githubOrigin({ limit: 2, windowMs: 3_600_000 });
    const own = await startDaemon({
      config: configFor({ github: origin, more: 'mode: observe\n' }),
      policy:
        'version: 1\nrules:\n  - id: none\n    match: { method: DELETE }\n    action: reject\n',
    });
    const headers = { ...asGithub, 'x-ratelord-max-wait': '0' };
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push(await own.send('/github/user', { headers }));
    expect(answers.map((one) => one.status)).toEqual([200, 200, 403]);
    // The third refusal is the origin's own.
    expect(origin.refused).toBe(1);
    expect(answers[2]?.text).toContain('user ID 4711');
    expect((await own.send('/github/user', { method: 'DELETE', headers })).status).toBe(403);
    expect(origin.seen.at(-1)?.method).toBe('DELETE');
    const decided = await own.items('/v1/events?type=intent_decided');
    const third = decided[2]?.['payload'];
    expect(third).toMatchObject({ decision: 'reject', enforced: false });
    const told = await own.cli(['explain', answers[2]?.field('x-ratelord-id') ?? '']);
    expect(told.stdout).toContain('observe');
  });
});
