/** Quotas that run out: who waits, for how long, and what a refusal looks like. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asOpenai, chat, configFor } from './configs.ts';
import { githubOrigin, type GithubOrigin } from './github-origin.ts';
import { cleanUp, eventually, startDaemon, type TestDaemon } from './harness.ts';
import { ietfOrigin } from './ietf-origin.ts';
import { openaiOrigin } from './openai-origin.ts';
import type { Origin } from './origins.ts';
import type { Answer } from './wire.ts';

let daemon: TestDaemon;
let github: GithubOrigin;
let slowGithub: TestDaemon;
let slow: GithubOrigin;
let openai: Origin;
let acme: Origin;

beforeAll(async () => {
  [github, slow, openai, acme] = await Promise.all([
    githubOrigin({ limit: 4, windowMs: 2_000 }),
    githubOrigin({ limit: 100, windowMs: 60_000, latencyMs: 60 }),
    openaiOrigin({ requestsPerMinute: 600, tokensPerMinute: 6_000 }),
    ietfOrigin({ limit: 3, windowS: 2 }),
  ]);
  [daemon, slowGithub] = await Promise.all([
    startDaemon({ config: configFor({ github, openai, acme }) }),
    startDaemon({ config: configFor({ github: slow }) }),
  ]);
});
afterAll(cleanUp);

const key = (name: string) => ({ authorization: `Bearer ghp_${name}` });

async function many(count: number, send: (i: number) => Promise<Answer>): Promise<Answer[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => send(i)));
}

interface RefusalBody {
  readonly message?: string;
  readonly error?: Readonly<Record<string, unknown>>;
  readonly ratelord: Readonly<Record<string, unknown>>;
}

function refusalOf(answer: Answer): RefusalBody {
  return answer.json() as RefusalBody;
}

describe.concurrent('waiting', () => {
  test('what does not fit waits for the reset, and the origin never refuses', async () => {
    const before = github.refused;
    const answers = await many(6, () => daemon.send('/github/user', { headers: key('waits') }));
    expect(answers.map((one) => one.status)).toEqual([200, 200, 200, 200, 200, 200]);
    expect(github.refused).toBe(before);
    const waited = answers.filter((one) => one.field('x-ratelord-decision') === 'delay');
    const longest = Math.max(...waited.map((one) => Number(one.field('x-ratelord-waited-ms'))));
    // Two of six are of the next window, which begins no sooner than the reset that was told.
    expect(longest).toBeGreaterThan(500);
    expect(answers.filter((one) => one.field('x-ratelord-decision') === 'pass')).not.toEqual([]);
  });

  test('an origin that speaks the IETF fields is governed alike', async () => {
    const answers = await many(5, () => daemon.send('/acme/things'));
    expect(answers.every((one) => one.status === 200)).toBe(true);
    expect(acme.refused).toBe(0);
  });

  test('a pool that nobody has observed yet lets one go first', async () => {
    const answers = await many(8, () => slowGithub.send('/github/user', { headers: key('cold') }));
    expect(answers.every((one) => one.status === 200)).toBe(true);
    const [first, second] = slow.seen;
    // The rest are sent once the first is answered, and not before.
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(55);
    expect(answers.filter((one) => one.field('x-ratelord-decision') === 'pass')).toHaveLength(1);
  });

  test('buckets of OpenAI’s refill while requests wait for their tokens', async () => {
    // 6,000 tokens a minute; each of these is charged some 1,500.
    const send = () =>
      daemon.send('/openai/v1/chat/completions', {
        method: 'POST',
        headers: { ...asOpenai, authorization: 'Bearer sk-refills' },
        body: chat({ max_tokens: 1_450 }),
      });
    const answers = await many(4, send);
    expect(answers.map((one) => one.status)).toEqual([200, 200, 200, 200]);
    expect(openai.refused).toBe(0);
  });
});

test('who leaves while waiting is forgotten, and never sent', async () => {
  const own = await githubOrigin({ limit: 1, windowMs: 1_500 });
  const patient = await startDaemon({ config: configFor({ github: own }) });
  await patient.send('/github/first', { headers: key('leaver') });
  const leaver = new AbortController();
  const left = patient.send('/github/left', { headers: key('leaver'), signal: leaver.signal });
  const depth = async (): Promise<unknown> =>
    ((await patient.api('/v1/health')).json() as { queue_depth: number }).queue_depth;
  await eventually(depth, (now) => now === 1);
  leaver.abort();
  await expect(left).rejects.toThrow();
  await eventually(depth, (now) => now === 0);
  // The next in line gets the one unit of the next window.
  expect((await patient.send('/github/next', { headers: key('leaver') })).status).toBe(200);
  expect(own.seen.map((one) => one.url)).toEqual(['/first', '/next']);
});

describe('refusing, because the caller does not wait', () => {
  async function spent(name: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const own = key(name);
    for (let i = 0; i < 4; i++) await daemon.send('/github/user', { headers: own });
    const seen = github.seen.length;
    const answer = await daemon.send('/github/repos/acme/site', {
      headers: { ...own, 'x-ratelord-max-wait': '0', ...headers },
    });
    expect(github.seen).toHaveLength(seen);
    return answer;
  }

  test('GitHub: 403 as its SDKs know it', async () => {
    const answer = await spent('shape', {});
    expect(answer.status).toBe(403);
    expect(answer.field('x-ratelord-decision')).toBe('reject');
    expect(answer.field('x-ratelord-id')).toMatch(/^rl_/);
    expect(Number(answer.field('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(Number(answer.field('retry-after-ms'))).toBeGreaterThan(0);
    expect(answer.field('x-should-retry')).not.toBe('false');
    expect(answer.field('x-ratelimit-remaining')).toBe('0');
    expect(answer.field('x-ratelimit-limit')).toBe('4');
    expect(answer.field('x-ratelimit-used')).toBe('4');
    expect(answer.field('x-ratelimit-resource')).toBe('core');
    expect(Number(answer.field('x-ratelimit-reset'))).toBeGreaterThan(Date.now() / 1000 - 1);
    const body = refusalOf(answer);
    expect(body.message).toMatch(/^API rate limit exceeded/);
    expect(body.ratelord).toMatchObject({
      id: answer.field('x-ratelord-id'),
      code: expect.stringMatching(/^RL_/) as string,
      reason: expect.any(String) as string,
      pool: expect.stringContaining('core') as string,
    });
    expect(Date.parse(String(body.ratelord['retry_at']))).toBeGreaterThan(Date.now() - 1_000);
  });

  test('coming back at Retry-After, it passes', async () => {
    const answer = await spent('returns', {});
    const seconds = Number(answer.field('retry-after'));
    expect(seconds).toBeLessThanOrEqual(4);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const headers = { ...key('returns'), 'x-ratelord-max-wait': '0' };
    const again = await daemon.send('/github/user', { headers });
    expect(again.status).toBe(200);
  });

  test('a problem, for those who ask for one', async () => {
    const answer = await spent('problem', { accept: 'application/problem+json' });
    expect(answer.field('content-type')).toContain('application/problem+json');
    expect(answer.status).toBe(403);
    expect(answer.json()).toMatchObject({
      type: expect.any(String) as string,
      title: expect.any(String) as string,
      status: 403,
      detail: expect.any(String) as string,
      ratelord: { id: answer.field('x-ratelord-id') },
    });
    expect(Number(answer.field('retry-after'))).toBeGreaterThanOrEqual(1);
  });

  test('a HEAD is refused without content', async () => {
    await spent('head', {});
    const headers = { ...key('head'), 'x-ratelord-max-wait': '0' };
    const answer = await daemon.send('/github/user', { method: 'HEAD', headers });
    expect(answer.status).toBe(403);
    expect(answer.text).toBe('');
  });

  test('a malformed field of ratelord’s own is a 400 that names it', async () => {
    const headers = { ...key('bad'), 'x-ratelord-max-wait': 'soon' };
    const answer = await daemon.send('/github/user', { headers });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('x-ratelord-max-wait');
    expect(answer.text).toContain('soon');
  });
});

describe('refusing in OpenAI’s shape', () => {
  const post = (credential: string, body: string, more: Readonly<Record<string, string>> = {}) =>
    daemon.send('/openai/v1/chat/completions', {
      method: 'POST',
      headers: { ...asOpenai, authorization: `Bearer ${credential}`, ...more },
      body,
    });

  test('429 with an error object, and when to come back', async () => {
    const body = chat({ max_tokens: 2_900 });
    expect((await post('sk-shape', body)).status).toBe(200);
    expect((await post('sk-shape', body)).status).toBe(200);
    const answer = await post('sk-shape', body, { 'x-ratelord-max-wait': '0' });
    expect(answer.status).toBe(429);
    expect(Number(answer.field('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(Number(answer.field('retry-after-ms'))).toBeGreaterThan(0);
    expect(refusalOf(answer).error).toMatchObject({
      type: 'tokens',
      code: 'rate_limit_exceeded',
      message: expect.stringContaining('Rate limit reached for gpt-4o-mini') as string,
    });
    expect(refusalOf(answer).ratelord['pool']).toContain('tokens');
  });

  test('a wait longer than the SDK honours says so, and still when to come back', async () => {
    const daily = await openaiOrigin({ requestsPerMinute: 10, level: 0.15, windowMs: 86_400_000 });
    const own = await startDaemon({ config: configFor({ openai: daily }) });
    const ask = () =>
      own.send('/openai/v1/chat/completions', { method: 'POST', headers: asOpenai, body: chat() });
    expect((await ask()).status).toBe(200);
    const answer = await ask();
    expect(answer.status).toBe(429);
    expect(Number(answer.field('retry-after'))).toBeGreaterThan(60);
    expect(answer.field('x-should-retry')).toBe('false');
    expect(daily.refused).toBe(0);
  });

  test('what can never fit is refused for good', async () => {
    expect((await post('sk-large', chat())).status).toBe(200);
    const seen = openai.seen.length;
    const answer = await post('sk-large', chat({ max_tokens: 50_000 }));
    expect(answer.status).toBe(429);
    expect(answer.field('x-should-retry')).toBe('false');
    expect(answer.field('retry-after')).toBe('');
    expect(refusalOf(answer).ratelord['code']).toBe('RL_TOO_LARGE');
    expect(openai.seen).toHaveLength(seen);
  });

  test('an account without money is asked once, then refused for a while', async () => {
    const body = chat({ model: 'no-money' });
    const theirs = await post('sk-poor', body);
    expect(theirs.status).toBe(429);
    expect(theirs.json()).toMatchObject({ error: { code: 'insufficient_quota' } });
    const seen = openai.seen.length;
    const ours = await post('sk-poor', body);
    expect(ours.status).toBe(429);
    expect(ours.field('x-should-retry')).toBe('false');
    expect(ours.field('x-ratelord-decision')).toBe('reject');
    expect(openai.seen).toHaveLength(seen);
  });
});

describe('what the provider refuses', () => {
  test('a secondary limit passes through, and shuts the gate until its time', async () => {
    const headers = { ...key('second'), 'x-ratelord-max-wait': '0' };
    const theirs = await daemon.send('/github/trip/secondary', { headers });
    expect(theirs.status).toBe(403);
    expect(theirs.text).toContain('secondary rate limit');
    const seen = github.seen.length;
    const ours = await daemon.send('/github/user', { headers });
    expect(ours.status).toBe(403);
    expect(ours.field('x-ratelord-decision')).toBe('reject');
    expect(Number(ours.field('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(github.seen).toHaveLength(seen);
    // Another credential is another's trouble.
    const other = await daemon.send('/github/user', { headers: key('bystander') });
    expect(other.status).toBe(200);
  });
});
