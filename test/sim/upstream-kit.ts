/** Requests by hand, for upstream models alone. */
import { Kernel } from '../../src/sim/kernel.ts';
import { Random } from '../../src/sim/random.ts';
import type { Job, SimRequest, SimResponse } from '../../src/sim/types.ts';
import { Origin, type OriginOptions } from '../../src/sim/upstream/origin.ts';
import type { UpstreamRules } from '../../src/sim/upstream/rules.ts';

let made = 0;

export function request(job: Partial<Job> = {}, fields: readonly string[] = []): SimRequest {
  return {
    job: {
      id: ++made,
      agent: 'a',
      identity: 'bot',
      provider: 'github',
      method: 'GET',
      path: '/repos/o/r/issues',
      body: undefined,
      arrivedAt: 0,
      deadlineAt: Infinity,
      value: 1,
      priority: 'normal',
      maxWaitMs: null,
      cost: { units: {}, inputTokens: 0, outputTokens: 0 },
      ...job,
    },
    attempt: 1,
    fields,
  };
}

/** An origin 10 ms away that takes 100 ms. */
export function world(rules: UpstreamRules, more: Partial<OriginOptions> = {}) {
  const kernel = new Kernel();
  const origin = new Origin({
    kernel,
    random: new Random(1),
    rules,
    network: () => 10,
    service: () => 100,
    ...more,
  });
  /** Sends one and lets time pass until it is answered. */
  const ask = (one: SimRequest = request()): SimResponse => {
    const answers: SimResponse[] = [];
    origin.send(one, (response) => answers.push(response));
    for (let i = 0; i < 100_000 && answers.length === 0; i++) kernel.runUntil(kernel.elapsed + 10);
    const [answer] = answers;
    if (answer === undefined) throw new Error('no answer came');
    return answer;
  };
  return { kernel, origin, ask };
}

export function named(response: SimResponse, name: string): string | undefined {
  const at = response.fields.findIndex((one, i) => i % 2 === 0 && one === name);
  return at < 0 ? undefined : response.fields[at + 1];
}
