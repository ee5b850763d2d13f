/** The process is killed in the middle of work: what was answered stays known. */
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { providersOf } from '../../src/compose/providers.ts';
import { systemClock } from '../../src/compose/clock.ts';
import { restoreState } from '../../src/compose/ledger.ts';
import { loadSettings } from '../../src/config/config.ts';
import { Governor } from '../../src/core/governor/engine.ts';
import { loadPolicy } from '../../src/config/policy/load.ts';
import { createEngineView } from '../../src/query/engine-view.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { asOpenai, chat, configFor } from './configs.ts';
import { githubOrigin } from './github-origin.ts';
import { cleanUp, eventually, startDaemon, type Item, type TestDaemon } from './harness.ts';
import { openaiOrigin } from './openai-origin.ts';

afterAll(cleanUp);

/** Committed at most this long after the answer. */
const BEHIND_MS = 50;

interface Answered {
  readonly id: string;
  readonly at: number;
}

/** Keeps a few requests under way until `until`, or until the daemon is gone. */
async function load(
  daemon: TestDaemon,
  until: () => boolean,
  answered: Answered[] = [],
): Promise<Answered[]> {
  const worker = async (n: number): Promise<void> => {
    for (let i = 0; !until(); i++) {
      const github = { authorization: `Bearer ghp_worker${String((n + i) % 3)}` };
      try {
        const answer =
          n % 2 === 0
            ? await daemon.send(`/@w${String(n)}/github/repos/a/b${String(i)}`, { headers: github })
            : await daemon.send(`/@w${String(n)}/openai/v1/chat/completions`, {
                method: 'POST',
                headers: asOpenai,
                body: chat(),
              });
        answered.push({ id: answer.field('x-ratelord-id'), at: performance.now() });
      } catch {
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: 6 }, (_, n) => worker(n)));
  return answered;
}

/** What a restart must not change; time goes on for those that refill. */
function lasting(pools: readonly Item[]): unknown[] {
  return pools
    .map(({ id, provider, pool, identity, model, unit, kind, limit, ...rest }) => ({
      id,
      provider,
      pool,
      identity,
      model,
      unit,
      kind,
      limit,
      reserved: rest['reserved'],
      reset_at: kind === 'fixed' ? rest['reset_at'] : null,
      used: kind === 'fixed' ? rest['used'] : null,
      remaining: kind === 'fixed' ? rest['remaining'] : null,
      window_s: rest['window_s'],
      observed_at: rest['observed_at'],
      source: rest['source'],
    }))
    .sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
}

/** The same pools out of nothing but the ledger on disk. */
function foldOf(daemon: TestDaemon): readonly Item[] {
  const settings = loadSettings({
    flags: { config: daemon.configFile, policy: daemon.policyFile, data: daemon.dataDir },
    env: {},
    cwd: daemon.home,
    home: daemon.home,
    platform: process.platform,
  });
  if (!settings.ok) throw new Error('the settings of the daemon are refused');
  const policy = loadPolicy(daemon.policyFile, { providers: ['github', 'openai'] });
  if (!policy.ok) throw new Error('the policy of the daemon is refused');
  const clock = systemClock();
  const opened = openSqliteStore({ path: join(daemon.dataDir, 'ledger.db'), clock });
  if (!opened.ok) throw new Error(opened.message);
  try {
    const { store } = opened;
    // Without its snapshot: every entry from the first on.
    const bare = {
      loadSnapshot: () => null,
      replay: store.replay.bind(store),
      read: store.read.bind(store),
      flush: () => store.flush(),
      stats: () => store.stats(),
    };
    const providers = new Map(providersOf(settings.config).map((one) => [one.id, one]));
    const { state } = restoreState(bare as unknown as typeof store, Date.now());
    const governor = new Governor(
      {
        provider: (id) => providers.get(id),
        policy: policy.policy,
        mode: () => 'enforce',
        identify: (_provider, credential) => ({ id: credential, kind: 'seen' }),
      },
      state,
    );
    const view = createEngineView({
      governor,
      now: () => Date.now(),
      hosts: new Map(),
      skew: () => null,
      identities: () => [],
      policy: () => {
        throw new Error('nobody asks');
      },
    });
    return view.pools() as unknown as readonly Item[];
  } finally {
    opened.store.close();
  }
}

async function world(): Promise<TestDaemon> {
  const [github, openai] = await Promise.all([
    githubOrigin({ limit: 1_000_000, windowMs: 3_600_000 }),
    openaiOrigin({ requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000 }),
  ]);
  return startDaemon({ config: configFor({ github, openai }) });
}

async function nothingUnderWay(daemon: TestDaemon): Promise<void> {
  await eventually(
    async () => (await daemon.api('/v1/health')).json() as { in_flight: number },
    (health) => health.in_flight === 0,
  );
}

describe.concurrent('SIGKILL', () => {
  test('at rest: the pools are the same after the restart, and a fold of the ledger', async () => {
    const daemon = await world();
    // A busy machine answers less in that time: until there is something to compare, at any rate.
    const until = performance.now() + 700;
    const soFar: Answered[] = [];
    await load(daemon, () => performance.now() > until && soFar.length > 20, soFar);
    expect(soFar.length).toBeGreaterThan(20);
    await nothingUnderWay(daemon);
    const before = lasting(await daemon.items('/v1/pools'));
    expect(before.length).toBeGreaterThan(4);
    await new Promise((resolve) => setTimeout(resolve, BEHIND_MS));
    expect((await daemon.stop('SIGKILL')).signal).toBe('SIGKILL');
    expect(lasting(foldOf(daemon))).toEqual(before);
    const again = await startDaemon({ home: daemon.home });
    expect(lasting(await again.items('/v1/pools'))).toEqual(before);
    // From the snapshot that a clean stop leaves it is the same once more.
    expect((await again.stop()).code).toBe(0);
    const third = await startDaemon({ home: daemon.home });
    expect(lasting(await third.items('/v1/pools'))).toEqual(before);
  });

  test('a quota that was spent before is still spent', async () => {
    const github = await githubOrigin({ limit: 2, windowMs: 3_600_000 });
    const daemon = await startDaemon({ config: configFor({ github }) });
    const send = (to: TestDaemon) =>
      to.send('/github/user', {
        headers: { authorization: 'Bearer ghp_spent', 'x-ratelord-max-wait': '0' },
      });
    for (const status of [200, 200, 403]) expect((await send(daemon)).status).toBe(status);
    const identities = await daemon.items('/v1/identities');
    expect(identities).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, BEHIND_MS));
    await daemon.stop('SIGKILL');
    const again = await startDaemon({ home: daemon.home });
    expect(await again.items('/v1/identities')).toEqual(identities);
    const answer = await send(again);
    expect(answer.field('x-ratelord-decision')).toBe('reject');
    expect(github.seen).toHaveLength(2);
  });

  test('at random moments under load: what was answered 50 ms before is in the ledger', async () => {
    let daemon = await world();
    for (let round = 0; round < 3; round++) {
      let over = false;
      const soFar: Answered[] = [];
      const working = load(daemon, () => over, soFar);
      // A busy machine may take its time over the first answer.
      do await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 350));
      while (soFar.length === 0 || performance.now() - (soFar[0]?.at ?? 0) < 2 * BEHIND_MS);
      const killedAt = performance.now();
      await daemon.stop('SIGKILL');
      over = true;
      const answered = await working;
      const due = answered.filter(({ at }) => at < killedAt - BEHIND_MS);
      expect(due.length).toBeGreaterThan(0);
      daemon = await startDaemon({ home: daemon.home });
      const known = new Set<unknown>();
      for (let after = 0; ;) {
        const page = await daemon.items(
          `/v1/events?type=intent_decided&limit=1000&after=${String(after)}`,
        );
        if (page.length === 0) break;
        for (const event of page) known.add(event['correlation_id']);
        after = Number(page.at(-1)?.['seq']);
      }
      expect(due.filter(({ id }) => !known.has(id))).toEqual([]);
      // Whatever was under way holds nothing any more.
      for (const pool of await daemon.items('/v1/pools')) expect(pool['reserved']).toBe(0);
    }
    expect((await daemon.stop()).code).toBe(0);
  });
});
