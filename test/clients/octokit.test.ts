/** The octokit package, through both ways in; and what it does with a refusal of ours. */
import { Octokit, RequestError } from 'octokit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanUp } from '../daemon/harness.ts';
import { clientWorld, decisionsOf, type ClientWorld } from './world.ts';

let world: ClientWorld;

beforeAll(async () => {
  world = await clientWorld({ github: { limit: 8, windowMs: 2_000 } });
});
afterAll(cleanUp);

const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

interface Told {
  readonly retryAfter: number;
  readonly url: string;
}

/** `told` gets what its throttling plugin recognised as a spent quota. */
function client(agent: string, told: Told[], retry: boolean, of = world): Octokit {
  const baseUrl = `${of.daemon.proxy}/@${agent}/github`;
  const seen = (retryAfter: number, options: { readonly url?: unknown }): boolean => {
    told.push({ retryAfter, url: String(options.url) });
    return retry;
  };
  return new Octokit({
    auth: `ghp_${agent}`,
    baseUrl,
    log: quiet,
    throttle: { onRateLimit: seen, onSecondaryRateLimit: () => false },
  });
}

describe('by base URL', () => {
  test('follows the pages through the gateway', async () => {
    const octokit = client('pager', [], false);
    const issues = await octokit.paginate(octokit.rest.issues.listForRepo, {
      owner: 'a',
      repo: 'b',
      per_page: 2,
    });
    expect(issues.map((issue) => issue.number)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await decisionsOf(world.daemon, 'pager')).toHaveLength(3);
  });

  test('GraphQL', async () => {
    const octokit = client('graphql', [], false);
    const answer = await octokit.graphql('query { viewer { login } }');
    expect(answer).toEqual({ viewer: { login: 'octocat' } });
    const pools = await world.daemon.items('/v1/pools?pool=graphql');
    expect(pools.some((pool) => pool['unit'] === 'points' && pool['used'] === 1)).toBe(true);
  });
});

describe('refused by us', () => {
  const never = { 'x-ratelord-max-wait': '0' };
  const spend = async (octokit: Octokit): Promise<void> => {
    for (let i = 0; i < 8; i++) await octokit.request('GET /user');
  };

  test('a RequestError with GitHub’s own message and fields', async () => {
    const told: Told[] = [];
    const octokit = client('refused', told, false);
    await spend(octokit);
    const error = await octokit.request('GET /user', { headers: never }).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(RequestError);
    const refused = error as RequestError;
    expect(refused.status).toBe(403);
    expect(refused.message).toMatch(/^API rate limit exceeded/);
    expect(refused.response?.headers['x-ratelimit-remaining']).toBe('0');
    expect(refused.response?.headers['x-ratelord-decision']).toBe('reject');
    // Its throttling plugin took it for what it is.
    expect(told).toHaveLength(1);
    expect(told[0]?.retryAfter).toBeGreaterThanOrEqual(1);
  });

  test('it waits as its throttling plugin is told, and then passes', async () => {
    const told: Told[] = [];
    const octokit = client('patient', told, true);
    await spend(octokit);
    const answer = await octokit.request('GET /user', { headers: never });
    expect(answer.status).toBe(200);
    expect(told).toHaveLength(1);
    expect(world.github.refused).toBe(0);
    const decisions = await decisionsOf(world.daemon, 'patient');
    expect(decisions.slice(-2)).toEqual(['reject', 'pass']);
  });

  test('GraphQL: the plugin knows it too', async () => {
    const told: Told[] = [];
    const own = await clientWorld({ github: { limit: 1, windowMs: 3_600_000 } });
    const octokit = client('graphql-refused', told, false, own);
    await octokit.graphql('query { viewer { login } }');
    const refused = octokit.graphql('query { viewer { login } }', { headers: never });
    await expect(refused).rejects.toThrow(/rate limit exceeded/i);
    expect(told).toHaveLength(1);
    expect(own.github.refused).toBe(0);
  });
});

test('under `ratelord run`, with no line changed', async () => {
  const script = `
import { Octokit } from 'octokit';
const octokit = new Octokit({ auth: 'ghp_run' });
const issues = await octokit.paginate('GET /repos/a/b/issues', { per_page: 2 });
console.log(JSON.stringify(issues.map((issue) => issue.number)));`;
  const shell = `cd '${process.cwd()}' && exec "$0" --input-type=module -e "$1"`;
  const told = await world.daemon.run(['sh', '-c', shell, process.execPath, script], 'octokit-run');
  expect(told.stderr).toBe('');
  expect(JSON.parse(told.stdout)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await decisionsOf(world.daemon, 'octokit-run')).toHaveLength(3);
});
