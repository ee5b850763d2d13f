/** Who matters more finds something left, and nobody pays for it where nobody like that ever came. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { configFor } from './configs.ts';
import { cleanUp, startDaemon, type TestDaemon } from './harness.ts';
import { ietfOrigin } from './ietf-origin.ts';
import type { Answer } from './wire.ts';

const WINDOW_MS = 3000;
const POLICY = `version: 1
defaults: { max_wait: 20s }
limits:
  - { id: hourly, match: { path: "/hourly/*" }, quota: 60 requests / 1h, window: fixed }
  - { id: alone, match: { path: "/alone/*" }, quota: 60 requests / 1h, window: fixed }
  - { id: short, match: { path: "/short/*" }, quota: 40 requests / ${String(WINDOW_MS)}ms, window: fixed }
`;

let daemon: TestDaemon;

beforeAll(async () => {
  const acme = await ietfOrigin({ limit: 100_000, windowS: 3_600 });
  daemon = await startDaemon({ config: configFor({ acme }), policy: POLICY });
  // Until it has told its own limit nobody floods an origin.
  await daemon.send('/acme/known');
});
afterAll(cleanUp);

function ask(path: string, priority: string, maxWait: string): Promise<Answer> {
  const headers = { 'x-ratelord-priority': priority, 'x-ratelord-max-wait': maxWait };
  return daemon.send(`/@${priority}/acme/${path}`, { headers });
}

function flood(path: string, count: number, maxWait: string): Promise<Answer>[] {
  return Array.from({ length: count }, () => ask(path, 'background', maxWait));
}

async function inTurn(path: string, count: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let i = 0; i < count; i++) answers.push(await ask(path, 'high', '20'));
  return answers;
}

const decisions = (answers: readonly Answer[]) =>
  answers.map((answer) => answer.field('x-ratelord-decision'));

test('without a higher class before, nothing is kept for it', async () => {
  const answers = await Promise.all(flood('alone/x', 60, '0'));
  expect(decisions(answers)).toEqual(Array.from({ length: 60 }, () => 'pass'));
});

test('a background flood leaves what high ones are expected to ask', async () => {
  await inTurn('hourly/x', 20);
  const refused = (await Promise.all(flood('hourly/x', 50, '0'))).filter(
    (answer) => answer.status === 429,
  );
  expect(refused.length).toBeGreaterThan(40);
  expect(refused[0]?.text).toMatch(
    /kept for `high`: \d+ of 60, forecast \d+ ± \d+ until reset; next slot in /,
  );
  expect(Number(refused[0]?.field('retry-after'))).toBeGreaterThan(0);
  expect(decisions(await inTurn('hourly/x', 25))).toEqual(Array.from({ length: 25 }, () => 'pass'));
});

test('background waits its turn, and high ones are served at once meanwhile', async () => {
  // Windows are aligned to the clock: what is kept for those who come late in one is given away.
  await new Promise((resolve) => setTimeout(resolve, WINDOW_MS - (Date.now() % WINDOW_MS)));
  await inTurn('short/x', 10);
  const waiting = flood('short/x', 60, '20');
  const [first] = await Promise.all([Promise.race(waiting), inTurn('short/x', 8)]);
  expect(first.status).toBe(200);
  for (const answer of await inTurn('short/x', 5)) {
    expect(answer.status, answer.text).toBe(200);
    expect(Number(answer.field('x-ratelord-waited-ms'))).toBeLessThan(100);
  }
  const served = await Promise.all(waiting);
  expect(served.map((answer) => answer.status)).toEqual(Array.from({ length: 60 }, () => 200));
  // Paced: most of them were held back, none beyond a few windows.
  const waits = served.map((answer) => Number(answer.field('x-ratelord-waited-ms')));
  expect(waits.filter((wait) => wait > 100).length).toBeGreaterThan(30);
  expect(Math.max(...waits)).toBeLessThan(4 * WINDOW_MS);
});
