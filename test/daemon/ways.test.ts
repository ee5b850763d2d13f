/** Each way in, from outside, against origins that record what reached them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asGithub, asOpenai, chat, configFor } from './configs.ts';
import { ETAG, githubOrigin, type GithubOrigin } from './github-origin.ts';
import { cleanUp, startDaemon, type TestDaemon } from './harness.ts';
import { ietfOrigin } from './ietf-origin.ts';
import { openaiOrigin } from './openai-origin.ts';
import type { Origin } from './origins.ts';
import { basic, call, callTls, openTunnel } from './wire.ts';

let daemon: TestDaemon;
let github: GithubOrigin;
let openai: Origin;
let acme: Origin;

beforeAll(async () => {
  [github, openai, acme] = await Promise.all([
    githubOrigin({ limit: 5000, windowMs: 3_600_000 }),
    openaiOrigin(),
    ietfOrigin({ limit: 1000, windowS: 600 }),
  ]);
  daemon = await startDaemon({ config: configFor({ github, openai, acme }) });
});
afterAll(cleanUp);

function expectGoverned(answer: { field(name: string): string }): void {
  expect(answer.field('x-ratelord-id')).toMatch(/^rl_[0-9a-z]+$/);
  expect(answer.field('x-ratelord-decision')).toBe('pass');
}

describe('the ready line', () => {
  test('is one JSON line, with URLs that need no slash and the pid of the daemon', () => {
    const lines = daemon.stdout.split('\n').filter((line) => line !== '');
    expect(lines).toHaveLength(1);
    expect(daemon.ready).toEqual({
      ready: true,
      proxy: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string,
      api: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string,
      ca: expect.stringMatching(/ca\.pem$/) as string,
      pid: expect.any(Number) as number,
    });
    expect(() => process.kill(daemon.ready.pid, 0)).not.toThrow();
  });
});

describe('gateway', () => {
  test('forwards, and passes the provider’s own fields unchanged', async () => {
    const answer = await daemon.send('/github/user', { headers: asGithub });
    expect(answer.status).toBe(200);
    expectGoverned(answer);
    expect(answer.rawHeaders).toContain('X-RateLimit-Limit');
    expect(answer.field('x-ratelimit-limit')).toBe('5000');
    expect(answer.field('x-ratelimit-remaining')).toBe('4999');
    expect(answer.field('ratelimit')).toMatch(/^"ratelord[^"]*";r=\d+/);
    expect(answer.field('ratelimit-policy')).toMatch(/^"ratelord[^"]*";q=\d+/);
    const seen = github.seen.at(-1);
    expect(seen?.host).toBe('api.github.com');
    expect(seen?.url).toBe('/user');
  });

  test('keeps ratelord’s own request fields from the origin', async () => {
    const own = {
      'x-ratelord-agent': 'crawler-1',
      'x-ratelord-workload': 'nightly',
      'x-ratelord-scope': 'repo:acme/site',
      'x-ratelord-priority': 'high',
      'x-ratelord-max-wait': '5s',
      'x-ratelord-estimate': 'requests=1',
    };
    const answer = await daemon.send('/github/user', { headers: { ...asGithub, ...own } });
    expect(answer.status).toBe(200);
    const names = github.seen.at(-1)?.rawHeaders.map((name) => name.toLowerCase()) ?? [];
    expect(names.filter((name) => name.startsWith('x-ratelord'))).toEqual([]);
    expect(names).toContain('authorization');
    const [event] = await daemon.items('/v1/events?agent=crawler-1&type=intent_submitted&limit=1');
    expect(event).toMatchObject({ workload_id: 'nightly', scope_id: 'repo:acme/site' });
  });

  test('brings Link and Location back through the mount', async () => {
    const list = await daemon.send('/github/repos/a/b/issues?per_page=2', { headers: asGithub });
    const next = /<([^>]+)>; rel="next"/.exec(list.field('link'))?.[1] ?? '';
    expect(next).toBe(`${daemon.proxy}/github/repos/a/b/issues?per_page=2&page=2`);
    const second = await call(next, { headers: asGithub });
    expect(second.status).toBe(200);
    const moved = await daemon.send('/github/repos/old/name', { headers: asGithub });
    expect(moved.status).toBe(301);
    expect(moved.field('location')).toBe(`${daemon.proxy}/github/repositories/1`);
  });

  test('names the agent in the path, and keeps it in what must be followed', async () => {
    const list = await daemon.send('/@lister/github/repos/a/b/issues', { headers: asGithub });
    expect(list.field('link')).toContain(
      `<${daemon.proxy}/@lister/github/repos/a/b/issues?page=2>`,
    );
    const [event] = await daemon.items('/v1/events?agent=lister&type=intent_decided');
    expect(event).toMatchObject({ agent_id: 'lister', provider_id: 'github' });
    expect(github.seen.at(-1)?.url).toBe('/repos/a/b/issues');
  });

  test('answers 404 that names the mounts for one that is not there', async () => {
    const answer = await daemon.send('/nothing/here');
    expect(answer.status).toBe(404);
    for (const mount of ['github', 'openai', 'acme']) expect(answer.text).toContain(mount);
  });

  test('serves OpenAI’s paths below /openai/v1, JSON and streams', async () => {
    const made = { method: 'POST', headers: asOpenai };
    const json = await daemon.send('/openai/v1/chat/completions', { ...made, body: chat() });
    expect(json.status).toBe(200);
    expectGoverned(json);
    expect(json.json()).toMatchObject({ usage: { total_tokens: 12 } });
    expect(openai.seen.at(-1)?.url).toBe('/v1/chat/completions');
    const body = chat({ stream: true });
    const stream = await daemon.send('/openai/v1/chat/completions', { ...made, body });
    expect(stream.field('content-type')).toContain('text/event-stream');
    expect(stream.text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(stream.text).not.toContain('usage');
  });

  test('a 304 costs nothing, and the pool says so', async () => {
    const used = async (): Promise<unknown> =>
      (await daemon.items('/v1/pools?provider=github')).find((one) => one['pool'] === 'core')?.[
        'used'
      ];
    await daemon.send('/github/repos/a/b', { headers: asGithub });
    const before = await used();
    const headers = { ...asGithub, 'if-none-match': ETAG };
    const answer = await daemon.send('/github/repos/a/b', { headers });
    expect(answer.status).toBe(304);
    expect(answer.text).toBe('');
    expect(await used()).toBe(before);
  });
});

describe('forward proxy', () => {
  test('absolute-form http:// of a governed host', async () => {
    const answer = await call(daemon.proxy, {
      target: 'http://api.acme.test/things?x=1',
      headers: { host: 'liar.test' },
    });
    expect(answer.status).toBe(200);
    expectGoverned(answer);
    expect(acme.seen.at(-1)).toMatchObject({ url: '/things?x=1', host: 'api.acme.test' });
  });

  test('CONNECT opens TLS for a governed host with a leaf of the local CA', async () => {
    const answer = await callTls({
      proxyPort: daemon.proxyPort,
      authority: 'api.github.com:443',
      caFile: daemon.ready.ca,
      path: '/repos/acme/site/issues',
      headers: asGithub,
      proxyAuthorization: basic('tunneller', 'x'),
    });
    expect(answer.status).toBe(200);
    expectGoverned(answer);
    // Here the client knows the real URLs.
    expect(answer.field('link')).toContain(
      '<https://api.github.com/repos/acme/site/issues?page=2>',
    );
    const [event] = await daemon.items('/v1/events?agent=tunneller&type=intent_decided');
    expect(event).toMatchObject({ scope_id: 'repo:acme/site', provider_id: 'github' });
    const names = github.seen.at(-1)?.rawHeaders.map((name) => name.toLowerCase()) ?? [];
    expect(names).not.toContain('proxy-authorization');
  });

  test('inside a tunnel another Host is misdirected', async () => {
    const answer = await callTls({
      proxyPort: daemon.proxyPort,
      authority: 'api.github.com:443',
      caFile: daemon.ready.ca,
      path: '/user',
      headers: { ...asGithub, host: 'api.openai.com' },
    });
    expect(answer.status).toBe(421);
  });

  test('both ways charge one pool', async () => {
    const pools = await daemon.items('/v1/pools?provider=github');
    const core = pools.filter((one) => one['pool'] === 'core');
    expect(core).toHaveLength(1);
    expect(core[0]?.['used']).toBe([...github.windows.values()][0]?.used);
  });

  test.each(['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0'])(
    'the API cannot be reached by CONNECT to %s, nor in absolute form',
    async (host) => {
      const port = new URL(daemon.ready.api).port;
      const { status, socket } = await openTunnel({
        proxyPort: daemon.proxyPort,
        authority: `${host}:${port}`,
      });
      socket.destroy();
      expect(status).toBe(403);
      const target = `http://${host}:${port}/v1/pools`;
      const answer = await call(daemon.proxy, { target });
      expect(answer.status).toBe(403);
      expect(answer.text).not.toContain('"items"');
    },
  );

  test('a request to itself is a loop', async () => {
    const answer = await call(daemon.proxy, { target: `${daemon.proxy}/github/user` });
    expect(answer.status).toBe(508);
  });

  test('an ungoverned target on this machine is refused', async () => {
    const answer = await call(daemon.proxy, { target: `${acme.url}/metadata` });
    expect(answer.status).toBe(403);
    expect(acme.seen.filter((one) => one.url === '/metadata')).toEqual([]);
  });
});

test('an origin that is not there is a 502 with a stable code', async () => {
  const lost = await startDaemon({
    config: configFor({ github: { url: 'http://127.0.0.1:9', seen: [], refused: 0, served: 0 } }),
  });
  const answer = await lost.send('/github/user', { headers: asGithub });
  expect(answer.status).toBe(502);
  expect(answer.text).toContain('RL_UNREACHABLE');
  expect(await lost.stop()).toEqual({ code: 0, signal: null });
});
