/** The hop that is ratelord: what the engine decides is done, and nothing else. */
import { describe, expect, it } from 'vitest';
import { createProviders } from '../../providers/index.ts';
import type { Entry } from '../../src/core/ledger/entry.ts';
import { GovernedHop, type Decided } from '../../src/sim/governed.ts';
import type { SimResponse } from '../../src/sim/types.ts';
import { GithubRules } from '../../src/sim/upstream/github.ts';
import type { OriginOptions } from '../../src/sim/upstream/origin.ts';
import { EMPTY_POLICY } from '../core/world.ts';
import { named, request, world } from './upstream-kit.ts';

function governed(rules: GithubRules, more: Partial<OriginOptions> = {}) {
  const { kernel, origin } = world(rules, more);
  const entries: Entry[] = [];
  const decided: Decided[] = [];
  const hop = new GovernedHop({
    kernel,
    policy: EMPTY_POLICY,
    providers: createProviders(),
    upstream: () => origin,
    clientDelay: () => 1,
    sink: (entry) => entries.push(entry),
    watch: (one) => decided.push(one),
  });
  const answers: SimResponse[] = [];
  const send = (job: Parameters<typeof request>[0] = {}) =>
    hop.send(request(job), (response) => answers.push(response));
  const kinds = () => entries.map(({ kind }) => kind);
  return { kernel, origin, hop, send, answers, kinds, decided };
}

describe('the governed hop', () => {
  it('sends on what passes, and tells the engine how it went', () => {
    const { kernel, send, answers, kinds, hop } = governed(new GithubRules());
    send();
    expect(answers).toEqual([]);
    kernel.runUntil(1000);
    expect(answers).toMatchObject([{ status: 200, by: 'origin' }]);
    expect(kinds()).toEqual(['decided', 'observed', 'ended']);
    expect(hop.totals).toMatchObject({ arrived: 1, passed: 1, refused: 0 });
    const [pool] = [...hop.governor.state.pools.values()].filter(
      ({ spec }) => spec.name === 'core',
    );
    expect(pool?.figures(kernel.now().wall)).toMatchObject({ limit: 5000, used: 1 });
  });

  it('refuses in the shape of the provider, without a call upstream', () => {
    const { kernel, origin, send, answers, decided } = governed(new GithubRules({ core: 1 }));
    send();
    kernel.runUntil(1000);
    send({ maxWaitMs: 0 });
    kernel.runUntil(2000);
    const refusal = answers[1] as SimResponse;
    expect(refusal).toMatchObject({ status: 403, by: 'governor' });
    expect(Number(named(refusal, 'retry-after'))).toBeGreaterThan(3500);
    expect(origin.calls).toHaveLength(1);
    expect(decided.map(({ decision, code }) => [decision, code])).toEqual([
      ['pass', ''],
      ['reject', 'RL_QUOTA'],
    ]);
  });

  it('wakes whoever waits by itself', () => {
    const { kernel, origin, send, answers, hop } = governed(new GithubRules({ core: 1 }));
    send();
    kernel.runUntil(1000);
    send({ maxWaitMs: 7_200_000 });
    kernel.runUntil(3_500_000);
    expect(answers).toHaveLength(1);
    kernel.runUntil(3_610_000);
    expect(answers).toHaveLength(2);
    expect(origin.calls.map(({ refused }) => refused)).toEqual([false, false]);
    expect(hop.totals).toMatchObject({ passed: 1, delayed: 1 });
  });

  it('sends again what was refused upstream, and shows the client only the end', () => {
    const hidden = [{ name: 'h', limit: 1, windowMs: 1000, writes: false }];
    const { kernel, origin, send, answers, hop } = governed(
      new GithubRules({ hidden, retryAfterMs: 5000 }),
    );
    send();
    send();
    kernel.runUntil(30_000);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(origin.calls.map(({ status }) => status)).toEqual([200, 403, 200]);
    expect((origin.calls[2]?.at ?? 0) - (origin.calls[1]?.at ?? 0)).toBeGreaterThanOrEqual(5000);
    expect(hop.totals.retried).toBe(1);
  });

  it('lets go of a client that leaves, waiting or not', () => {
    const { kernel, send, answers, hop, kinds } = governed(new GithubRules({ core: 1 }));
    const early = send();
    early();
    const flying = send();
    kernel.runUntil(20);
    flying();
    kernel.runUntil(1000);
    send();
    kernel.runUntil(2000);
    send({ maxWaitMs: 7_200_000 })();
    const waiting = send({ maxWaitMs: 7_200_000 });
    kernel.runUntil(3000);
    waiting();
    kernel.runUntil(8_000_000);
    expect(answers).toHaveLength(1);
    expect(hop.totals.gone).toBe(2);
    expect(hop.governor.live.size).toBe(0);
    expect(kinds().filter((kind) => kind === 'ended')).toHaveLength(3);
  });

  it('answers 502 when the origin breaks off', () => {
    const { kernel, send, answers } = governed(new GithubRules(), {
      failures: [{ from: 0, until: 1000, share: 1, charged: true, kind: 'reset' }],
    });
    send();
    kernel.runUntil(1000);
    expect(answers).toMatchObject([{ status: 502, by: 'governor' }]);
  });
});
