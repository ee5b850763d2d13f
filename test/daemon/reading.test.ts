/** The ledger and the state as people and programs read them: API, metrics, command line. */
import { get } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asGithub, asOpenai, chat, configFor } from './configs.ts';
import { githubOrigin } from './github-origin.ts';
import { cleanUp, eventually, startDaemon, type Item, type TestDaemon } from './harness.ts';
import { openaiOrigin } from './openai-origin.ts';
import { basic } from './wire.ts';

let daemon: TestDaemon;
let delayed: string;
let rejected: string;
let passed: string;

beforeAll(async () => {
  const [github, openai] = await Promise.all([
    githubOrigin({ limit: 3, windowMs: 2_000 }),
    openaiOrigin(),
  ]);
  daemon = await startDaemon({ config: configFor({ github, openai }) });
  const send = (more: Readonly<Record<string, string>> = {}) =>
    daemon.send('/@reader/github/repos/acme/site', { headers: { ...asGithub, ...more } });
  passed = (await send()).field('x-ratelord-id');
  await send();
  await send();
  rejected = (await send({ 'x-ratelord-max-wait': '0' })).field('x-ratelord-id');
  delayed = (await send()).field('x-ratelord-id');
  const made = { method: 'POST', headers: asOpenai, body: chat() };
  await daemon.send('/@writer/openai/v1/chat/completions', made);
});
afterAll(cleanUp);

describe('GET /v1/health', () => {
  test('says ok, which version, and for how long', async () => {
    const answer = await daemon.api('/v1/health');
    expect(answer.json()).toMatchObject({
      status: 'ok',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      uptime_s: expect.any(Number) as number,
    });
  });
});

describe('GET /v1/pools', () => {
  test('items have the contract’s members, with what the provider said', async () => {
    const pools = await daemon.items('/v1/pools');
    for (const pool of pools) {
      for (const member of ['id', 'provider', 'pool', 'identity', 'unit', 'kind', 'limit']) {
        expect(pool).toHaveProperty(member);
      }
      for (const member of ['used', 'remaining', 'reserved', 'reset_at', 'window_s']) {
        expect(pool).toHaveProperty(member);
      }
      expect(pool).toHaveProperty('observed_at');
      expect(pool).toHaveProperty('source');
      expect(pool['reserved']).toBe(0);
    }
    const core = pools.find((one) => one['pool'] === 'core');
    expect(core).toMatchObject({ provider: 'github', unit: 'requests', kind: 'fixed', limit: 3 });
    const tokens = pools.find((one) => one['pool'] === 'tokens');
    expect(tokens).toMatchObject({ provider: 'openai', model: 'gpt-4o-mini', kind: 'bucket' });
    expect(tokens?.['limit']).toBe(600_000);
  });
});

describe('GET /v1/events', () => {
  test('ascends by sequence, and every envelope is whole', async () => {
    const events = await daemon.items('/v1/events?limit=1000');
    const seqs = events.map((event) => Number(event['seq']));
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(new Set(seqs).size).toBe(seqs.length);
    expect(events[0]).toMatchObject({ type: 'system_started' });
    const types = new Set(events.map((event) => event['type']));
    for (const type of [
      'intent_submitted',
      'intent_decided',
      'usage_observed',
      'usage_settled',
      'constraint_observed',
      'reset_observed',
      'throttle_advised',
    ]) {
      expect(types, type).toContain(type);
    }
    for (const event of events) {
      for (const member of ['event_id', 'agent_id', 'identity_id', 'workload_id', 'scope_id']) {
        expect(event[member], `${member} of ${String(event['type'])}`).toMatch(/./);
      }
      expect(event['correlation_id']).toMatch(/./);
      expect(event['causation_id']).toMatch(/./);
      expect(event['schema_version']).toEqual(expect.any(Number));
      expect(String(event['ts_event'])).toMatch(/^\d{4}-\d\d-\d\dT/);
      expect(String(event['ts_ingest'])).toMatch(/^\d{4}-\d\d-\d\dT/);
      expect(event['payload']).toEqual(expect.any(Object));
    }
  });

  test('filters, and pages by sequence', async () => {
    const writers = await daemon.items('/v1/events?agent=writer');
    expect(new Set(writers.map((event) => event['agent_id']))).toEqual(new Set(['writer']));
    const types = await daemon.items('/v1/events?type=intent_decided,usage_settled');
    expect(new Set(types.map((e) => e['type']))).toEqual(
      new Set(['intent_decided', 'usage_settled']),
    );
    const all = await daemon.items('/v1/events?limit=1000&type=intent_submitted');
    const paged: Item[] = [];
    for (let after = 0; ;) {
      const page = await daemon.items(
        `/v1/events?limit=2&type=intent_submitted&after=${String(after)}`,
      );
      if (page.length === 0) break;
      paged.push(...page);
      after = Number(page.at(-1)?.['seq']);
    }
    expect(paged).toEqual(all);
    expect((await daemon.api('/v1/events?type=nothing_such')).status).toBe(400);
    expect((await daemon.api('/v1/events?limit=1001')).status).toBe(400);
  });

  test('what was answered before the call is in it', async () => {
    for (let i = 0; i < 5; i++) {
      const made = { method: 'POST', headers: asOpenai, body: chat() };
      const answer = await daemon.send('/openai/v1/chat/completions', made);
      const id = answer.field('x-ratelord-id');
      const events = await daemon.items('/v1/events?provider=openai&type=intent_decided&limit=1');
      expect(events[0]?.['correlation_id']).toBe(id);
    }
  });

  test('streams, and resumes where it broke', async () => {
    const first = openStream('/v1/events?stream=true&type=intent_submitted', {});
    await first.open;
    await chatOnce();
    await chatOnce();
    const seen = await eventually(
      () => first.events,
      (events) => events.length >= 2,
    );
    first.close();
    await chatOnce();
    const [one] = seen;
    expect(one?.id).toBe(String((JSON.parse(one?.data ?? '') as { seq: number }).seq));
    const second = openStream('/v1/events?stream=true&type=intent_submitted', {
      'last-event-id': one?.id ?? '',
    });
    const more = await eventually(
      () => second.events,
      (events) => events.length >= 2,
    );
    second.close();
    expect(more[0]).toEqual(seen[1]);
  });
});

async function chatOnce(): Promise<void> {
  await daemon.send('/openai/v1/chat/completions', {
    method: 'POST',
    headers: asOpenai,
    body: chat(),
  });
}

interface StreamEvent {
  readonly id: string;
  readonly data: string;
}

function openStream(path: string, headers: Readonly<Record<string, string>>) {
  const events: StreamEvent[] = [];
  let buffer = '';
  let opened = (): void => undefined;
  const open = new Promise<void>((resolve) => (opened = resolve));
  const req = get(`${daemon.ready.api}${path}`, { headers, agent: false }, (res) => {
    expect(res.headers['content-type']).toContain('text/event-stream');
    opened();
    res.setEncoding('utf8').on('data', (text: string) => {
      buffer += text;
      for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
        const id = /^id: ?(.*)$/m.exec(buffer.slice(0, end))?.[1];
        const data = /^data: ?(.*)$/m.exec(buffer.slice(0, end))?.[1];
        buffer = buffer.slice(end + 2);
        if (id !== undefined && data !== undefined) events.push({ id, data });
      }
    });
    res.on('error', () => undefined);
  });
  req.on('error', () => undefined);
  return { events, open, close: () => req.destroy() };
}

describe('one decision', () => {
  test('as JSON, for each outcome', async () => {
    for (const [id, decision] of [
      [passed, 'pass'],
      [delayed, 'delay'],
      [rejected, 'reject'],
    ] as const) {
      const answer = await daemon.api(`/v1/decisions/${id}`);
      expect(answer.json()).toMatchObject({ id, decision, agent: 'reader', provider: 'github' });
    }
    const missing = await daemon.api('/v1/decisions/rl_zzzzzz');
    expect(missing.status).toBe(404);
    expect(missing.json()).toMatchObject({
      error: {
        code: 'RL_NOT_FOUND',
        message: expect.any(String) as string,
        request_id: expect.any(String) as string,
      },
    });
  });

  test('explained to a person: who, what was known, what decided, what would have helped', async () => {
    const { stdout, code } = await daemon.cli(['explain', rejected]);
    expect(code).toBe(0);
    expect(stdout).toContain('Agent `reader`');
    expect(stdout).toContain('GET api.github.com/repos/acme/site');
    expect(stdout).toContain('scope repo:acme/site');
    expect(stdout).toContain('refused');
    expect(stdout).toMatch(/0 of 3/);
    expect(stdout).toContain('core');
    expect(stdout).toMatch(/max.wait/i);
    const waited = await daemon.cli(['explain', delayed]);
    expect(waited.stdout).toMatch(/waited/);
    const nothing = await daemon.cli(['explain', 'rl_zzzzzz']);
    expect(nothing.code).toBe(1);
    expect(nothing.stderr).toContain('rl_zzzzzz');
  });
});

describe('the command line', () => {
  test('status: health, pools with what is left', async () => {
    const { stdout, code } = await daemon.cli(['status']);
    expect(code).toBe(0);
    expect(stdout).toContain('is ok');
    expect(stdout).toContain('github');
    expect(stdout).toContain('core');
    const json = await daemon.cli(['status', '--json']);
    expect(JSON.parse(json.stdout)).toHaveProperty('pools');
  });

  test('status shows who uses what', async () => {
    const { stdout } = await daemon.cli(['status']);
    expect(stdout).toContain('reader');
    expect(stdout).toContain('writer');
  });

  test('events: one JSON a line', async () => {
    const args = ['events', '--json', '--type', 'intent_decided', '--agent', 'reader'];
    const { stdout, code } = await daemon.cli(args);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThanOrEqual(5);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ agent_id: 'reader' });
  });

  test('doctor finds nothing broken beside a running daemon, and says what is when it is', async () => {
    const good = await daemon.cli(['doctor']);
    expect(good.stdout).not.toContain('BROKEN');
    expect(good.code).toBe(0);
    const bad = await daemon.cli(['doctor', '--data', daemon.configFile]);
    expect(bad.code).toBe(1);
    expect(bad.stdout).toContain('BROKEN');
    expect(bad.stdout).toContain('do:');
  });

  test('wrong usage is 2, no daemon is 1', async () => {
    expect((await daemon.cli(['stats'])).code).toBe(2);
    const alone = await daemon.cli(['status', '--api', '127.0.0.1:1', '--data', daemon.home]);
    expect(alone.code).toBe(1);
    expect(alone.stderr).toMatch(/serve|daemon/);
  });

  test('ca path, ca print', async () => {
    const path = await daemon.cli(['ca', 'path']);
    expect(path.stdout.trim()).toBe(daemon.ready.ca);
    const pem = await daemon.cli(['ca', 'print']);
    expect(pem.stdout).toContain('BEGIN CERTIFICATE');
    expect(pem.stdout).not.toContain('PRIVATE KEY');
  });
});

describe('GET /metrics', () => {
  const NAMES = [
    'ratelord_requests_total',
    'ratelord_upstream_responses_total',
    'ratelord_upstream_throttled_total',
    'ratelord_wait_seconds',
    'ratelord_overhead_seconds',
    'ratelord_pool_limit',
    'ratelord_pool_remaining',
    'ratelord_pool_reset_seconds',
    'ratelord_forecast_exhaustion_seconds',
    'ratelord_queue_depth',
    'ratelord_ledger_events_total',
    'ratelord_ledger_lag_seconds',
    'ratelord_cost_usd_total',
  ];

  test('has every name, and counts what happened', async () => {
    const text = (await daemon.api('/metrics')).text;
    for (const name of NAMES) expect(text).toContain(`# TYPE ${name} `);
    const value = (sample: string): number =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(sample))
          ?.split(' ')
          .at(-1),
      );
    expect(value('ratelord_requests_total{provider="github",decision="pass"}')).toBe(3);
    expect(value('ratelord_requests_total{provider="github",decision="delay"}')).toBe(1);
    expect(value('ratelord_requests_total{provider="github",decision="reject"}')).toBe(1);
    expect(value('ratelord_upstream_responses_total{provider="github",status="200"}')).toBe(4);
    expect(text).toMatch(/ratelord_pool_limit\{provider="github",pool="core",identity="[^"]+"\} 3/);
    expect(text).toMatch(/ratelord_wait_seconds_bucket\{[^}]*le="[^"]+"/);
    expect(text).not.toContain('reader');
  });
});

describe('the API’s door', () => {
  test('openapi.json describes every route', async () => {
    const document = (await daemon.api('/openapi.json')).json() as { paths: object };
    for (const path of ['/v1/health', '/v1/pools', '/v1/events', '/v1/intent', '/metrics']) {
      expect(Object.keys(document.paths)).toContain(path);
    }
  });

  test('checks Host and Origin', async () => {
    const rebound = await daemon.api('/v1/pools', { headers: { host: 'evil.test' } });
    expect(rebound.status).toBe(403);
    const page = await daemon.api('/v1/pools', { headers: { origin: 'https://evil.test' } });
    expect(page.status).toBe(403);
  });

  test('with a token set, all but health need it', async () => {
    const own = await startDaemon({
      config: 'api: { token: env:API_TOKEN }\nagents:\n  - { id: a, token: env:AGENT_TOKEN }\n',
      env: { API_TOKEN: 'api-secret-1', AGENT_TOKEN: 'agent-secret-1' },
    });
    expect((await own.api('/v1/pools')).status).toBe(401);
    expect((await own.api('/metrics')).status).toBe(401);
    expect((await own.api('/v1/health')).json()).toMatchObject({ status: 'ok' });
    const wrong = { authorization: basic('x', 'api-secret-1') };
    expect((await own.api('/v1/pools', { headers: wrong })).status).toBe(401);
    const right = { authorization: 'Bearer api-secret-1' };
    expect((await own.api('/v1/pools', { headers: right })).status).toBe(200);
    // The command line knows the token the way the daemon does.
    expect((await own.cli(['status'], { API_TOKEN: 'api-secret-1' })).code).toBe(0);
  });
});
