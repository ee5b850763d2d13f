/** The ledger of a daemon, decided again by another policy, while it runs and afterwards. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ReplayReport } from '../../src/core/replay-report.ts';
import { configFor } from './configs.ts';
import { githubOrigin } from './github-origin.ts';
import { cleanUp, startDaemon, type Finished, type TestDaemon } from './harness.ts';

const SAME = 'version: 1\n';
const STRICT = `version: 1
limits:
  - { id: three-each, per: [agent], quota: 3 requests / 1h }
`;

let daemon: TestDaemon;
let ids: string[];

beforeAll(async () => {
  const github = await githubOrigin({ limit: 8, windowMs: 2_000 });
  daemon = await startDaemon({ config: configFor({ github }), policy: SAME });
  const send = async (agent: string, maxWait: string) => {
    const headers = { authorization: 'Bearer ghp_replayed', 'x-ratelord-max-wait': maxWait };
    const answer = await daemon.send(`/@${agent}/github/user`, { headers });
    return answer.field('x-ratelord-id');
  };
  ids = [];
  for (let i = 0; i < 5; i++) ids.push(await send('first', '30'));
  // Beyond the window: some wait, and some do not want to.
  ids.push(...(await Promise.all([0, 1, 2, 3].map(() => send('second', '30')))));
  ids.push(...(await Promise.all([0, 1].map(() => send('third', '0')))));
});
afterAll(cleanUp);

function policyFile(name: string, text: string): string {
  const path = join(daemon.home, name);
  writeFileSync(path, text);
  return path;
}

async function replayed(policy: string, ...more: string[]): Promise<ReplayReport> {
  // As the daemon was told on its own command line.
  const env = { RATELORD_POLICY: daemon.policyFile };
  const ended = await daemon.cli(['replay', '--policy', policy, '--json', ...more], env);
  expect([ended.code, ended.stderr]).toEqual([0, '']);
  return JSON.parse(ended.stdout) as ReplayReport;
}

function expectSame(report: ReplayReport): void {
  expect(report.differences).toEqual([]);
  expect(report).toMatchObject({ requests: 11, same: 11, different: 0, diverges_at: null });
  expect(report.recorded_policy_known).toBe(true);
  expect(report.delayed.before).toBeGreaterThan(0);
  for (const both of [report.passed, report.delayed, report.refused, report.unserved]) {
    expect(both.after).toBe(both.before);
  }
}

function expectStrict(report: ReplayReport): void {
  const refused = report.differences.filter(({ after }) => after.decision === 'reject');
  // The fourth and fifth of one agent, the fourth of another: an hour is longer than they wait.
  expect(refused.map(({ id }) => id)).toEqual(expect.arrayContaining([ids[3], ids[4]]));
  expect(report.differences.find(({ id }) => id === ids[3])).toMatchObject({
    agent: 'first',
    before: { decision: 'pass', code: null, waited_ms: 0 },
    after: { decision: 'reject', code: 'RL_QUOTA' },
    why: expect.stringContaining('three-each') as string,
  });
  expect(report.diverges_at).toMatchObject({ id: ids[3] });
  expect(report.refused.after).toBeGreaterThanOrEqual(report.refused.before + 2);
}

test('by the same policy nothing differs, while the daemon runs', async () => {
  expectSame(await replayed(policyFile('same.yaml', SAME)));
});

test('the policy that is tried is known to be that of then, when it is', async () => {
  const ended = await daemon.cli(['replay', '--policy', policyFile('same.yaml', SAME)]);
  expect([ended.code, ended.stdout]).toEqual([0, expect.stringContaining('All of it is record')]);
  expect(ended.stdout).not.toContain('taken as recorded');
});

test('by a stricter one it refuses who asked too much, and says from where on it is simulation', async () => {
  expectStrict(await replayed(policyFile('strict.yaml', STRICT)));
});

test('a table for people', async () => {
  const ended = await daemon.cli(['replay', '--policy', policyFile('strict.yaml', STRICT)]);
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(/^11 requests from /);
  expect(ended.stdout).toMatch(/Record until .*simulation/);
  expect(ended.stdout).toMatch(/REQUESTS +RECORDED +REPLAYED/);
  expect(ended.stdout).toContain(`${String(ids[3])} `);
});

test('what cannot be replayed ends with 1', async () => {
  const wrong = async (args: readonly string[]): Promise<Finished> => {
    const ended = await daemon.cli(['replay', ...args]);
    expect([ended.code, ended.stdout]).toEqual([1, '']);
    return ended;
  };
  const same = policyFile('same.yaml', SAME);
  const broken = policyFile('broken.yaml', 'version: 1\nlimit: []\n');
  expect((await wrong(['--policy', broken])).stderr).toContain('limit');
  expect((await wrong(['--policy', same, '--until', '2001-01-01T00:00:00Z'])).stderr).toContain(
    'nothing to replay',
  );
  expect((await wrong(['--policy', same, '--since', 'yesterday'])).stderr).toContain('--since');
});

test('and when the daemon has stopped', async () => {
  await daemon.stop();
  expectSame(await replayed(policyFile('same.yaml', SAME)));
  expect((await replayed(policyFile('same.yaml', SAME), '--since', '1h')).requests).toBe(11);
  expectStrict(await replayed(policyFile('strict.yaml', STRICT)));
});
