/** What a provider called too large for its quota is not sent again. */
import { describe, expect, it } from 'vitest';
import { createProviders } from '../../providers/index.ts';
import type { Effect } from '../../src/core/engine.ts';
import { Governor } from '../../src/core/governor/engine.ts';
import { EMPTY_POLICY } from './world.ts';

const LIMIT = 100_000;
const T0 = 1_700_000_000_000;

describe('a request that is too large for its quota', () => {
  const [openai] = createProviders({ github: {}, openai: {}, generic: [] }).filter(
    ({ id }) => id === 'openai',
  );
  if (openai === undefined) throw new Error('no adapter');
  const adapter = openai;

  function told(remaining: number): string[] {
    return [
      ...['x-ratelimit-limit-tokens', String(LIMIT)],
      ...['x-ratelimit-remaining-tokens', String(remaining)],
    ];
  }

  class OpenaiWorld {
    now = { wall: T0, mono: 1000 };
    key = 0;
    readonly governor = new Governor({
      provider: () => adapter,
      policy: EMPTY_POLICY,
      mode: () => 'enforce',
      identify: () => ({ id: 'key', kind: 'seen' }),
    });

    pass(ms: number): void {
      this.now = { wall: this.now.wall + ms, mono: this.now.mono + ms };
    }

    ask(maxTokens: number): Exclude<Effect, { type: 'append' }>[] {
      const body = JSON.stringify({ model: 'm', messages: [], max_tokens: maxTokens });
      const effects = this.governor.step({
        type: 'arrived',
        at: this.now,
        key: ++this.key,
        head: {
          ...{ method: 'POST', scheme: 'https', host: 'api.openai.com', port: 443 },
          ...{ path: '/v1/chat/completions', fields: [], contentLength: body.length },
          ...{ way: 'forward', upgrade: false },
        },
        provider: 'openai',
        body,
        credential: 'k',
        agent: 'a',
        workload: 'w',
        asked: { priority: null, maxWaitMs: 60_000, scope: null, estimate: null },
        replayable: true,
      });
      return [...effects].filter((effect) => effect.type !== 'append');
    }

    answer(fields: readonly string[], status = 200, message = ''): void {
      const { governor, now: at, key } = this;
      const head = { status, fields, date: null };
      governor.step({ type: 'head', at, key, head });
      const claim = adapter.classify(
        {
          ...{ method: 'POST', scheme: 'https', host: 'api.openai.com', port: 443 },
          ...{ path: '/v1/chat/completions', fields: [], contentLength: 0 },
          ...{ way: 'forward', upgrade: false },
        },
        '{"model":"m"}',
        governor.state,
      );
      const tap = message === '' ? null : adapter.responseTap(head, claim);
      if (tap !== null) {
        const error = { message, type: 'tokens', code: 'rate_limit_exceeded' };
        tap.write(JSON.stringify({ error }));
        const { observations, usage } = tap.end(true);
        governor.step({ type: 'tapped', at, key, observations, usage });
      }
      governor.step({ type: 'ended', at, key, ending: 'complete', bytesUp: 0, bytesDown: 0 });
    }
  }

  const TOO_LARGE =
    'Request too large for m in organization o on tokens per min (TPM): Limit 100000, Requested 120003.';

  function taught(): OpenaiWorld {
    const world = new OpenaiWorld();
    world.ask(10);
    world.answer(told(LIMIT - 13));
    world.pass(1000);
    expect(world.ask(120_000)).toMatchObject([{ type: 'forward' }]);
    world.answer(told(LIMIT), 429, TOO_LARGE);
    world.pass(1000);
    return world;
  }

  it('is refused at once the next time, and not to be retried', () => {
    const world = taught();
    const [effect] = world.ask(120_000);
    expect(effect).toMatchObject({
      type: 'respond',
      refusal: { code: 'RL_TOO_LARGE', retryInMs: null },
    });
    if (effect?.type !== 'respond') throw new Error('it was sent');
    expect(effect.refusal.reason).toContain('too large');
    const { fields } = adapter.problem(effect.refusal);
    const at = fields.findIndex((name) => name.toLowerCase() === 'x-should-retry');
    expect(fields[at + 1]).toBe('false');
  });

  it('says nothing of smaller ones, nor of the same after a day or with another limit', () => {
    const world = taught();
    expect(world.ask(110_000)).toMatchObject([{ type: 'forward' }]);
    world.answer(told(0));
    world.pass(25 * 3_600_000);
    expect(world.ask(120_000)).toMatchObject([{ type: 'respond' }]);
    world.pass(1000);
    expect(world.ask(120_000)).toMatchObject([{ type: 'forward' }]);
    const other = taught();
    other.ask(10);
    other.answer(['x-ratelimit-limit-tokens', '119000', 'x-ratelimit-remaining-tokens', '118987']);
    other.pass(1000);
    expect(other.ask(120_000)).toMatchObject([{ type: 'forward' }]);
  });
});
