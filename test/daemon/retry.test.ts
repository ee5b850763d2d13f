/** Refusals that came anyway: tried again inside the proxy, within what the caller allows. */
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asOpenai, chat, configFor } from './configs.ts';
import { cleanUp, eventually, startDaemon, type Item, type TestDaemon } from './harness.ts';
import { listenOrigin, sendJson, type Origin } from './origins.ts';
import type { Answer } from './wire.ts';

let daemon: TestDaemon;
let github: Origin;
let openai: Origin;
let acme: Origin;

type Refuse = (res: ServerResponse) => void;

/** Refuses the first requests of each path, then serves. */
function refusing(times: number, refuse: Refuse): Promise<Origin> {
  return listenOrigin((origin) => {
    const left = new Map<string, number>();
    return (req, res, body) => {
      const url = req.url ?? '';
      const many = url.includes('always') ? Infinity : times;
      const refusals = left.get(url) ?? many;
      left.set(url, refusals - 1);
      if (refusals > 0) {
        origin.refused += 1;
        refuse(res);
      } else sendJson(res, 200, { served: true, bytes: body.length });
    };
  });
}

const quota = { 'x-ratelimit-limit': '5000', 'x-ratelimit-resource': 'core' };

function secondary(res: ServerResponse): void {
  const headers = { ...quota, 'x-ratelimit-remaining': '4990', 'retry-after': '1' };
  sendJson(res, 403, { message: 'You have exceeded a secondary rate limit.' }, headers);
}

function tooMany(res: ServerResponse): void {
  const error = { message: 'Rate limit reached', type: 'requests', code: 'rate_limit_exceeded' };
  sendJson(res, 429, { error }, { 'retry-after-ms': '50', 'retry-after': '1' });
}

beforeAll(async () => {
  [github, openai, acme] = await Promise.all([
    refusing(1, secondary),
    refusing(1, tooMany),
    refusing(1, (res) =>
      sendJson(res, 503, { trouble: 'x'.repeat(200_000) }, { 'retry-after-ms': '40' }),
    ),
  ]);
  daemon = await startDaemon({ config: configFor({ github, openai, acme }) });
});
afterAll(cleanUp);

const key = (name: string) => ({ authorization: `Bearer ghp_${name}` });
const attempts = (answer: Answer): string => answer.field('x-ratelord-attempts');
const urls = (origin: Origin, url: string) => origin.seen.filter((one) => one.url === url);

async function storyOf(answer: Answer): Promise<readonly Item[]> {
  const id = answer.field('x-ratelord-id');
  const look = async (): Promise<readonly Item[]> =>
    (await daemon.items('/v1/events?limit=1000')).filter((one) => one['correlation_id'] === id);
  return eventually(look, (all) => endings(all).includes('complete'));
}

function endings(events: readonly Item[]): unknown[] {
  return events
    .filter((one) => one['type'] === 'usage_settled')
    .map((one) => (one['payload'] as Item)['ending']);
}

describe.concurrent('tried again', () => {
  test('GitHub: 403 by a secondary limit, after its Retry-After', async () => {
    const began = performance.now();
    const answer = await daemon.send('/github/user', { headers: key('secondary') });
    expect([answer.status, attempts(answer)]).toEqual([200, '2']);
    expect(answer.field('x-ratelord-decision')).toBe('delay');
    expect(Number(answer.field('x-ratelord-waited-ms'))).toBeGreaterThanOrEqual(950);
    expect(performance.now() - began).toBeGreaterThanOrEqual(950);
    const events = await storyOf(answer);
    expect(endings(events)).toEqual(['retried', 'complete']);
    const id = answer.field('x-ratelord-id');
    const decision = (await daemon.api(`/v1/decisions/${id}`)).json() as Item;
    expect(decision['attempts']).toMatchObject([{ number: 1, status: 403 }]);
    expect(decision['explanation']).toContain('refused it with 403');
  });

  test('OpenAI: 429, with the same content', async () => {
    const body = chat();
    const options = { method: 'POST', headers: asOpenai, body };
    const answer = await daemon.send('/openai/v1/chat/completions', options);
    expect([answer.status, attempts(answer)]).toEqual([200, '2']);
    const sent = urls(openai, '/v1/chat/completions').map((one) => one.body);
    expect(sent).toEqual([body, body]);
    expect(endings(await storyOf(answer))).toEqual(['retried', 'complete']);
  });

  test('503 to a GET, whose large content nobody waits for', async () => {
    const answer = await daemon.send('/acme/large');
    expect([answer.status, attempts(answer)]).toEqual([200, '2']);
    expect(answer.json()).toEqual({ served: true, bytes: 0 });
  });
});

describe.concurrent('passed on', () => {
  test('to whoever does not wait', async () => {
    const headers = { ...key('impatient'), 'x-ratelord-max-wait': '0' };
    const answer = await daemon.send('/github/impatient', { headers });
    expect([answer.status, attempts(answer)]).toEqual([403, '']);
    expect(urls(github, '/impatient')).toHaveLength(1);
  });

  test('503 to a POST, of which nobody knows how far it came', async () => {
    const options = { method: 'POST', body: 'once', headers: { authorization: 'Bearer post' } };
    const answer = await daemon.send('/acme/post', options);
    expect([answer.status, urls(acme, '/post').length]).toEqual([503, 1]);
  });

  test('content too large to be kept', async () => {
    const body = 'x'.repeat(2_000_000);
    const options = { method: 'POST', body, headers: key('large') };
    const answer = await daemon.send('/github/repos/a/b/releases', options);
    expect([answer.status, attempts(answer)]).toEqual([403, '']);
  });

  test('refused thrice, or beyond the budget of the account', async () => {
    const headers = { ...asOpenai, authorization: 'Bearer sk-storm' };
    const send = (i: number) =>
      daemon.send(`/openai/v1/chat/completions?always=${String(i)}`, {
        method: 'POST',
        headers,
        body: chat(),
      });
    const began = performance.now();
    const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => send(i)));
    expect(answers.every((one) => one.status === 429)).toBe(true);
    expect(answers.map(attempts)).toContain('3');
    // A burst of five, a tenth of six, and what comes back in ten seconds.
    const sent = openai.seen.filter((one) => one.url.includes('always')).length;
    expect(sent).toBeGreaterThan(6);
    const more = 5 + 0.6 + (performance.now() - began) / 10_000;
    expect(sent).toBeLessThanOrEqual(6 + more);
  }, 30_000);
});

test('who leaves while it waits for another attempt is not sent again', async () => {
  const leaver = new AbortController();
  const left = daemon.send('/github/leaver', { headers: key('leaver'), signal: leaver.signal });
  await eventually(
    () => urls(github, '/leaver').length,
    (count) => count === 1,
  );
  const waiting = async (): Promise<boolean> =>
    endings(await daemon.items('/v1/events?limit=1000&type=usage_settled')).includes('retried');
  await eventually(waiting, (yes) => yes);
  leaver.abort();
  await expect(left).rejects.toThrow();
  const gone = async (): Promise<unknown[]> =>
    endings(await daemon.items('/v1/events?limit=1000&type=usage_settled'));
  await eventually(gone, (all) => all.includes('gone'));
  expect(urls(github, '/leaver')).toHaveLength(1);
});

test('metrics count them', async () => {
  const text = (await daemon.api('/metrics')).text;
  expect(text).toMatch(/ratelord_retries_total\{provider="github"\} [1-9]/);
  expect(text).toMatch(/ratelord_retries_total\{provider="openai"\} [1-9]/);
  expect(text).toMatch(
    /ratelord_upstream_throttled_total\{provider="github",kind="secondary"\} [1-9]/,
  );
});
