/** Node's own clients, as a program under `ratelord run` and with a proxy of their own. */
import { readFileSync } from 'node:fs';
import { fetch as undiciFetch, ProxyAgent } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cleanUp } from '../daemon/harness.ts';
import { clientWorld, decisionsOf, type ClientWorld } from './world.ts';

let world: ClientWorld;

beforeAll(async () => {
  world = await clientWorld();
});
afterAll(cleanUp);

async function node(script: string, agent: string): Promise<unknown> {
  const told = await world.daemon.run(
    [process.execPath, '--input-type=module', '-e', script],
    agent,
  );
  expect(told.stderr).toBe('');
  expect(told.code).toBe(0);
  return JSON.parse(told.stdout);
}

const AUTH = `headers: { authorization: 'Bearer ghp_node' }`;

test('fetch, with no line changed', async () => {
  const script = `
const answer = await fetch('https://api.github.com/user', { ${AUTH} });
const plain = await fetch('http://api.acme.test/plain');
console.log(JSON.stringify({
  status: answer.status, login: (await answer.json()).login, plain: await plain.json(),
}));`;
  expect(await node(script, 'node-fetch')).toEqual({
    status: 200,
    login: 'octocat',
    plain: { ok: true, path: '/plain' },
  });
  expect(await decisionsOf(world.daemon, 'node-fetch')).toEqual(['pass', 'pass']);
});

test('https.get', async () => {
  const script = `
import { get } from 'node:https';
get('https://api.github.com/user', { ${AUTH} }, (res) => {
  res.resume().on('end', () => console.log(JSON.stringify(res.headers['x-ratelord-decision'])));
});`;
  expect(await node(script, 'node-https')).toBe('pass');
  expect(await decisionsOf(world.daemon, 'node-https')).toEqual(['pass']);
});

test('undici with a ProxyAgent', async () => {
  const proxy = new ProxyAgent({
    uri: world.daemon.proxy,
    token: `Basic ${Buffer.from('undici-agent:x').toString('base64')}`,
    requestTls: { ca: readFileSync(world.daemon.ready.ca) },
  });
  try {
    const answers = await Promise.all(
      Array.from({ length: 5 }, async (_, i) => {
        const url = `https://api.github.com/repos/a/b${String(i)}`;
        const headers = { authorization: 'Bearer ghp_undici' };
        const answer = await undiciFetch(url, { dispatcher: proxy, headers });
        return [answer.status, await answer.json()];
      }),
    );
    expect(answers.map(([status]) => status)).toEqual([200, 200, 200, 200, 200]);
    const settled = '/v1/events?type=usage_settled&agent=undici-agent';
    expect(await world.daemon.items(settled)).toHaveLength(5);
  } finally {
    await proxy.close();
  }
});

test('fetch by base URL', async () => {
  const answer = await fetch(`${world.daemon.proxy}/@node-base/acme/things?x=1`);
  expect(await answer.json()).toEqual({ ok: true, path: '/things?x=1' });
  expect(await decisionsOf(world.daemon, 'node-base')).toEqual(['pass']);
});
