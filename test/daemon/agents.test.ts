/** Who an agent says it is, in every way it can, and who is believed. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asGithub, configFor } from './configs.ts';
import { githubOrigin, type GithubOrigin } from './github-origin.ts';
import { cleanUp, startDaemon, type TestDaemon } from './harness.ts';
import { basic, call, callTls, openTunnel, type Answer } from './wire.ts';

const LISTED = `
agents:
  - { id: crawler-01, token: env:CRAWLER_TOKEN, max_priority: normal }
`;
const env = { CRAWLER_TOKEN: 'crawler-token-1' };

let github: GithubOrigin;
let open: TestDaemon;
let strict: TestDaemon;

beforeAll(async () => {
  github = await githubOrigin({ limit: 5000, windowMs: 3_600_000 });
  [open, strict] = await Promise.all([
    startDaemon({ config: configFor({ github, more: LISTED }), env }),
    startDaemon({ config: configFor({ github, more: `${LISTED}require_agent: true\n` }), env }),
  ]);
});
afterAll(cleanUp);

/** The agent that the ledger has for an answer. */
async function agentOf(daemon: TestDaemon, answer: Answer): Promise<unknown> {
  const decision = await daemon.api(`/v1/decisions/${answer.field('x-ratelord-id')}`);
  return (decision.json() as { agent: unknown }).agent;
}

function absolute(daemon: TestDaemon, headers: Readonly<Record<string, string>>): Promise<Answer> {
  const target = 'http://api.github.com/user';
  return call(daemon.proxy, { target, headers: { ...asGithub, ...headers } });
}

function inTunnel(daemon: TestDaemon, proxyAuthorization?: string): Promise<Answer> {
  return callTls({
    proxyPort: daemon.proxyPort,
    authority: 'api.github.com:443',
    caFile: daemon.ready.ca,
    path: '/user',
    headers: asGithub,
    ...(proxyAuthorization === undefined ? {} : { proxyAuthorization }),
  });
}

describe('an agent that is not listed names itself', () => {
  test('in the path', async () => {
    const answer = await open.send('/@by-path/github/user', { headers: asGithub });
    expect(await agentOf(open, answer)).toBe('by-path');
  });

  test('in a field', async () => {
    const headers = { ...asGithub, 'x-ratelord-agent': 'by-field' };
    expect(await agentOf(open, await open.send('/github/user', { headers }))).toBe('by-field');
  });

  test('as the proxy’s user, in absolute form; a token it sends is ignored', async () => {
    const answer = await absolute(open, { 'proxy-authorization': basic('by-user', 'whatever') });
    expect(answer.status).toBe(200);
    expect(await agentOf(open, answer)).toBe('by-user');
    const names = github.seen.at(-1)?.rawHeaders.map((name) => name.toLowerCase()) ?? [];
    expect(names).not.toContain('proxy-authorization');
  });

  test('as the proxy’s user, in a tunnel', async () => {
    const answer = await inTunnel(open, basic('by-tunnel', 'x'));
    expect(await agentOf(open, answer)).toBe('by-tunnel');
  });

  test('or not at all: the unknown has a name, never null', async () => {
    const answer = await open.send('/github/user', { headers: asGithub });
    expect(await agentOf(open, answer)).toBe('sentinel:unknown');
    const [event] = await open.items('/v1/events?type=intent_submitted&limit=1');
    for (const dimension of ['agent_id', 'workload_id', 'scope_id', 'identity_id']) {
      expect(event?.[dimension]).toEqual(expect.stringMatching(/./));
    }
  });
});

describe('a listed agent proves its name', () => {
  test.each([
    ['a wrong token', basic('crawler-01', 'wrong')],
    ['no token', basic('crawler-01', '')],
  ])('407 for %s', async (_what, authorization) => {
    const seen = github.seen.length;
    const answer = await absolute(open, { 'proxy-authorization': authorization });
    expect(answer.status).toBe(407);
    expect(answer.field('proxy-authenticate')).toMatch(/^Basic realm=/);
    const { status, head, socket } = await openTunnel({
      proxyPort: open.proxyPort,
      authority: 'api.github.com:443',
      proxyAuthorization: authorization,
    });
    socket.destroy();
    expect(status).toBe(407);
    expect(head.toLowerCase()).toContain('\r\nproxy-authenticate: basic');
    expect(github.seen).toHaveLength(seen);
  });

  test('its name alone is not enough, wherever it stands', async () => {
    const byPath = await open.send('/@crawler-01/github/user', { headers: asGithub });
    expect(byPath.status).toBe(407);
    const headers = { ...asGithub, 'x-ratelord-agent': 'crawler-01' };
    expect((await open.send('/github/user', { headers })).status).toBe(407);
  });

  test('with its token it passes, and claims no more than it may', async () => {
    const answer = await absolute(open, {
      'proxy-authorization': basic('crawler-01', env.CRAWLER_TOKEN),
      'x-ratelord-priority': 'high',
    });
    expect(answer.status).toBe(200);
    expect(await agentOf(open, answer)).toBe('crawler-01');
    const [event] = await open.items('/v1/events?agent=crawler-01&type=intent_submitted&limit=1');
    expect(event).toMatchObject({ payload: { priority: 'normal' } });
  });
});

describe('with require_agent', () => {
  test('only listed ones pass', async () => {
    expect((await absolute(strict, {})).status).toBe(407);
    const stranger = await absolute(strict, { 'proxy-authorization': basic('stranger', 'x') });
    expect(stranger.status).toBe(407);
    expect((await strict.send('/@stranger/github/user', { headers: asGithub })).status).toBe(407);
    const listed = await inTunnel(strict, basic('crawler-01', env.CRAWLER_TOKEN));
    expect(listed.status).toBe(200);
  });
});
