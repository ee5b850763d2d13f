import FakeTimers, { type Clock } from '@sinonjs/fake-timers';
import { Octokit } from 'octokit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Kernel } from '../../src/sim/kernel.ts';
import { scriptedFetch } from './clients-fetch.ts';
import { OK, runModel, type Answer, type Asked, type Course } from './clients-support.ts';

let clock: Clock;
beforeAll(() => {
  // One clock for all: the library keeps its queues for as long as the process lives.
  clock = FakeTimers.install({
    now: Kernel.EPOCH,
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'],
  });
});
afterAll(() => clock.uninstall());

const quiet = { debug: nothing, info: nothing, warn: nothing, error: nothing };
function nothing(): void {
  /* what the library says of it does not matter here */
}

async function runReal(script: readonly Answer[], asked: readonly Asked[]): Promise<Course> {
  const { fetch, atMs } = scriptedFetch(script, () => Date.now());
  const octokit = new Octokit({ auth: 'key', log: quiet, request: { fetch } });
  const ends: ('served' | 'lost')[] = [];
  asked.forEach(({ method, path }, i) => {
    const call =
      path === '/graphql'
        ? octokit.graphql('{ viewer { login } }')
        : octokit.request(`${method} ${path}`);
    void call.then(
      () => (ends[i] = 'served'),
      () => (ends[i] = 'lost'),
    );
  });
  await clock.tickAsync(600_000);
  return { atMs, ends };
}

const GET: Asked = { method: 'GET', path: '/repos/acme/widgets/issues/1' };
const PUT: Asked = { method: 'PUT', path: '/repos/acme/widgets/issues/1/labels' };
const COMMENT: Asked = { method: 'POST', path: '/repos/acme/widgets/issues/1/comments' };
const SEARCH: Asked = { method: 'GET', path: '/search/issues?q=is%3Aopen' };
const GRAPHQL: Asked = { method: 'POST', path: '/graphql' };

/** Whole seconds from when the case begins; filled in then. */
type Script = (nowS: number) => readonly Answer[];

function exhausted(nowS: number, status: number, resetInS: number): Answer {
  const reset = String(nowS + resetInS);
  return { status, fields: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset } };
}

const SECONDARY = { message: 'You have exceeded a secondary rate limit. Please wait.' };
const LIMITED = {
  data: null,
  errors: [{ type: 'RATE_LIMITED', message: 'API rate limit exceeded' }],
};

const cases: readonly (readonly [string, Script, readonly Asked[]])[] = [
  ['serves at once', () => [OK], [GET]],
  ['waits for the reset and a second, once', (s) => [exhausted(s, 403, 40), OK], [GET]],
  ['gives up on the second 403', (s) => [exhausted(s, 403, 40), exhausted(s, 403, 90)], [GET]],
  [
    'retries a 429 three times at once, then waits for the reset',
    (s) => [exhausted(s, 429, 40)],
    [GET],
  ],
  [
    'gives up on a 429 that names no limit',
    () => [{ status: 429, fields: { 'retry-after': '30' } }],
    [GET],
  ],
  [
    'waits out a secondary limit',
    () => [{ status: 403, fields: { 'retry-after': '25' }, body: SECONDARY }, OK],
    [GET],
  ],
  ['waits a minute for one that says nothing', () => [{ status: 403, body: SECONDARY }, OK], [GET]],
  ['gives up on a plain 403', () => [{ status: 403, fields: { 'retry-after': '1' } }, OK], [GET]],
  ['retries 502 after 1, 4 and 9 s', () => [{ status: 502 }], [GET]],
  [
    'shares its count of retries',
    () => [{ status: 502 }, { status: 404 }, { status: 502 }],
    [GET, GET, GET],
  ],
  ['never retries a 404', () => [{ status: 404 }, OK], [GET]],
  ['retries a broken connection', () => [{ status: 0 }, { status: 0 }, OK], [GET]],
  ['spaces writes by a second', () => [OK], [PUT, PUT, PUT]],
  ['spaces writes that notify by three', () => [OK], [COMMENT, COMMENT, PUT]],
  ['spaces searches by two', () => [OK], [SEARCH, SEARCH, GET]],
  ['spaces GraphQL as writes', () => [{ status: 200, body: { data: {} } }], [GRAPHQL, GRAPHQL]],
  [
    'sees a limit in a 200',
    (s) => [
      { ...exhausted(s, 200, 20), body: LIMITED },
      { status: 200, body: { data: {} } },
    ],
    [GRAPHQL],
  ],
  [
    'runs ten at once',
    () => [{ status: 502 }, { status: 502 }, OK],
    new Array<Asked>(14).fill(GET),
  ],
];

test.each(cases)('%s', async (_name, script, asked) => {
  const wall = Date.now();
  const answers = script(Math.floor(wall / 1000));
  const real = await runReal(answers, asked);
  const model = runModel('octokit', answers, asked, { wall });
  expect(real.ends).toHaveLength(asked.length);
  expect(model.ends).toEqual(real.ends);
  expect(model.atMs).toHaveLength(real.atMs.length);
  // Its queues pass each entry on by timers of a millisecond, several in a row.
  model.atMs.forEach((at, i) => expect(Math.abs(at - (real.atMs[i] ?? NaN))).toBeLessThan(60));
});
