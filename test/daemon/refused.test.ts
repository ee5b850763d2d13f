/** What who is refused is told: the status, when to come back, why, and what would have helped. */
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asOpenai, chat, configFor } from './configs.ts';
import { cleanUp, eventually, startDaemon, type Item, type TestDaemon } from './harness.ts';
import { openaiOrigin } from './openai-origin.ts';
import { FixedWindow, listenOrigin, sendJson, type Origin } from './origins.ts';
import type { Answer } from './wire.ts';

const POLICY = `version: 1
defaults: { max_wait: 20s }
reserve:
  - { id: prod, match: { pool: shared }, for: { priority: high }, share: 40% }
limits:
  - { id: shared, match: { path: "/shared/*" }, quota: 10 requests / 1h }
  - { id: scarce, match: { path: "/scarce/*" }, quota: 5 requests / 1h, window: fixed }
  - { id: each, match: { path: "/each/*" }, per: [agent], quota: 5 requests / 1h }
  - { id: brief, match: { path: "/brief/*" }, quota: 20 requests / 1s, window: fixed }
  - { id: purse, match: { agent: "paid-*" }, quota: 0.001 usd / 1d }
rules:
  - { id: enough, match: { path: "/low/*" }, when: pool.remaining_ratio < 1.1, action: reject }
  - { id: later, match: { path: "/later/*" }, action: delay, with: { for: 5m } }
`;

const HOUR_S = 3600;
let github: Origin;
let acme: Origin;
let daemon: TestDaemon;
/** The window of the key `last`, short enough to see its end. */
let last: FixedWindow;

function fieldsOf(window: FixedWindow): Record<string, string> {
  const { limit, remaining, resetS } = window;
  return {
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-used': String(limit - remaining),
    'x-ratelimit-reset': String(resetS),
    'x-ratelimit-resource': 'core',
  };
}

function forbidden(res: ServerResponse, fields: Record<string, string>): void {
  const documentation_url = 'https://docs.github.com/rest/repos/repos#get-a-repository';
  const message = 'Resource not accessible by personal access token';
  const permissions = { 'x-accepted-github-permissions': 'contents=read' };
  sendJson(res, 403, { message, documentation_url, status: '403' }, { ...fields, ...permissions });
}

const shared = new FixedWindow(500, 600_000);

beforeAll(async () => {
  last = new FixedWindow(4, 2_500);
  github = await listenOrigin(() => (req, res) => {
    if (req.url?.startsWith('/down') === true) {
      sendJson(res, 502, { message: 'Server Error' });
      return;
    }
    const mine = req.headers.authorization?.includes('last') === true;
    const window = mine ? last : shared;
    window.take(1);
    if (req.url === '/repos/a/secret') forbidden(res, fieldsOf(window));
    else sendJson(res, 200, { ok: true }, fieldsOf(window));
  });
  acme = await listenOrigin(() => (_req, res) => sendJson(res, 200, { ok: true }));
  const openai = await openaiOrigin();
  daemon = await startDaemon({ config: configFor({ github, acme, openai }), policy: POLICY });
  // Of an API that tells no quota only so many may be under way before the first answer.
  await daemon.send('/acme/known');
});
afterAll(cleanUp);

const ask = (path: string, agent = 'a', wait = '1', key = 'ghp_a') =>
  daemon.send(`/@${agent}${path}`, {
    headers: { authorization: `Bearer ${key}`, 'x-ratelord-max-wait': wait },
  });

const retryAfter = (answer: Answer): number => Number(answer.field('retry-after'));
const reasonOf = (answer: Answer): Item => (answer.json() as { ratelord: Item }).ratelord;

async function explained(answer: Answer): Promise<string> {
  const decision = await daemon.api(`/v1/decisions/${answer.field('x-ratelord-id')}`);
  return (decision.json() as { explanation: string }).explanation;
}

describe('when to come back', () => {
  test('an agent that floods does not push others behind its own slots', async () => {
    for (let i = 0; i < 5; i++) expect((await ask('/acme/scarce/x', 'first')).status).toBe(200);
    const flood = await Promise.all(
      Array.from({ length: 30 }, () => ask('/acme/scarce/x', 'flood')),
    );
    expect(flood.every(({ status }) => status === 429)).toBe(true);
    // Five an hour: the thirtieth is told of an hour much later, and all of them of different times.
    expect(Math.max(...flood.map(retryAfter))).toBeGreaterThan(4 * HOUR_S);
    expect(new Set(flood.map((one) => one.field('retry-after-ms'))).size).toBeGreaterThan(25);
    expect(retryAfter(await ask('/acme/scarce/x', 'quiet'))).toBeLessThan(HOUR_S + 10);
  });

  test('who is refused by a rule until the reset comes back at a time of his own', async () => {
    await ask('/github/user');
    const refused = await Promise.all(Array.from({ length: 20 }, () => ask('/github/low/x')));
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([403]));
    const times = refused.map((one) => Number(one.field('retry-after-ms')));
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(5_000);
    const text = await explained(refused[0] as Answer);
    expect(text).toContain('asking again at');
    // However long it would have been ready to wait, the rule refuses.
    expect(text).not.toContain('allowing a wait of');
  });

  test('the wait that would have been enough is the one in line, not until the own slot', async () => {
    for (let i = 0; i < 5; i++) await ask('/acme/each/x', 'one');
    for (let i = 0; i < 12; i++) await ask('/acme/each/x', 'one');
    const text = await explained(await ask('/acme/each/x', 'one'));
    const seconds = Number(/x-ratelord-max-wait: (\d+)/.exec(text)?.[1]);
    expect(seconds).toBeGreaterThan(HOUR_S - 60);
    expect(seconds).toBeLessThan(HOUR_S + 60);
  });
});

test('a host that fails is no quota of the caller: 503', async () => {
  const answers: Answer[] = [];
  for (let i = 0; i < 7; i++) answers.push(await ask('/github/down', 'a', '0', 'ghp_down'));
  const refused = answers.at(-1) as Answer;
  expect([refused.status, reasonOf(refused)['code']]).toEqual([503, 'RL_PROVIDER_DOWN']);
  expect(retryAfter(refused)).toBeGreaterThan(0);
  expect(refused.text).not.toContain('rate limit');
  // Until it has recovered the other tests would wait for it.
  await eventually(
    async () => (await ask('/github/user', 'a', '20')).status,
    (status) => status === 200,
  );
});

describe('a 403 for missing permissions', () => {
  const secrets = () => github.seen.filter(({ url }) => url === '/repos/a/secret').length;

  test('by the last request of a window is passed on at once, once, and shuts nothing', async () => {
    for (let i = 0; i < 3; i++)
      expect((await ask('/github/user', 'a', '20', 'last')).status).toBe(200);
    const throttled = async (): Promise<string> =>
      /^ratelord_upstream_throttled_total\{provider="github",kind="primary"\} .*/m.exec(
        (await daemon.api('/metrics')).text,
      )?.[0] ?? '';
    const before = [secrets(), await throttled()];
    const answer = await ask('/github/repos/a/secret', 'a', '20', 'last');
    expect([answer.status, answer.field('x-ratelimit-remaining')]).toEqual([403, '0']);
    expect(answer.text).toContain('Resource not accessible');
    expect(answer.field('x-ratelord-attempts')).toBe('');
    expect([secrets(), await throttled()]).toEqual([Number(before[0]) + 1, before[1]]);
    const pools = await daemon.items('/v1/pools?pool=core');
    expect(pools.filter((pool) => pool['throttled_until'] !== null)).toEqual([]);
    expect((await ask('/github/user', 'a', '20', 'last')).status).toBe(200);
  });
});

test('who used a window that is over is not shown as using the next', async () => {
  for (let i = 0; i < 3; i++) await ask('/acme/brief/x', 'early');
  const users = async (): Promise<unknown> =>
    (await daemon.items('/v1/pools?pool=brief'))[0]?.['agents'];
  await eventually(users, (agents) => agents === undefined, 5_000);
});

test('what a reservation keeps from others is told as the reason', async () => {
  for (let i = 0; i < 6; i++) expect((await ask('/acme/shared/x')).status).toBe(200);
  expect(reasonOf(await ask('/acme/shared/x'))['reason']).toMatch(
    /`shared` has 4 of 10 requests left; .*; a reservation keeps 4 of that for others/,
  );
});

test('what the policy does not look like is remarked', async () => {
  const { notices } = (await daemon.api('/v1/policy')).json() as { notices: readonly string[] };
  expect(notices).toEqual([expect.stringContaining('rule `later` delays by 5m')]);
  const checked = await daemon.cli(['policy', 'check', daemon.policyFile]);
  expect([checked.code, checked.stdout]).toEqual([0, expect.stringContaining('notice: ')]);
  expect(daemon.stderr).toContain('rule `later` delays by 5m');
});

test('pools of one limit are told apart', async () => {
  await ask('/acme/each/x', 'two');
  const { stdout } = await daemon.cli(['status']);
  expect(stdout).toMatch(/policy +each agent:one /);
  expect(stdout).toMatch(/policy +each agent:two /);
  const partitions = (await daemon.items('/v1/pools?pool=each')).map((one) => one['partition']);
  expect(partitions.sort()).toEqual(['agent:one', 'agent:two']);
});

describe('money', () => {
  const pay = (agent: string, more: Readonly<Record<string, unknown>>) =>
    daemon.send(`/@${agent}/openai/v1/chat/completions`, {
      method: 'POST',
      headers: { ...asOpenai, 'x-ratelord-max-wait': '0' },
      body: chat(more),
    });

  test('an unpriced model is refused with what can be done about it', async () => {
    const text = await explained(await pay('paid-1', { model: 'in-house' }));
    expect(text).toContain('a price under `prices` in the policy');
    expect(text).toContain('`unpriced: pass` on the limit');
    expect(text).not.toContain('rule `purse` not applying');
  });

  test('what nobody told is charged as the most it can be, and said so', async () => {
    const streamed = await pay('paid-1', { stream: true });
    expect(streamed.status).toBe(200);
    const text = await eventually(
      () => explained(streamed),
      (told) => told.includes('By our count'),
    );
    expect(text).toContain('its budget is charged the most that it can have cost');
  });
});

test('who only asks whether he may need not say for which model', async () => {
  const may = async (scope_id: string): Promise<Item> => {
    const who = { agent_id: 'paid-2', identity_id: 'anonymous', workload_id: 'w', scope_id };
    return (await daemon.post('/v1/intent', { ...who, provider_id: 'openai' })).json() as Item;
  };
  const open = await may('sentinel:unknown');
  expect(open['decision']).toBe('approve');
  const { rules } = open['evaluation'] as { rules: readonly Item[] };
  expect(rules).toContainEqual(expect.objectContaining({ rule: 'purse', effect: 'skipped' }));
  const unpriced = await may('model:in-house');
  expect(unpriced['decision']).toBe('deny_with_reason');
  expect((unpriced['evaluation'] as Item)['code']).toBe('RL_UNPRICED');
});

test('room that others may have taken is told as the reason', async () => {
  const key = 'ghp_shared';
  for (let i = 0; i < 3; i++) await ask('/github/user', 'a', '20', key);
  // Another machine with the same key, which takes nearly all within a moment.
  for (let i = 0; i < 4; i++) {
    shared.take(110);
    await ask('/github/user', 'a', '20', key);
  }
  const refused = await eventually(
    () => ask('/github/user', 'a', '0', key),
    ({ status }) => status === 403,
  );
  expect(String(reasonOf(refused)['reason'])).toMatch(
    /`core` has \d+ of 500 requests left, of which others may have taken \d+ in the .* since it was told/,
  );
});
