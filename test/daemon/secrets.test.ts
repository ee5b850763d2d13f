/** What is confidential passes through, and stays nowhere: not on disk, not in a log, not in an answer. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { chat, configFor } from './configs.ts';
import { githubOrigin } from './github-origin.ts';
import { cleanUp, startDaemon, type TestDaemon } from './harness.ts';
import { ietfOrigin } from './ietf-origin.ts';
import { openaiOrigin } from './openai-origin.ts';
import { basic, call, callTls } from './wire.ts';

afterAll(cleanUp);

const CANARY = 'canary7f3e9b';
/** As it stands in a Basic credential. */
const ENCODED = Buffer.from(`user:${CANARY}basic`).toString('base64').slice(0, 20);

function* filesIn(dir: string): Generator<string> {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    if (statSync(path).isDirectory()) yield* filesIn(path);
    else yield path;
  }
}

async function everythingSaid(daemon: TestDaemon): Promise<Map<string, string>> {
  const said = new Map<string, string>([
    ['stdout', daemon.stdout],
    ['stderr', daemon.stderr],
  ]);
  for (const path of [
    '/v1/events?limit=1000',
    '/v1/pools',
    '/v1/identities',
    '/v1/policy',
    '/v1/health',
    '/metrics',
  ]) {
    said.set(path, (await daemon.api(path)).text);
  }
  const decided = await daemon.items('/v1/events?limit=1000&type=intent_decided');
  for (const event of decided) {
    const id = String(event['correlation_id']);
    said.set(`decision ${id}`, (await daemon.api(`/v1/decisions/${id}`)).text);
  }
  said.set('status', (await daemon.cli(['status'])).stdout);
  return said;
}

test('no credential, cookie, query or content is kept anywhere', async () => {
  const [github, openai, acme] = await Promise.all([
    githubOrigin({ limit: 5, windowMs: 3_600_000 }),
    openaiOrigin(),
    ietfOrigin(),
  ]);
  const daemon = await startDaemon({
    config: configFor({
      github,
      openai,
      acme,
      more:
        'log_level: trace\n' +
        'identities: [{ id: ci, provider: github, credential: env:CI_TOKEN, poll: 1h }]\n' +
        'agents: [{ id: listed, token: env:LISTED_TOKEN }]\n',
    }),
    env: { CI_TOKEN: `ghp_${CANARY}ci`, LISTED_TOKEN: `${CANARY}token` },
  });
  const headers = {
    authorization: `Bearer ghp_${CANARY}bearer`,
    cookie: `session=${CANARY}cookie`,
    'x-api-key': `${CANARY}apikey`,
    'x-custom': `${CANARY}custom`,
  };
  const path = `/repos/a/b/issues?access_token=${CANARY}query&q=${CANARY}search`;
  for (let i = 0; i < 4; i++) await daemon.send(`/github${path}`, { headers });
  // Refusals, and answers of ratelord's own.
  const refused = await daemon.send(`/github${path}`, {
    headers: { ...headers, 'x-ratelord-max-wait': '0' },
  });
  expect(refused.text).not.toContain(CANARY);
  await daemon.send('/github/x', {
    method: 'POST',
    headers: { ...headers, authorization: basic('user', `${CANARY}basic`) },
    body: JSON.stringify({ title: `${CANARY}body` }),
  });
  await daemon.send('/openai/v1/chat/completions', {
    method: 'POST',
    headers: { authorization: `Bearer sk-${CANARY}openai`, 'content-type': 'application/json' },
    body: chat({ stream: true, messages: [{ role: 'user', content: `${CANARY}prompt` }] }),
  });
  await daemon
    .send('/openai/v1/chat/completions', {
      method: 'POST',
      headers: { authorization: `Bearer sk-${CANARY}openai`, 'content-type': 'application/json' },
      body: `{"messages": broken ${CANARY}broken`,
    })
    .catch(() => undefined);
  await call(daemon.proxy, {
    target: `http://api.acme.test/things?key=${CANARY}key`,
    headers: { 'proxy-authorization': basic('listed', `${CANARY}token`) },
  });
  await call(daemon.proxy, {
    target: `http://api.acme.test/things?key=${CANARY}key`,
    headers: { 'proxy-authorization': basic('listed', `${CANARY}wrong`) },
  });
  await callTls({
    proxyPort: daemon.proxyPort,
    authority: 'api.github.com:443',
    caFile: daemon.ready.ca,
    path,
    headers,
    proxyAuthorization: basic('someone', `${CANARY}sent`),
  });
  await call(`${daemon.proxy}/nowhere/${CANARY}mount?x=${CANARY}`);
  await daemon.post('/v1/observations', {
    provider: 'github',
    credential_hash: 'opaque',
    url: `https://api.github.com/user?token=${CANARY}observed`,
    status: 200,
    headers: {
      authorization: `Bearer ${CANARY}passive`,
      'set-cookie': `a=${CANARY}set`,
      'x-ratelimit-limit': '5000',
      'x-ratelimit-remaining': '4999',
      'x-ratelimit-used': '1',
      'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + 1_000),
    },
  });
  // The origins did get what was sent.
  expect(JSON.stringify(github.seen)).toContain(`${CANARY}bearer`);
  expect(JSON.stringify(github.seen)).toContain(`${CANARY}query`);
  expect(JSON.stringify(github.seen)).toContain(`${CANARY}ci`);
  expect(JSON.stringify(openai.seen)).toContain(`${CANARY}prompt`);

  const said = await everythingSaid(daemon);
  expect((await daemon.stop()).code).toBe(0);
  said.set('stderr', daemon.stderr);
  const places = [...said].filter(([, text]) => leaks(text)).map(([place]) => place);
  for (const file of filesIn(daemon.dataDir)) {
    if (leaks(readFileSync(file, 'latin1'))) places.push(file);
  }
  expect(places).toEqual([]);
});

function leaks(text: string): boolean {
  return text.includes(CANARY) || text.includes(ENCODED);
}
