import type { ArrivedInput, IntentInput } from '../engine.ts';
import type { RequestHead } from '../head.ts';
import { decidedCount, requestId } from '../ledger/expand.ts';
import { FLAG_INTENT, type DecidedData } from '../ledger/layout.ts';
import type { Provider } from '../provider.ts';
import type { JsonObject } from '../units.ts';
import type { Arrivals, Considered } from './arrivals.ts';
import type { Core } from './engine.ts';
import { entryOf } from './entries.ts';

/** Answers "may I?" without sending anything: the same rules and pools, nothing set aside. */
export class Intents {
  private readonly core: Core;
  private readonly arrivals: Arrivals;

  constructor(core: Core, arrivals: Arrivals) {
    this.core = core;
    this.arrivals = arrivals;
  }

  /** @throws when the provider is unknown: the caller checks names first. */
  ask(input: IntentInput): void {
    const { core } = this;
    if (input.denied !== undefined) {
      this.deny(input, input.denied);
      return;
    }
    const provider = core.options.provider(input.provider ?? '');
    if (provider === undefined) throw new Error(`no provider \`${input.provider ?? ''}\``);
    const considered = this.arrivals.consider(asArrived(input, provider), false);
    this.arrivals.record(considered, input.at, FLAG_INTENT);
    const { judged, taken } = considered;
    const waitMs = judged.verdict === 'delay' ? (judged.waitMs ?? 1000) : 0;
    core.effects.push({
      type: 'answer',
      key: input.key,
      id: requestId(taken.request.seq),
      decision:
        judged.verdict === 'pass'
          ? 'approve'
          : judged.verdict === 'delay'
            ? 'approve_with_modifications'
            : 'deny_with_reason',
      waitMs,
      reason: judged.reason === '' ? null : judged.reason,
      evaluation: evaluationOf(considered, input),
    });
  }

  /** Unknown names never silently allow, and nothing can be asked about them. */
  private deny(input: IntentInput, answer: string): void {
    const { core } = this;
    const { agent, identity, workload, scope, at } = input;
    const code = 'RL_INVALID';
    // The names themselves are in the envelope alone.
    const reason = 'the identity or the provider it names is not known';
    const { maxWaitMs } = core.policy.defaults;
    const data: DecidedData = [
      'reject',
      code,
      reason,
      '',
      '',
      '',
      '',
      '',
      input.urgency,
      maxWaitMs,
      core.policy.hash,
      [],
      [],
      -1,
      null,
      null,
      FLAG_INTENT,
      null,
      [],
    ];
    const seq = core.state.nextSeq;
    const who = { agent, identity, workload, scope, provider: '' };
    core.record(entryOf('decided', seq, decidedCount(data), at.wall, seq, who, [], data));
    core.effects.push({
      type: 'answer',
      key: input.key,
      id: requestId(seq),
      decision: 'deny_with_reason',
      waitMs: 0,
      reason: answer,
      evaluation: { code },
    });
  }
}

/** The request that the intent stands for: the provider's plainest one of its kind. */
function asArrived(input: IntentInput, provider: Provider): ArrivedInput {
  const sample = provider.sample?.(input.scope) ?? { method: 'GET', path: '/', body: undefined };
  const head: RequestHead = {
    method: sample.method,
    scheme: 'https',
    host: hostOf(provider.origin),
    port: 443,
    path: sample.path,
    fields: [],
    contentLength: sample.body?.length ?? 0,
    way: 'passive',
    upgrade: false,
  };
  const cost = input.expectedCost;
  return {
    type: 'arrived',
    at: input.at,
    key: input.key,
    head,
    provider: provider.id,
    body: sample.body,
    credential: `identity:${input.identity}`,
    agent: input.agent,
    workload: input.workload,
    asked: {
      priority: input.urgency,
      maxWaitMs: null,
      scope: input.scope,
      estimate: cost === null ? null : { tokens: cost, requests: cost, points: cost },
    },
  };
}

/** `https://host[:port]/…` → host; the core has no URL parser. */
function hostOf(origin: string): string {
  return /^[a-z]+:\/\/(\[[^\]]*\]|[^/:]*)/i.exec(origin)?.[1] ?? '';
}

function evaluationOf(considered: Considered, input: IntentInput): JsonObject {
  const { judged, taken, rules } = considered;
  return {
    code: judged.code === '' ? null : judged.code,
    rules: rules.map((rule) => ({ rule: rule.rule, effect: rule.effect, detail: rule.detail })),
    pools: taken.request.draws.map(({ pool, units }) => {
      const figures = pool.figures(input.at.wall);
      return {
        pool: pool.id,
        units,
        limit: figures.limit,
        remaining: figures.remaining,
        reserved: figures.reserved,
      };
    }),
    retry_in_ms: judged.retryInMs,
    expected_wait_ms: judged.waitMs,
  };
}
