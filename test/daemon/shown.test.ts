/** What the governor does is shown from outside: pools, metrics and the words of a decision. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asOpenai, chat, configFor } from './configs.ts';
import { cleanUp, eventually, startDaemon, type Item, type TestDaemon } from './harness.ts';
import { ietfOrigin } from './ietf-origin.ts';
import { openaiOrigin } from './openai-origin.ts';
import { listenOrigin, sendJson } from './origins.ts';
import type { Answer } from './wire.ts';

const POLICY = `version: 1
defaults: { max_wait: 20s }
limits:
  - { id: line, match: { path: "/line/*" }, quota: 20 requests / 2s, window: bucket }
  - { id: turns, match: { path: "/turns/*" }, quota: 60 requests / 2s, window: bucket }
  - { id: hourly, match: { path: "/hourly/*" }, quota: 60 requests / 1h, window: fixed }
rules:
  - id: in-trouble
    match: { path: "/anything" }
    when: provider.degraded
    action: warn
    reason: its host fails
`;

let acme: TestDaemon;
let github: TestDaemon;

beforeAll(async () => {
  const [ietf, openai, refusing, failing] = await Promise.all([
    ietfOrigin({ limit: 100_000, windowS: 3600 }),
    openaiOrigin({ tokensPerMinute: 60_000 }),
    listenOrigin(() => (req, res) => {
      const quota = { 'x-ratelimit-limit': '5000', 'x-ratelimit-remaining': '4990' };
      const resource = { ...quota, 'x-ratelimit-resource': 'core' };
      const message = 'You have exceeded a secondary rate limit.';
      if (req.url === '/known') sendJson(res, 200, {}, resource);
      else sendJson(res, 403, { message }, { ...resource, 'retry-after': '1' });
    }),
    listenOrigin(() => (_req, res) => sendJson(res, 502, { broken: true })),
  ]);
  [acme, github] = await Promise.all([
    startDaemon({ config: configFor({ acme: ietf, openai }), policy: POLICY }),
    startDaemon({ config: configFor({ github: refusing, acme: failing }), policy: POLICY }),
  ]);
  // Until it has told its own limit nobody floods an origin.
  await acme.send('/acme/known');
});
afterAll(cleanUp);

const ask = (daemon: TestDaemon, agent: string, path: string, priority = 'normal', wait = '20') =>
  daemon.send(`/@${agent}/acme${path}`, {
    headers: { 'x-ratelord-priority': priority, 'x-ratelord-max-wait': wait },
  });

const many = (count: number, send: (i: number) => Promise<Answer>): Promise<Answer>[] =>
  Array.from({ length: count }, (_, i) => send(i));

async function poolOf(daemon: TestDaemon, name: string): Promise<Item> {
  const [pool] = await daemon.items(`/v1/pools?pool=${name}`);
  if (pool === undefined) throw new Error(`no pool ${name}`);
  return pool;
}

async function explained(daemon: TestDaemon, answer: Answer): Promise<string> {
  const done = await daemon.cli(['explain', answer.field('x-ratelord-id')]);
  expect(done.code, done.stderr).toBe(0);
  return done.stdout;
}

/** Everything sent is in `/openapi.json`, whatever the state. */
async function expectDescribed(daemon: TestDaemon): Promise<void> {
  const document = (await daemon.api('/openapi.json')).json() as {
    paths: Record<string, { get: { responses: Record<string, Item> } }>;
  };
  const answer = document.paths['/v1/pools']?.get.responses['200'] as unknown as {
    content: { 'application/json': { schema: Schema } };
  };
  const { schema } = answer.content['application/json'];
  expectMembers({ items: await daemon.items('/v1/pools?history=true') }, schema, '');
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

function expectMembers(value: unknown, schema: Schema, path: string): void {
  if (value === null || typeof value !== 'object') return;
  const known = schema.anyOf?.find((one) => one.properties ?? one.items) ?? schema;
  if (Array.isArray(value)) {
    for (const one of value) expectMembers(one, known.items ?? {}, `${path}[]`);
    return;
  }
  if (known.properties === undefined) return;
  for (const [name, member] of Object.entries(value)) {
    expect(Object.keys(known.properties), `${path}.${name}`).toContain(name);
    expectMembers(member, known.properties[name] ?? {}, `${path}.${name}`);
  }
}

describe('a line', () => {
  test('is counted by priority; place, fair share and turn are explained', async () => {
    await Promise.all(many(20, () => ask(acme, 'first', '/line/x')));
    // So many that some are still in line when a busy machine has taken them all in.
    const crowd = many(45, () => ask(acme, 'crowd', '/line/x'));
    const other = many(3, () => ask(acme, 'other', '/line/x'));
    const [pool, { text: metrics }] = await eventually(
      () => Promise.all([poolOf(acme, 'line'), acme.api('/metrics')]),
      ([{ queued }]) => queued !== undefined && Number(queued) > 5,
    );
    const by = pool['queued_by'] as Item;
    expect(by).toMatchObject({ high: 0, background: 0 });
    expect(by['normal']).toBe(pool['queued']);
    expect(metrics).toMatch(/^ratelord_pool_queued\{.*pool="line".*priority="normal".*\} [1-9]/m);
    await expectDescribed(acme);
    await Promise.all(crowd);
    const last = (await Promise.all(other)).at(-1) as Answer;
    const text = await explained(acme, last);
    expect(text).toMatch(/\d+ go before it \(\d+ normal\)/);
    expect(text).toMatch(/its agent's fair share is \d+ %/);
  });

  test('a turn by the floor share is explained', async () => {
    await Promise.all(many(60, () => ask(acme, 'first', '/turns/x')));
    const flood = many(120, () => ask(acme, 'flood', '/turns/x', 'high'));
    const patient = await ask(acme, 'patient', '/turns/x', 'background');
    await Promise.all(flood);
    expect(await explained(acme, patient)).toContain(
      'When it went: its class, `background`, was owed its floor share of `turns`.',
    );
  });
});

test('what is kept, from whom and for whom', async () => {
  for (let i = 0; i < 20; i++) await ask(acme, 'boss', '/hourly/x', 'high');
  const flood = await Promise.all(
    many(50, () => ask(acme, 'flood', '/hourly/x', 'background', '0')),
  );
  expect(flood.filter(({ status }) => status === 429).length).toBeGreaterThan(0);
  const { kept } = (await poolOf(acme, 'hourly')) as { kept?: readonly Item[] };
  expect(kept).toMatchObject([{ from: 'background', for: ['high'] }]);
  expect(Number(kept?.[0]?.['units'])).toBeGreaterThan(0);
  expect(Number(kept?.[0]?.['expected'])).toBeGreaterThan(0);
  const metrics = (await acme.api('/metrics')).text;
  expect(metrics).toMatch(/^ratelord_pool_kept\{.*pool="hourly".*priority="background".*\} [1-9]/m);
  expect(metrics).toMatch(/^ratelord_forecast_exhaustion_probability\{.*pool="hourly".*\} [01]/m);
  await expectDescribed(acme);
});

test('what a provider charges for estimates', async () => {
  const options = { method: 'POST', headers: asOpenai };
  // Counted by the provider in its own way: it takes no notice of what stands around the content.
  const content = 'a rather long question, and quite as long as it needs to be, '.repeat(60);
  const send = (): Promise<Answer> =>
    acme.send('/openai/v1/chat/completions', {
      ...options,
      body: chat({ messages: [{ role: 'user', content }] }),
    });
  for (let i = 0; i < 20; i++) expect((await send()).status).toBe(200);
  const tokens = await poolOf(acme, 'tokens');
  expect(Number(tokens['charged_ratio'])).toBeGreaterThan(0);
  const metrics = (await acme.api('/metrics')).text;
  expect(metrics).toMatch(/^ratelord_pool_charged_ratio\{.*pool="tokens".*\} /m);
  const text = await explained(acme, await send());
  expect(text).toMatch(/this needed an estimated [\d,]+( \(\d+ % of the [\d,]+ counted|;|$)/m);
  await expectDescribed(acme);
});

describe('trouble', () => {
  test('of a host: its gate is listed, its provider degraded, and rules know', async () => {
    for (let i = 0; i < 5; i++) await ask(github, 'a', '/anything', 'normal', '0');
    const gate = async (): Promise<Item | undefined> =>
      (await github.items('/v1/pools?provider=acme')).find((pool) => pool['phase'] !== undefined);
    const found = await eventually(gate, (one) => one !== undefined);
    expect(found).toMatchObject({ kind: 'gate', identity: 'host:api.acme.test', limit: null });
    expect(['shut', 'half-open']).toContain(found?.['phase']);
    const health = (await github.api('/v1/health')).json() as { providers: readonly Item[] };
    const acmeNow = health.providers.find(({ id }) => id === 'acme');
    expect(acmeNow).toMatchObject({ degraded: true });
    const metrics = (await github.api('/metrics')).text;
    expect(metrics).toMatch(/^ratelord_gate\{provider="acme".*phase="(shut|half-open)".*\} 1/m);
    expect((await github.cli(['status'])).stdout).toMatch(
      /acme +throttle +host:api\.acme\.test +(shut|half-open) /,
    );
    const refused = await ask(github, 'a', '/anything', 'normal', '0');
    expect(await explained(github, refused)).toContain('in-trouble warned');
    await expectDescribed(github);
  });

  test('a limit that nobody tells paces afterwards', async () => {
    const headers = { authorization: 'Bearer ghp_hidden', 'x-ratelord-max-wait': '0' };
    await github.send('/github/known', { headers });
    await Promise.all(many(4, () => github.send('/github/user', { headers })));
    const limited = async (): Promise<Item | undefined> =>
      (await github.items('/v1/pools?provider=github')).find((one) => one['phase'] === 'limited');
    const found = await eventually(limited, (one) => one !== undefined);
    expect(Number(found?.['rate_per_s'])).toBeGreaterThan(0);
    const metrics = (await github.api('/metrics')).text;
    expect((await github.cli(['status'])).stdout).toMatch(/github .* [\d.]+ a second /);
    expect(metrics).toMatch(/^ratelord_hidden_limit_per_second\{provider="github".*\} \d/m);
    await expectDescribed(github);
  });
});
