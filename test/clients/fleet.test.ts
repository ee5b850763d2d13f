/** Twenty agents on one credential, each with a client of its own kind, and sixty requests a window. */
import { readFileSync } from 'node:fs';
import { Octokit } from 'octokit';
import OpenAI from 'openai';
import { fetch as undiciFetch, ProxyAgent } from 'undici';
import { afterAll, expect, test } from 'vitest';
import { cleanUp } from '../daemon/harness.ts';
import { call } from '../daemon/wire.ts';
import { programOn, pythonWith } from './machine.ts';
import { clientWorld, type ClientWorld } from './world.ts';

afterAll(cleanUp);

const AGENTS = 20;
const EACH = 6;
const LIMIT = 60;
/** A minute, compressed. */
const WINDOW_MS = 3_000;
const KEY = 'ghp_shared';

/** Sends `EACH` requests as one agent; how many were answered as they should be. */
type Client = (world: ClientWorld, agent: string) => Promise<number>;

const octokit: Client = async ({ daemon }, agent) => {
  const client = new Octokit({
    auth: KEY,
    baseUrl: `${daemon.proxy}/@${agent}/github`,
    throttle: { enabled: false },
  });
  const answers = await Promise.all(
    Array.from({ length: EACH }, (_, i) => client.request(`GET /repos/a/${agent}-${String(i)}`)),
  );
  return answers.filter((one) => one.status === 200).length;
};

const undici: Client = async ({ daemon }, agent) => {
  const dispatcher = new ProxyAgent({
    uri: daemon.proxy,
    token: `Basic ${Buffer.from(`${agent}:x`).toString('base64')}`,
    requestTls: { ca: readFileSync(daemon.ready.ca) },
  });
  const answers = await Promise.all(
    Array.from({ length: EACH }, async (_, i) => {
      const url = `https://api.github.com/repos/a/${agent}-${String(i)}`;
      const answer = await undiciFetch(url, {
        dispatcher,
        headers: { authorization: `token ${KEY}` },
      });
      await answer.text();
      return answer.status;
    }),
  );
  await dispatcher.close();
  return answers.filter((status) => status === 200).length;
};

const plain: Client = async ({ daemon }, agent) => {
  let good = 0;
  for (let i = 0; i < EACH; i++) {
    const headers = { authorization: `Bearer ${KEY}` };
    const answer = await call(`${daemon.proxy}/@${agent}/github/repos/a/b${String(i)}`, {
      headers,
    });
    if (answer.status === 200) good += 1;
  }
  return good;
};

const node: Client = async ({ daemon }, agent) => {
  const script = `
const get = async (i) => {
  const url = 'https://api.github.com/repos/a/${agent}-' + i;
  const answer = await fetch(url, { headers: { authorization: 'Bearer ${KEY}' } });
  await answer.text();
  return answer.status;
};
const all = await Promise.all(Array.from({ length: ${String(EACH)} }, (_, i) => get(i)));
console.log(all.filter((status) => status === 200).length);`;
  const told = await daemon.run([process.execPath, '--input-type=module', '-e', script], agent);
  return Number(told.stdout);
};

const curl: Client = async ({ daemon }, agent) => {
  const urls = Array.from({ length: EACH }, (_, i) => [
    '-o',
    '/dev/null',
    `https://api.github.com/repos/a/${agent}-${String(i)}`,
  ]);
  const args = ['-sS', '-w', '%{http_code}\n', '-H', `Authorization: Bearer ${KEY}`];
  const told = await daemon.run(['curl', ...args, ...urls.flat()], agent);
  return told.stdout.split('\n').filter((line) => line === '200').length;
};

const requests: Client = async ({ daemon }, agent) => {
  const script = `
import requests
session = requests.Session()
session.headers['Authorization'] = 'Bearer ${KEY}'
good = 0
for i in range(${String(EACH)}):
    good += session.get('https://api.github.com/repos/a/${agent}-%d' % i).status_code == 200
print(good)`;
  const told = await daemon.run([pythonWith('requests') ?? '', '-c', script], agent);
  return Number(told.stdout);
};

test('no refusal from the origin, and every agent has all its answers', async () => {
  const world = await clientWorld({
    github: { limit: LIMIT, windowMs: WINDOW_MS, latencyMs: 5 },
  });
  // Programs cost this machine more than clients in this process do: a few of each.
  const programs: Client[] = [node];
  if (programOn('curl') !== null) programs.push(curl, curl);
  if (pythonWith('requests') !== null) programs.push(requests);
  const kinds = Array.from({ length: AGENTS }, (_, i) => {
    return programs[i] ?? ([octokit, undici, plain][i % 3] as Client);
  });
  const answered = await Promise.all(
    kinds.map((client, i) => client(world, `agent-${String(i).padStart(2, '0')}`)),
  );
  expect(answered).toEqual(Array.from({ length: AGENTS }, () => EACH));
  expect(world.github.refused).toBe(0);
  expect(world.github.served).toBe(AGENTS * EACH);
  // One pool was shared by them all, and the ledger knows each.
  const core = (await world.daemon.items('/v1/pools?pool=core')).map((pool) => pool['limit']);
  expect(core).toEqual([LIMIT]);
  const settled = await world.daemon.items('/v1/events?type=usage_settled&limit=1000');
  expect(new Set(settled.map((event) => event['agent_id'])).size).toBe(AGENTS);
  expect(settled).toHaveLength(AGENTS * EACH);
}, 40_000);

test('nor from one whose buckets refill: requests a minute of OpenAI’s', async () => {
  // Twenty a second, of which a dozen are left at the start.
  const world = await clientWorld({ openai: { requestsPerMinute: 1_200, level: 0.01 } });
  const ask = async (agent: string): Promise<number> => {
    const openai = new OpenAI({
      apiKey: 'sk-shared',
      baseURL: `${world.daemon.proxy}/@${agent}/openai/v1`,
      maxRetries: 0,
    });
    const messages = [{ role: 'user' as const, content: agent }];
    const asked = { model: 'gpt-4o-mini', max_completion_tokens: 10, messages };
    const answers = await Promise.all([
      openai.chat.completions.create(asked),
      openai.chat.completions.create(asked),
    ]);
    return answers.filter((one) => one.usage?.total_tokens === 12).length;
  };
  const agents = Array.from({ length: AGENTS }, (_, i) => `asker-${String(i)}`);
  const answered = await Promise.all(agents.map(ask));
  expect(answered).toEqual(agents.map(() => 2));
  expect(world.openai.refused).toBe(0);
});
