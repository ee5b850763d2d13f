/** One script of answers, told to a model client and to the library that it stands for. */
import { Kernel } from '../../src/sim/kernel.ts';
import { Random } from '../../src/sim/random.ts';
import { makeClient, type ClientKind, type ClientSettings } from '../../src/sim/clients/index.ts';
import type { Hop, Job, Outcome, SimResponse } from '../../src/sim/types.ts';

export interface Answer {
  /** 0 = the connection breaks. */
  readonly status: number;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly deadlineAt?: number;
}

/** What came of it: when each attempt was made, from the first submission on, and the ends. */
export interface Course {
  readonly atMs: readonly number[];
  readonly ends: readonly ('served' | 'lost')[];
}

export const OK: Answer = { status: 200, body: {} };

export function textOf(answer: Answer): string {
  return JSON.stringify(answer.body ?? { message: 'no' });
}

/** Chance that always comes out in the middle, for both sides. */
export class Middling extends Random {
  override next(): number {
    return 0.5;
  }
}

export function jobOf(id: number, asked: Asked, deadlineAt = Infinity): Job {
  return {
    id,
    agent: 'a',
    identity: 'key',
    provider: 'generic',
    method: asked.method,
    path: asked.path,
    body: undefined,
    arrivedAt: 0,
    deadlineAt,
    value: 1,
    priority: 'normal',
    maxWaitMs: null,
    cost: { units: {}, inputTokens: 0, outputTokens: 0 },
  };
}

/** Answers in the order of asking, whoever asks; the last one again and again. */
export function scripted(kernel: Kernel, script: readonly Answer[]): Hop & { atMs: number[] } {
  const atMs: number[] = [];
  return {
    atMs,
    send(_request, done) {
      const answer = script[Math.min(atMs.length, script.length - 1)] ?? OK;
      atMs.push(kernel.elapsed);
      const response: SimResponse = {
        status: answer.status,
        fields: Object.entries(answer.fields ?? {}).flat(),
        body: textOf(answer),
        by: answer.status === 0 ? 'network' : 'origin',
      };
      return kernel.after(0, () => done(response));
    },
  };
}

export function runModel(
  kind: ClientKind,
  script: readonly Answer[],
  asked: readonly Asked[],
  more: { wall?: number; settings?: ClientSettings; deadlineAt?: number } = {},
): Course & { outcomes: readonly Outcome[] } {
  const kernel = new Kernel(more.wall ?? Kernel.EPOCH);
  const hop = scripted(kernel, script);
  const client = makeClient(kind, kernel, new Middling(1), hop, more.settings);
  const outcomes: Outcome[] = [];
  asked.forEach((one, i) => {
    client.submit(jobOf(i + 1, one, one.deadlineAt ?? more.deadlineAt), (outcome) =>
      outcomes.push(outcome),
    );
  });
  kernel.runUntil(10_000_000);
  const inOrder = [...outcomes].sort((a, b) => a.job.id - b.job.id);
  return {
    atMs: hop.atMs,
    ends: inOrder.map(({ end }) => (end === 'served' ? 'served' : 'lost')),
    outcomes: inOrder,
  };
}
