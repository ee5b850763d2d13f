import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { IDEMPOTENT_METHODS } from '../../src/sim/clients/requests.ts';
import { Kernel } from '../../src/sim/kernel.ts';
import { needPython } from '../clients/machine.ts';
import { makeClient } from '../../src/sim/clients/index.ts';
import type { Hop } from '../../src/sim/types.ts';
import { jobOf, Middling, OK, runModel, type Answer, type Asked } from './clients-support.ts';

const GET: Asked = { method: 'GET', path: '/x' };
const POST: Asked = { method: 'POST', path: '/x' };

/** urllib3's own loop (`increment`, `sleep`) over scripted answers, with the sleeping noted instead. */
const PYTHON = `
import json, sys, time
import urllib3.util.retry as retry
from urllib3.response import HTTPResponse
from urllib3.exceptions import MaxRetryError, ProtocolError
case = json.load(sys.stdin)
now = [case['wall']]
at = []
class Clock:
    @staticmethod
    def sleep(s): now[0] += s
    @staticmethod
    def time(): return now[0]
retry.time = Clock
policy = retry.Retry(total=5, backoff_factor=1, status_forcelist=[429, 500, 502, 503, 504], allowed_methods=case['methods'])
script = case['script']
end = None
while end is None:
    answer = script[min(len(at), len(script) - 1)]
    at.append(round((now[0] - case['wall']) * 1000))
    try:
        if answer['status'] == 0:
            policy = policy.increment(case['method'], '/x', error=ProtocolError('broken'))
            policy.sleep()
            continue
        response = HTTPResponse(status=answer['status'], headers=answer.get('fields', {}))
        if policy.is_retry(case['method'], response.status, 'Retry-After' in response.headers):
            policy = policy.increment(case['method'], '/x', response=response)
            policy.sleep(response)
        else:
            end = 'served' if response.status < 400 else 'lost'
    except (MaxRetryError, ProtocolError):
        end = 'lost'
print(json.dumps({'atMs': at, 'ends': [end]}))
`;

const NO: Answer = { status: 500 };
const cases: readonly {
  name: string;
  script: readonly Answer[];
  asked?: Asked;
  methods?: readonly string[];
}[] = [
  { name: 'tries six times', script: [NO] },
  { name: 'takes retry-after', script: [{ status: 429, fields: { 'retry-after': '7' } }, OK] },
  {
    name: 'takes it however long',
    script: [{ status: 503, fields: { 'retry-after': '900' } }, OK],
  },
  {
    name: 'takes a date',
    script: [{ status: 503, fields: { 'retry-after': 'Mon, 05 Jan 2026 00:00:20 GMT' } }, OK],
  },
  {
    name: 'backs off on a wait of nothing',
    script: [NO, { status: 429, fields: { 'retry-after': '0' } }, OK],
  },
  {
    name: 'retries a 413 that says when',
    script: [{ status: 413, fields: { 'retry-after': '2' } }, OK],
  },
  { name: 'never retries a 403', script: [{ status: 403, fields: { 'retry-after': '2' } }, OK] },
  { name: 'retries a broken connection', script: [{ status: 0 }, { status: 0 }, OK] },
  {
    name: 'leaves a POST alone by default',
    script: [NO, OK],
    asked: POST,
    methods: IDEMPOTENT_METHODS,
  },
  { name: 'retries a POST when told to', script: [NO, OK], asked: POST },
];

test.for(cases)('requests $name', ({ script, asked = GET, methods }, context) => {
  const program = needPython(context, 'urllib3');
  const wall = Kernel.EPOCH / 1000;
  const input = JSON.stringify({ script, method: asked.method, methods: methods ?? null, wall });
  const real = JSON.parse(execFileSync(program, ['-c', PYTHON], { input, encoding: 'utf8' })) as {
    atMs: number[];
    ends: string[];
  };
  const settings = { requests: { allowedMethods: methods ?? null } };
  const model = runModel('requests', script, [asked], { settings });
  expect({ atMs: model.atMs, ends: model.ends }).toEqual(real);
});

test('a naive loop reads nothing and stops for its deadline alone', () => {
  const script = [{ status: 429, fields: { 'retry-after': '60', 'x-should-retry': 'false' } }];
  const { atMs, outcomes } = runModel('naive', script, [GET], { deadlineAt: 3500 });
  expect(atMs).toEqual([0, 1000, 2000, 3000]);
  expect(outcomes[0]).toMatchObject({ end: 'lost', at: 3500, attempts: 4, lastStatus: 429 });
});

test('the others stop for it too, in the middle of a wait', () => {
  const script = [{ status: 429, fields: { 'retry-after': '30' } }];
  for (const kind of ['openai', 'requests'] as const) {
    const { outcomes } = runModel(kind, script, [GET], { deadlineAt: 40_000 });
    expect(outcomes[0]).toMatchObject({ end: 'lost', at: 40_000, attempts: 2 });
  }
  const { outcomes } = runModel('octokit', [{ status: 502 }], [GET], { deadlineAt: 2000 });
  expect(outcomes[0]).toMatchObject({ end: 'lost', at: 2000, attempts: 2 });
});

test('an aborted octokit request gives its place back', () => {
  // Ten hang in their retries until the deadline; the eleventh is sent when they are gone.
  const ten = new Array<Asked>(10).fill({ ...GET, deadlineAt: 500 });
  const { atMs, ends } = runModel(
    'octokit',
    [...ten.map(() => ({ status: 502 })), OK],
    [...ten, GET],
  );
  expect(atMs).toEqual([...ten.map(() => 0), 500]);
  expect(ends).toEqual([...ten.map(() => 'lost'), 'served']);
});

test('a deadline aborts the request that is under way', () => {
  for (const kind of ['openai', 'octokit', 'requests'] as const) {
    const kernel = new Kernel();
    let aborted = 0;
    const silent: Hop = { send: () => () => (aborted += 1) };
    const ends: string[] = [];
    makeClient(kind, kernel, new Middling(1), silent).submit(jobOf(1, GET, 1000), ({ end, at }) =>
      ends.push(`${end} at ${String(at)}`),
    );
    kernel.runUntil(5000);
    expect(aborted).toBe(1);
    expect(ends).toEqual(['lost at 1000']);
  }
});

test('what never answers is a broken connection after five minutes', () => {
  const kernel = new Kernel();
  const sentAt: number[] = [];
  const silent: Hop = { send: () => (sentAt.push(kernel.elapsed), () => undefined) };
  makeClient('openai', kernel, new Middling(1), silent).submit(jobOf(1, GET), () => undefined);
  kernel.runUntil(400_000);
  expect(sentAt).toEqual([0, 300_437.5]);
});

test('none tries once', () => {
  expect(runModel('none', [NO, OK], [GET])).toMatchObject({ atMs: [0], ends: ['lost'] });
  expect(runModel('none', [OK], [GET])).toMatchObject({ atMs: [0], ends: ['served'] });
});
