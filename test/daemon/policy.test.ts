/** Policy files as the daemon keeps them: limits, reserves, rules, and changing them under way. */
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asGithub, configFor } from './configs.ts';
import { githubOrigin, type GithubOrigin } from './github-origin.ts';
import { cleanUp, eventually, startDaemon, type TestDaemon } from './harness.ts';
import { ietfOrigin } from './ietf-origin.ts';
import { listenOrigin, sendJson } from './origins.ts';
import type { Answer } from './wire.ts';

const POLICY = `version: 1
defaults: { max_wait: 20s, priority: normal }
limits:
  - id: crawlers
    match: { provider: github, agent: "crawler-*" }
    per: [agent]
    quota: 2 requests / 1h
    window: rolling
reserve:
  - id: keep-for-prod
    match: { provider: github, pool: core }
    for: { priority: high }
    share: 50%
rules:
  - id: no-deletes
    match: { method: [DELETE] }
    action: reject
    with: { retry_after: never }
    reason: deletions are not for agents
  - id: slow-search
    match: { path: "/slow/*" }
    action: delay
    with: { for: 300ms }
    reason: slowly there
  - id: running-low
    match: { agent: "warned" }
    when: pool.remaining_ratio < 0.99
    action: warn
    reason: getting low
  - id: later
    match: { agent: "frugal" }
    when: forecast.p50 < 10
    action: reject
    reason: never now
`;

let github: GithubOrigin;
let daemon: TestDaemon;

beforeAll(async () => {
  github = await githubOrigin({ limit: 10, windowMs: 3_600_000 });
  daemon = await startDaemon({ config: configFor({ github }), policy: POLICY });
});
afterAll(cleanUp);

const now = { 'x-ratelord-max-wait': '0' };

function send(path: string, credential: string, more: Readonly<Record<string, string>> = {}) {
  const headers = { authorization: `Bearer ghp_${credential}`, ...more };
  return daemon.send(path, { headers });
}

function ruleOf(answer: Answer): unknown {
  return (answer.json() as { ratelord: { rule?: unknown } }).ratelord.rule;
}

describe('what a policy does', () => {
  test('a limit of ours is kept for each agent', async () => {
    for (const agent of ['crawler-1', 'crawler-2']) {
      for (let i = 0; i < 2; i++) {
        expect((await send(`/@${agent}/github/user`, `of-${agent}`, now)).status).toBe(200);
      }
      const third = await send(`/@${agent}/github/user`, `of-${agent}`, now);
      expect(third.status).toBe(403);
      expect(third.text).toContain('crawlers');
    }
    // Others do not draw on it.
    expect((await send('/@editor/github/user', 'of-crawler-1', now)).status).toBe(200);
  });

  test('a reserve is kept for those it is for', async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await send('/github/user', 'reserve', now)).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 403]);
    const urgent = await send('/github/user', 'reserve', { ...now, 'x-ratelord-priority': 'high' });
    expect(urgent.status).toBe(200);
    expect(github.refused).toBe(0);
  });

  test('a rule rejects for good, naming itself', async () => {
    const seen = github.seen.length;
    const answer = await daemon.send('/github/repos/a/b', { method: 'DELETE', headers: asGithub });
    expect([403, 429]).toContain(answer.status);
    expect(answer.field('x-should-retry')).toBe('false');
    expect(answer.field('retry-after')).toBe('');
    expect(ruleOf(answer)).toBe('no-deletes');
    expect(answer.text).toContain('deletions are not for agents');
    expect(github.seen).toHaveLength(seen);
  });

  test('a rule delays', async () => {
    const answer = await send('/github/slow/thing', 'slow');
    expect(answer.status).toBe(200);
    expect(answer.field('x-ratelord-decision')).toBe('delay');
    expect(Number(answer.field('x-ratelord-waited-ms'))).toBeGreaterThanOrEqual(299);
  });

  test('a rule warns, once there is something to read', async () => {
    const first = await send('/@warned/github/user', 'warn');
    expect(first.field('x-ratelord-warning')).toBe('');
    const second = await send('/@warned/github/user', 'warn');
    expect(second.status).toBe(200);
    expect(second.field('x-ratelord-warning')).toContain('getting low');
  });

  test('a rule that needs a value not known is skipped, and explain says so', async () => {
    const answer = await send('/@frugal/github/user', 'frugal');
    expect(answer.status).toBe(200);
    const told = await daemon.cli(['explain', answer.field('x-ratelord-id')]);
    expect(told.code).toBe(0);
    expect(told.stdout).toContain('later');
    expect(told.stdout).toMatch(/skipped/);
  });

  test('GET /v1/policy shows what rules', async () => {
    const policy = (await daemon.api('/v1/policy')).json() as { rules: { id: string }[] };
    expect(policy.rules.map((rule) => rule.id)).toContain('no-deletes');
    expect(policy).toMatchObject({ mode: 'enforce', refused: [] });
  });
});

describe('limits of each kind', () => {
  const KINDS = `version: 1
limits:
  - { id: at-once, match: { path: "/once/*" }, quota: 1 requests, window: concurrent }
  - { id: refills, match: { path: "/bucket/*" }, quota: 2 requests / 1h, window: bucket }
  - { id: windows, match: { path: "/fixed/*" }, quota: 2 requests / 1h, window: fixed }
rules:
  - { id: paced, match: { path: "/paced/*" }, action: delay, with: { pace: 10/s } }
`;

  test('only so many at once, and whoever is urgent goes first', async () => {
    const held: (() => void)[] = [];
    const origin = await listenOrigin(() => (_req, res) => {
      held.push(() => sendJson(res, 200, {}));
    });
    const own = await startDaemon({ config: configFor({ acme: origin }), policy: KINDS });
    const depth = async (): Promise<unknown> =>
      ((await own.api('/v1/health')).json() as { queue_depth: number }).queue_depth;
    const ask = (name: string, priority: string) =>
      own.send(`/acme/once/${name}`, { headers: { 'x-ratelord-priority': priority } });
    const asked = [ask('first', 'normal')];
    await eventually(
      () => held.length,
      (count) => count === 1,
    );
    for (const priority of ['background', 'normal', 'high']) {
      asked.push(ask(priority, priority));
      await eventually(depth, (waiting) => waiting === asked.length - 1);
    }
    for (let answered = 1; answered <= 4; answered++) {
      await eventually(
        () => held.length,
        (count) => count >= 1,
      );
      // Nobody else was sent beside the one that is being answered.
      expect(origin.seen).toHaveLength(answered);
      held.shift()?.();
    }
    await Promise.all(asked);
    expect(origin.seen.map((one) => one.url)).toEqual([
      '/once/first',
      '/once/high',
      '/once/normal',
      '/once/background',
    ]);
  });

  test.each([
    ['bucket', ['pass', 'pass', 'reject', 'reject']],
    ['fixed', ['pass', 'pass', 'reject', 'reject']],
    ['paced', ['pass', 'delay', 'delay', 'delay']],
  ])('%s', async (kind, decisions) => {
    const origin = await ietfOrigin({ limit: 1_000, windowS: 3_600 });
    const own = await startDaemon({ config: configFor({ acme: origin }), policy: KINDS });
    await own.send('/acme/known');
    const headers: Record<string, string> = kind === 'paced' ? {} : now;
    const answers = await Promise.all(
      Array.from({ length: 4 }, (_, i) => own.send(`/acme/${kind}/${String(i)}`, { headers })),
    );
    expect(answers.map((one) => one.field('x-ratelord-decision')).sort()).toEqual(
      [...decisions].sort(),
    );
  });
});

describe('changing the file', () => {
  const hash = async (of: TestDaemon): Promise<unknown> =>
    ((await of.api('/v1/policy')).json() as { hash: unknown }).hash;
  const ALLOWING = 'version: 1\n';

  test('is noticed, recorded, and rules from then on', async () => {
    const own = await startDaemon({ config: configFor({ github }), policy: POLICY });
    const remove = (): Promise<Answer> =>
      own.send('/github/repos/a/b', { method: 'DELETE', headers: asGithub });
    expect((await remove()).field('x-ratelord-decision')).toBe('reject');
    const before = await hash(own);
    writeFileSync(own.policyFile, ALLOWING);
    await eventually(
      () => hash(own),
      (now) => now !== before,
    );
    expect((await remove()).status).toBe(200);
    const events = await own.items('/v1/events?type=policy_updated');
    expect(events).not.toEqual([]);
    expect(events.at(-1)).toMatchObject({
      agent_id: expect.stringContaining('sentinel') as string,
    });
  });

  test('by SIGHUP at once; a broken file is refused and the old policy stays', async () => {
    const own = await startDaemon({ config: configFor({ github }), policy: POLICY });
    const before = await hash(own);
    writeFileSync(own.policyFile, 'version: 1\nrules:\n  - id: x\n    acton: reject\n');
    own.signal('SIGHUP');
    const policy = await eventually(
      async () => (await own.api('/v1/policy')).json() as { hash: unknown; refused: string[] },
      (now) => now.refused.length > 0,
    );
    expect(policy.hash).toBe(before);
    expect(policy.refused.join('\n')).toContain('acton');
    expect(policy.refused.join('\n')).toContain('action');
    expect((await own.api('/v1/health')).json()).toMatchObject({ status: 'degraded' });
    const refused = await own.send('/github/repos/a/b', { method: 'DELETE', headers: asGithub });
    expect(refused.field('x-ratelord-decision')).toBe('reject');
    writeFileSync(own.policyFile, ALLOWING);
    own.signal('SIGHUP');
    await eventually(
      () => hash(own),
      (now) => now !== before,
    );
    expect((await own.api('/v1/health')).json()).toMatchObject({ status: 'ok' });
    // A broken edit that is taken back is noticed as well, though no policy is replaced by it.
    const refusals = async (): Promise<number> =>
      ((await own.api('/v1/policy')).json() as { refused: string[] }).refused.length;
    writeFileSync(own.policyFile, 'version: 1\nrulez: []\n');
    await eventually(refusals, (count) => count > 0);
    writeFileSync(own.policyFile, ALLOWING);
    await eventually(refusals, (count) => count === 0);
    expect((await own.api('/v1/health')).json()).toMatchObject({ status: 'ok' });
    // A file that is gone is refused too.
    rmSync(own.policyFile);
    own.signal('SIGHUP');
    await eventually(
      async () => (await own.api('/v1/policy')).json() as { refused: string[] },
      (now) => now.refused.length > 0,
    );
  });

  test('policy check finds what is wrong, with path, line and a suggestion', async () => {
    writeFileSync(`${daemon.home}/bad.yaml`, 'version: 1\nrules:\n  - id: x\n    acton: reject\n');
    const bad = await daemon.cli(['policy', 'check', `${daemon.home}/bad.yaml`]);
    expect(bad.code).toBe(1);
    expect(bad.stdout).toMatch(/bad\.yaml:4/);
    expect(bad.stdout).toContain('`action`');
    const good = await daemon.cli(['policy', 'check', daemon.policyFile]);
    expect(good.code).toBe(0);
    expect((await daemon.cli(['policy', 'check'])).code).toBe(2);
  });
});
