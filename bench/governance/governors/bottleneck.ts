/**
 * The real Bottleneck 2.19, one limiter in each agent's process around its SDK, set as its README and
 * most of its users set it: the quota as a reservoir that is refreshed once a window. Users who know
 * how many processes there are divide the quota among them, which is the kinder setting here.
 */
import Bottleneck from 'bottleneck';
import { makeClient } from '../../../src/sim/clients/index.ts';
import type { Client } from '../../../src/sim/clients/client.ts';
import type { Job, Outcome } from '../../../src/sim/types.ts';
import type { Contender, Stage } from '../stage.ts';

class LimitedClient implements Client {
  private readonly stage: Stage;
  private readonly inner: Client;
  private readonly limiter: Bottleneck;

  constructor(stage: Stage, inner: Client) {
    this.stage = stage;
    this.inner = inner;
    const { quota, calls = quota, agents } = stage.workload;
    const share = Math.max(1, Math.floor(calls.limit / agents.length));
    this.limiter = new Bottleneck({
      maxConcurrent: 10,
      reservoir: share,
      reservoirRefreshAmount: share,
      reservoirRefreshInterval: calls.windowMs,
    });
  }

  submit(job: Job, done: (outcome: Outcome) => void): void {
    const { kernel, time } = this.stage;
    let over = false;
    const finish = (outcome: Outcome): void => {
      if (over) return;
      over = true;
      stop?.();
      done(outcome);
    };
    const stop =
      job.deadlineAt === Infinity
        ? null
        : kernel.at(job.deadlineAt, () => {
            finish({ job, end: 'lost', at: kernel.elapsed, attempts: 0, lastStatus: 0 });
          });
    time.touch();
    void this.limiter.schedule(() => {
      // Bottleneck cannot take a waiting job back: one that is too late takes its turn for nothing.
      if (over) return Promise.resolve();
      return new Promise<void>((resolve) => {
        this.inner.submit(job, (outcome) => {
          time.touch();
          resolve();
          finish(outcome);
        });
      });
    });
  }
}

export const bottleneck: Contender = {
  name: 'bottleneck',
  about:
    'the real library on the virtual clock: reservoir = request quota / agents a window, 10 at once',
  share: 0.02,
  suits: () => true,
  enter(stage) {
    const { kernel, random, workload, origin, door } = stage;
    const hop = door(origin);
    return (agent) => {
      const { client, clientSettings } = workload;
      const inner = makeClient(client, kernel, random.fork(agent), hop, clientSettings);
      return new LimitedClient(stage, inner);
    };
  },
};
