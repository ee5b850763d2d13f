import { afterEach, describe, expect, test } from 'vitest';
import * as answers from '../../src/surfaces/api/answers.ts';
import { createApiApp } from '../../src/surfaces/api/app.ts';
import { listenApi, type ApiListener } from '../../src/surfaces/api/listen.ts';
import { call } from './fakes/call.ts';
import { fakeDaemon } from './fakes/daemon.ts';
import { T0 } from './fakes/ledger.ts';

const open: ApiListener[] = [];
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close();
});

async function start() {
  const daemon = fakeDaemon();
  const listener = await listenApi({ host: '127.0.0.1', port: 0 }, () =>
    Promise.resolve(createApiApp(daemon.deps)),
  );
  open.push(listener);
  const post = (path: string, body: unknown) => call(listener.url, path, { method: 'POST', body });
  return { ...daemon, url: listener.url, post };
}

async function membersOf(answer: Promise<{ status: number; json(): unknown }>) {
  const got = await answer;
  expect(got.status).toBe(400);
  const { error } = answers.errorAnswer.parse(got.json());
  expect(error.code).toBe('RL_INVALID');
  for (const { member } of error.details ?? []) expect(member).not.toBe('');
  expect(error.message).toContain(error.details?.[0]?.member);
  return (error.details ?? []).map((d) => d.member);
}

const seen = {
  provider: 'github',
  url: 'https://user:pass@API.GitHub.com/repos/a/b?page=2',
  status: 200,
  headers: { 'X-RateLimit-Remaining': 59, link: ['<a>', '<b>'] },
};

describe('observations', () => {
  test('one, with an object of headers', async () => {
    const { post, control } = await start();
    const answer = await post('/v1/observations', { ...seen, model: 'm', identity: 'gh-ci' });
    expect(answers.observationsAnswer.parse(answer.json())).toMatchObject({ accepted: 1 });
    expect(control.observed).toEqual([
      {
        provider: 'github',
        identity: 'gh-ci',
        credentialHash: null,
        method: 'GET',
        scheme: 'https',
        host: 'api.github.com',
        path: '/repos/a/b?page=2',
        model: 'm',
        status: 200,
        fields: ['X-RateLimit-Remaining', '59', 'link', '<a>', 'link', '<b>'],
        at: T0,
      },
    ]);
  });

  test('an array, with pairs, host and path, and times of both kinds in the past', async () => {
    const { post, control } = await start();
    const { url: _url, ...rest } = seen;
    const other = {
      ...rest,
      host: 'api.github.com',
      path: '/user',
      method: 'post',
      credential_hash: 'abc',
      headers: [
        ['Date', 'x'],
        ['Date', 'y'],
      ],
    };
    const answer = await post('/v1/observations', [
      { ...other, at: '2026-11-20T02:02:03+01:00' },
      { ...other, at: T0 - 5000 },
    ]);
    expect(answer.status).toBe(200);
    expect(control.observed.map((o) => o.at)).toEqual([T0 - 86_400_000, T0 - 5000]);
    expect(control.observed[0]).toMatchObject({
      method: 'POST',
      path: '/user',
      credentialHash: 'abc',
      fields: ['Date', 'x', 'Date', 'y'],
    });
  });

  test('secrets among the headers go no further', async () => {
    const { post, control } = await start();
    const headers = { Authorization: 'Bearer sk-1', 'Set-Cookie': 'a=b', cookie: 'c', date: 'd' };
    await post('/v1/observations', { ...seen, headers });
    expect(control.observed[0]?.fields).toEqual(['date', 'd']);
  });

  test.each([
    [{ ...seen, status: 99 }, ['status']],
    [{ ...seen, status: '200' }, ['status']],
    [{ ...seen, headers: 'x' }, ['headers']],
    [{ ...seen, headers: { 'bad name': 'x' } }, ['headers']],
    [{ ...seen, headers: { name: 'a\r\nb' } }, ['headers.name']],
    [{ ...seen, at: 'yesterday' }, ['at']],
    [{ ...seen, at: T0 / 1000 }, ['at']],
    [{ ...seen, at: T0 + 3_600_000 }, ['at']],
    [{ ...seen, url: '/relative' }, ['url']],
    [{ ...seen, host: 'x' }, ['url']],
    [{ provider: 'github', status: 200, headers: {} }, ['url']],
    [{ provider: 'github', status: 200, headers: {}, host: 'a/b' }, ['host']],
    [{ ...seen, remaning: 1 }, ['remaning']],
    [[seen, { ...seen, provider: 7 }], ['1.provider']],
    [[seen, { ...seen, at: 'x' }], ['1.at']],
    [[], ['body']],
    [42, ['body']],
    ['{', ['body']],
    [{ ...seen, provider: 'nobody' }, ['provider']],
  ])('%j is refused by name', async (body, members) => {
    const { post, control } = await start();
    expect(await membersOf(post('/v1/observations', body))).toEqual(members);
    expect(control.observed.filter((o) => o.provider !== 'nobody')).toEqual([]);
  });
});

describe('intent', () => {
  const asked = {
    agent_id: 'crawler-01',
    identity_id: 'gh-ci',
    workload_id: 'sentinel:unknown',
    scope_id: 'repo:a/b',
    urgency: 'high',
  };

  test('is in the ledger when it is answered', async () => {
    const { post, control, ledger } = await start();
    let committedAtAnswer = 0;
    const answer = await post('/v1/intent', { ...asked, expected_cost: 3, duration_hint: '2m' });
    committedAtAnswer = ledger.committed.length;
    const { intent_id, decision, trace } = answers.intentAnswer.parse(answer.json());
    expect([answer.status, decision, trace, committedAtAnswer]).toEqual([
      200,
      'approve',
      undefined,
      1,
    ]);
    expect(intent_id).toBe('rl_1');
    expect(control.intents[0]).toMatchObject({
      urgency: 'high',
      expectedCost: 3,
      durationHintMs: 120_000,
    });
  });

  test('debug brings the trace', async () => {
    const { post } = await start();
    const answer = await post('/v1/intent', { ...asked, debug: true });
    expect(answers.intentAnswer.parse(answer.json()).trace).toEqual([{ step: 'rules' }]);
  });

  test('is not answered when it cannot be recorded', async () => {
    const { post, ledger } = await start();
    ledger.current = { state: 'degraded', reason: 'disk full', since: T0, lost: 0 };
    const answer = await post('/v1/intent', asked);
    expect(answer.status).toBe(503);
    expect(answers.errorAnswer.parse(answer.json()).error).toMatchObject({
      code: 'RL_LEDGER',
      message: expect.stringContaining('disk full') as string,
    });
  });

  test('names what is missing or wrong', async () => {
    const { post } = await start();
    const { agent_id: _agent, ...rest } = asked;
    expect(await membersOf(post('/v1/intent', rest))).toEqual(['agent_id']);
    expect(await membersOf(post('/v1/intent', { ...asked, urgency: 'now' }))).toEqual(['urgency']);
    expect(await membersOf(post('/v1/intent', { ...asked, expected_cost: -1 }))).toEqual([
      'expected_cost',
    ]);
    expect(await membersOf(post('/v1/intent', { ...asked, duration_hint: 'soon' }))).toEqual([
      'duration_hint',
    ]);
    expect(await membersOf(post('/v1/intent', { ...asked, agent_id: 'a\nb' }))).toEqual([
      'agent_id',
    ]);
    expect(await membersOf(post('/v1/intent', null))).toEqual(['body']);
  });
});

describe('identities', () => {
  test('registered by reference, never by value', async () => {
    const { post, control } = await start();
    const wish = { id: 'gh-bot', provider: 'github', credential: 'env:GH_BOT', poll: '60s' };
    const answer = await post('/v1/identities', wish);
    expect(answer.status).toBe(201);
    expect(answers.identityAnswer.parse(answer.json())).toMatchObject({ id: 'gh-bot', poll_s: 60 });
    expect(control.registered[0]).toMatchObject({ credential: 'env:GH_BOT', pollMs: 60_000 });
    const leaked = post('/v1/identities', { ...wish, credential: 'ghp_abcdef' });
    expect(await membersOf(leaked)).toEqual(['credential']);
    expect((await leaked).text).not.toContain('ghp_abcdef');
  });

  test('conflicts, unknown ones and deletion', async () => {
    const { post, url } = await start();
    expect((await post('/v1/identities', { id: 'gh-ci', provider: 'github' })).status).toBe(409);
    expect(
      await membersOf(post('/v1/identities', { id: 'sentinel:system', provider: 'github' })),
    ).toEqual(['id']);
    const remove = async (id: string) =>
      (await call(url, `/v1/identities/${id}`, { method: 'DELETE' })).status;
    expect([await remove('temp'), await remove('gh-ci'), await remove('who')]).toEqual([
      204, 409, 404,
    ]);
  });
});

test('the policy can be read again', async () => {
  const { post } = await start();
  expect((await post('/v1/policy/reload', {})).json()).toEqual({ ok: true, problems: [] });
});
