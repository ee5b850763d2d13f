import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/core/errors.ts';
import * as answers from '../../src/surfaces/api/answers.ts';
import { createApiApp } from '../../src/surfaces/api/app.ts';
import { listenApi, type ApiListener } from '../../src/surfaces/api/listen.ts';
import { OPERATIONS } from '../../src/surfaces/api/openapi.ts';
import { call, type Answer } from './fakes/call.ts';
import { fakeDaemon, type FakeDaemon } from './fakes/daemon.ts';
import { T0 } from './fakes/ledger.ts';

const open: ApiListener[] = [];
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close();
});

async function start(options: Parameters<typeof fakeDaemon>[0] = {}) {
  const daemon: FakeDaemon = fakeDaemon(options);
  const listener = await listenApi({ host: '127.0.0.1', port: 0 }, () =>
    Promise.resolve(createApiApp(daemon.deps)),
  );
  open.push(listener);
  return { ...daemon, url: listener.url };
}

function errorOf(answer: Answer) {
  const { error } = answers.errorAnswer.parse(answer.json());
  expect(ERROR_CODES).toContain(error.code);
  expect(error.request_id).toBe(answer.headers['x-request-id']);
  return error;
}

/** Status of an answer to a head written by hand. */
function rawStatus(url: string, head: string): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('error', reject);
    socket.on('close', () => resolve(Number(text.split(' ')[1])));
    socket.end(`${head}Connection: close\r\n\r\n`);
  });
}

describe('reading', () => {
  test('health tells what runs and how the ledger is', async () => {
    const { url, ledger } = await start();
    const well = answers.healthAnswer.strict().parse((await call(url, '/v1/health')).json());
    expect(well).toMatchObject({
      status: 'ok',
      version: '0.1.0',
      uptime_s: 90,
      mode: 'enforce',
      queue_depth: 2,
      in_flight: 3,
      problems: [],
    });
    ledger.current = { state: 'degraded', reason: 'disk full', since: T0, lost: 7 };
    const ill = answers.healthAnswer.parse((await call(url, '/v1/health')).json());
    expect(ill.status).toBe('degraded');
    expect(ill.ledger).toMatchObject({ state: 'degraded', reason: 'disk full' });
    expect(ill.problems?.join()).toContain('disk full');
  });

  test('a refused policy file degrades health and says why', async () => {
    const { url, view } = await start();
    view.policyView = { ...view.policyView, refused: ['unknown key `acton`'] };
    const health = answers.healthAnswer.parse((await call(url, '/v1/health')).json());
    expect(health.status).toBe('degraded');
    expect(health.problems?.join()).toContain('acton');
  });

  test('pools are sorted and can be narrowed', async () => {
    const { url } = await start();
    const all = answers.poolsAnswer.parse((await call(url, '/v1/pools')).json());
    expect(all.items.map((p) => p.provider)).toEqual(['github', 'openai']);
    const one = answers.poolsAnswer.parse((await call(url, '/v1/pools?pool=tokens')).json());
    expect(one.items.map((p) => p.id)).toEqual(['openai/acct/tokens/gpt-4o']);
  });

  test('identities and policy', async () => {
    const { url } = await start();
    const { items } = answers.identitiesAnswer.parse((await call(url, '/v1/identities')).json());
    expect(items.map((i) => i.id)).toEqual(['gh-ci']);
    const policy = answers.policyAnswer.parse((await call(url, '/v1/policy')).json());
    expect(policy.hash).toBe('a1b2c3d4e5f60718');
  });

  test('a decision comes structured and in words, by request id and by sequence number', async () => {
    const { url, ledger } = await start();
    const first = ledger.append([
      { type: 'intent_submitted', payload: { method: 'GET', host: 'api.github.com', path: '/x' } },
      { type: 'intent_decided', payload: { decision: 'pass' } },
    ]);
    const id = `rl_${first.seq.toString(36)}`;
    for (const name of [id, `${id}-retry`, String(first.seq + 1)]) {
      const answer = await call(url, `/v1/decisions/${name}`);
      const decision = answers.decisionAnswer.strict().parse(answer.json());
      expect(decision).toMatchObject({ id, decision: 'pass', host: 'api.github.com' });
      expect(decision.explanation).toContain('crawler-01');
    }
    for (const name of ['rl_zzzz', 'nonsense', 'rl_', '0']) {
      const missing = await call(url, `/v1/decisions/${name}`);
      expect(missing.status).toBe(404);
      expect(errorOf(missing)).toMatchObject({ code: 'RL_NOT_FOUND' });
    }
  });

  test('the description names exactly the routes there are', async () => {
    const { url, deps } = await start();
    const document = (await call(url, '/openapi.json')).json() as {
      openapi: string;
      paths: Record<string, Record<string, unknown>>;
    };
    expect(document.openapi).toBe('3.1.0');
    const described = OPERATIONS.map((o) => `${o.method.toUpperCase()} ${o.path}`);
    expect(
      Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
      ),
    ).toEqual(expect.arrayContaining(described));
    const app = createApiApp(deps);
    await app.ready();
    for (const { method, path } of OPERATIONS) {
      const url = path.replace(/\{(\w+)\}/g, ':$1');
      expect(app.hasRoute({ method: method.toUpperCase(), url }), `${method} ${path}`).toBe(true);
    }
    // And none besides: the printed tree names the methods of each route.
    const printed = app.printRoutes({ commonPrefix: false }).matchAll(/ \(([A-Z, ]+)\)$/gm);
    const methods = [...printed].flatMap((match) => (match[1] ?? '').split(', '));
    expect(methods.filter((method) => method !== 'HEAD')).toHaveLength(described.length);
    await app.close();
  });
});

describe('the door', () => {
  test('a name that is not ours is refused: DNS rebinding', async () => {
    const { url } = await start();
    for (const host of [
      'evil.example',
      'evil.example:8090',
      'localhost.evil.example',
      '[::2]',
      'a b',
    ]) {
      const answer = await call(url, '/v1/pools', { headers: { host } });
      expect([400, 403], host).toContain(answer.status);
    }
    expect(await rawStatus(url, 'GET /v1/pools HTTP/1.1\r\nHost:\r\n')).toBe(403);
    expect(await rawStatus(url, 'GET /v1/pools HTTP/1.0\r\n')).toBe(403);
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1', '127.9.9.9:80', '[::1]:8090']) {
      expect((await call(url, '/v1/pools', { headers: { host } })).status, host).toBe(200);
    }
  });

  test('the configured listen host is ours; behind a wildcard any literal address is', async () => {
    const named = await start({ listenHost: 'ratelord.internal' });
    const headers = { host: 'ratelord.internal:8090' };
    expect((await call(named.url, '/v1/pools', { headers })).status).toBe(200);
    const wild = await start({ listenHost: '0.0.0.0' });
    expect((await call(wild.url, '/v1/pools', { headers: { host: '10.0.0.7' } })).status).toBe(200);
    expect((await call(wild.url, '/v1/pools', { headers })).status).toBe(403);
  });

  test('only our own origin may call', async () => {
    const { url } = await start();
    const host = url.slice('http://'.length);
    const ask = async (origin: string) =>
      (await call(url, '/v1/pools', { headers: { host, origin } })).status;
    expect(await ask(`http://${host}`)).toBe(200);
    for (const origin of [
      'null',
      'http://evil.example',
      'http://localhost:1',
      `http://${host}.x`,
    ]) {
      expect(await ask(origin), origin).toBe(403);
    }
    const foreign = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' };
    expect((await call(url, '/v1/events', { headers: foreign })).status).toBe(403);
    expect((await call(url, '/v1/pools')).headers['access-control-allow-origin']).toBeUndefined();
  });

  test('with a token, all but health need it, and health tells less without', async () => {
    const { url } = await start({ token: 'correct-horse' });
    for (const { method, path } of OPERATIONS) {
      if (path === '/v1/health') continue;
      const answer = await call(url, path, { method: method.toUpperCase() });
      expect(answer.status, path).toBe(401);
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
      expect(errorOf(answer).code).toBe('RL_UNAUTHORIZED');
    }
    const health = (await call(url, '/v1/health')).json() as object;
    expect(Object.keys(health).sort()).toEqual(['status', 'uptime_s', 'version']);
    const ask = async (authorization: string) =>
      (await call(url, '/v1/pools', { headers: { authorization } })).status;
    expect(await ask('Bearer correct-horse')).toBe(200);
    expect(await ask('bearer correct-horse')).toBe(200);
    for (const wrong of ['Bearer correct-hors', 'Bearer', 'Basic correct-horse', 'correct-horse']) {
      expect(await ask(wrong), wrong).toBe(401);
    }
  });

  test('an unknown route, a foreign content type, broken and huge content', async () => {
    const { url } = await start();
    expect(errorOf(await call(url, '/v2/nothing?x=1'))).toMatchObject({
      code: 'RL_UNKNOWN_ROUTE',
      message: expect.stringContaining('`GET /v2/nothing`') as string,
    });
    expect((await call(url, '/v1/pools', { method: 'POST', body: {} })).status).toBe(404);
    const plain = await call(url, '/v1/intent', {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'text/plain' },
    });
    expect([plain.status, errorOf(plain).code]).toEqual([415, 'RL_MEDIA_TYPE']);
    const none = await call(url, '/v1/policy/reload', { method: 'POST' });
    expect(none.status).toBe(415);
    const broken = await call(url, '/v1/intent', {
      method: 'POST',
      body: '{"agent_id": sk-secret',
    });
    expect([broken.status, errorOf(broken).code]).toEqual([400, 'RL_INVALID']);
    expect(broken.text).not.toContain('sk-secret');
    const huge = await call(url, '/v1/intent', {
      method: 'POST',
      body: `"${'x'.repeat(2 ** 20)}"`,
    });
    expect([huge.status, errorOf(huge).code]).toEqual([413, 'RL_CONTENT_TOO_LARGE']);
    const percent = await call(url, '/v1/decisions/%zz');
    expect(percent.status).toBe(400);
    errorOf(percent);
  });

  test('a fault inside is reported and not shown', async () => {
    const faults: unknown[] = [];
    const { url, view } = await start({ faults });
    view.pools = () => {
      throw new Error('secret detail');
    };
    const answer = await call(url, '/v1/pools');
    expect([answer.status, errorOf(answer).code]).toEqual([500, 'RL_INTERNAL']);
    expect(answer.text).not.toContain('secret detail');
    expect(faults).toHaveLength(1);
  });
});
