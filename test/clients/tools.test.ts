/** curl, wget and gh as people use them: under `ratelord run`, and by base URL. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanUp, tempDir } from '../daemon/harness.ts';
import { need } from './machine.ts';
import { clientWorld, decisionsOf, type ClientWorld } from './world.ts';

let world: ClientWorld;

beforeAll(async () => {
  world = await clientWorld();
});
afterAll(cleanUp);

describe('curl', () => {
  test('https through the proxy, its agent named, the leaf trusted', async (context) => {
    const curl = need(context, 'curl');
    const args = ['-sS', '-D', '-', '-H', 'Authorization: Bearer ghp_curl'];
    const told = await world.daemon.run(
      [curl, ...args, 'https://api.github.com/user'],
      'curl-agent',
    );
    expect(told.stderr).toBe('');
    expect(told.stdout).toMatch(/x-ratelord-decision: pass/i);
    expect(told.stdout).toContain('"login":"octocat"');
    expect(await decisionsOf(world.daemon, 'curl-agent')).toEqual(['pass']);
  });

  test('plain http through the proxy', async (context) => {
    const curl = need(context, 'curl');
    const told = await world.daemon.run([curl, '-sS', 'http://api.acme.test/plain'], 'curl-plain');
    expect(JSON.parse(told.stdout)).toEqual({ ok: true, path: '/plain' });
    expect(await decisionsOf(world.daemon, 'curl-plain')).toEqual(['pass']);
  });

  test('an upload, which curl announces with Expect', async (context) => {
    const curl = need(context, 'curl');
    const file = join(tempDir(), 'asset.bin');
    writeFileSync(file, Buffer.alloc(2_000_000, 'x'));
    const told = await world.daemon.run([
      curl,
      '-sS',
      '--http1.1',
      '-H',
      'Expect: 100-continue',
      '-H',
      'Authorization: Bearer ghp_curl',
      '--data-binary',
      `@${file}`,
      'https://uploads.github.com/repos/a/b/releases/1/assets?name=asset.bin',
    ]);
    expect(told.stderr).toBe('');
    expect(JSON.parse(told.stdout)).toEqual({ id: 7, size: 2_000_000 });
  });

  test('follows what the gateway rewrote', async (context) => {
    const curl = need(context, 'curl');
    const url = `${world.daemon.proxy}/@base-url/github/repos/old/name`;
    const told = await world.daemon.cli(['run', '--', curl, '-sSL', url]);
    expect(JSON.parse(told.stdout)).toMatchObject({ path: '/repositories/1' });
    expect(await decisionsOf(world.daemon, 'base-url')).toEqual(['pass', 'pass']);
  });

  test('waits, and is told, when a quota is spent', async (context) => {
    const curl = need(context, 'curl');
    const own = await clientWorld({ github: { limit: 2, windowMs: 1_500 } });
    const url = 'https://api.github.com/user';
    const args = ['-sS', '-o', '/dev/null', '-w', '%{http_code} ', '-H', 'Authorization: x'];
    const told = await own.daemon.run([
      curl,
      ...args,
      url,
      '-o',
      '/dev/null',
      url,
      '-o',
      '/dev/null',
      url,
    ]);
    expect(told.stdout.trim()).toBe('200 200 200');
    expect(own.github.refused).toBe(0);
    // Three times what a window has, in one go: until curl runs, that of the first three may be over.
    const refused = await own.daemon.run([
      curl,
      '-sS',
      '-H',
      'Authorization: x',
      '-H',
      'x-ratelord-max-wait: 0',
      '-w',
      '%{http_code}\n',
      ...Array.from({ length: 6 }, () => url),
    ]);
    expect(refused.stdout).toContain('API rate limit exceeded');
    expect(refused.stdout).toContain('403');
  });
});

describe('wget', () => {
  test('https through the proxy, by a wgetrc of its own', async (context) => {
    const wget = need(context, 'wget');
    const args = ['-qO-', '--header', 'Authorization: Bearer ghp_wget'];
    const told = await world.daemon.run(
      [wget, ...args, 'https://api.github.com/user'],
      'wget-agent',
    );
    expect(told.stderr).toBe('');
    expect(told.stdout).toContain('octocat');
    expect(await decisionsOf(world.daemon, 'wget-agent')).toEqual(['pass']);
  });

  test('by base URL', async (context) => {
    const wget = need(context, 'wget');
    const url = `${world.daemon.proxy}/@wget-base/github/user`;
    const told = await world.daemon.run([wget, '-qO-', url]);
    expect(told.stdout).toContain('octocat');
    expect(await decisionsOf(world.daemon, 'wget-base')).toEqual(['pass']);
  });
});

describe('gh', () => {
  test('REST, all pages, and GraphQL through the proxy', async (context) => {
    const gh = need(context, 'gh');
    const env = { GH_TOKEN: 'ghp_gh', GH_NO_UPDATE_NOTIFIER: '1' };
    const pages = await world.daemon.run(
      [gh, 'api', '--paginate', 'repos/a/b/issues?per_page=2', '--jq', '.[].number'],
      'gh-agent',
      env,
    );
    expect(pages.stderr).toBe('');
    expect(pages.stdout.trim().split('\n')).toEqual(['1', '2', '3', '4', '5', '6']);
    const query = 'query={ viewer { login } }';
    const graphql = await world.daemon.run([gh, 'api', 'graphql', '-f', query], 'gh-agent', env);
    expect(graphql.stdout).toContain('octocat');
    expect(await decisionsOf(world.daemon, 'gh-agent')).toEqual(['pass', 'pass', 'pass', 'pass']);
  });

  test('shows our refusal as GitHub’s own', async (context) => {
    const gh = need(context, 'gh');
    const own = await clientWorld({ github: { limit: 1, windowMs: 3_600_000 } });
    const env = { GH_TOKEN: 'ghp_gh', GH_NO_UPDATE_NOTIFIER: '1' };
    await own.daemon.run([gh, 'api', 'user'], 'gh', env);
    const told = await own.daemon.run(
      [gh, 'api', '-H', 'x-ratelord-max-wait: 0', 'user'],
      'gh',
      env,
    );
    expect(told.code).toBe(1);
    expect(told.stderr).toMatch(/API rate limit exceeded.*HTTP 403/s);
    expect(own.github.refused).toBe(0);
  });
});
