import FakeTimers, { type Clock } from '@sinonjs/fake-timers';
import OpenAI from 'openai';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Kernel } from '../../src/sim/kernel.ts';
import { scriptedFetch } from './clients-fetch.ts';
import { OK, runModel, type Answer, type Course } from './clients-support.ts';

let clock: Clock;
beforeEach(() => {
  clock = FakeTimers.install({ now: Kernel.EPOCH, toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
});
afterEach(() => clock.uninstall());

async function runReal(script: readonly Answer[], maxRetries?: number): Promise<Course> {
  const { fetch, atMs } = scriptedFetch(script, () => Date.now());
  const sdk = new OpenAI({
    apiKey: 'key',
    fetch,
    logLevel: 'off',
    ...(maxRetries === undefined ? {} : { maxRetries }),
  });
  const ends: ('served' | 'lost')[] = [];
  void sdk.models.list().then(
    () => ends.push('served'),
    () => ends.push('lost'),
  );
  await clock.tickAsync(300_000);
  return { atMs, ends };
}

function told(status: number, fields: Readonly<Record<string, string>>): Answer {
  return { status, fields };
}

const cases: readonly (readonly [string, readonly Answer[], number?])[] = [
  ['serves at once', [OK]],
  ['backs off twice, then gives up', [told(429, {})]],
  ['doubles up to eight seconds', [told(500, {})], 7],
  ['takes retry-after in seconds', [told(429, { 'retry-after': '7' }), OK]],
  ['takes retry-after with a fraction', [told(429, { 'retry-after': '1.5' }), OK]],
  [
    'lets retry-after-ms outrank it',
    [told(429, { 'retry-after-ms': '250', 'retry-after': '7' }), OK],
  ],
  ['takes up to 60 s', [told(429, { 'retry-after': '60' }), OK]],
  ['takes no more than 60 s', [told(429, { 'retry-after': '61' }), OK]],
  ['takes a wait of nothing', [told(429, { 'retry-after': '0' }), OK]],
  ['takes a date', [told(503, { 'retry-after': 'Mon, 05 Jan 2026 00:00:20 GMT' }), OK]],
  [
    'takes no date that has passed',
    [told(503, { 'retry-after': 'Mon, 01 Jan 2024 00:00:20 GMT' }), OK],
  ],
  ['takes no nonsense', [told(429, { 'retry-after': 'soon', 'retry-after-ms': 'now' }), OK]],
  ['obeys x-should-retry: false', [told(429, { 'x-should-retry': 'false', 'retry-after': '1' })]],
  ['obeys x-should-retry: true', [told(400, { 'x-should-retry': 'true' }), OK]],
  ['retries 408, 409', [told(408, {}), told(409, {}), OK]],
  ['never retries a 403', [told(403, { 'retry-after': '1' }), OK]],
  ['retries a broken connection', [{ status: 0 }, { status: 0 }, { status: 0 }]],
];

test.each(cases.map(([name, script, maxRetries]) => ({ name, script, maxRetries })))(
  '$name',
  async ({ script, maxRetries }) => {
    const real = await runReal(script, maxRetries);
    const settings = maxRetries === undefined ? {} : { maxRetries };
    const model = runModel('openai', script, [{ method: 'GET', path: '/v1/models' }], { settings });
    expect(model.ends).toEqual(real.ends);
    expect(real.ends).toHaveLength(1);
    expect(model.atMs).toHaveLength(real.atMs.length);
    model.atMs.forEach((at, i) => expect(Math.abs(at - (real.atMs[i] ?? NaN))).toBeLessThan(5));
  },
);

test('what chance takes away of a backoff is a quarter at most', () => {
  const [, second = 0] = runModel('openai', [told(429, {})], [{ method: 'GET', path: '/' }]).atMs;
  expect(second).toBe(500 * (1 - 0.5 * 0.25));
});
