import { makeClient } from '../../../src/sim/clients/index.ts';
import type { Contender } from '../stage.ts';

/** Agents straight against the API, with what their SDK does about refusals. */
export const none: Contender = {
  name: 'none, SDK retries',
  about: 'no governor: each agent retries as its SDK does (src/sim/clients)',
  share: 0.1,
  suits: () => true,
  enter({ kernel, random, workload, origin, door }) {
    const hop = door(origin);
    return (agent) =>
      makeClient(workload.client, kernel, random.fork(agent), hop, workload.clientSettings);
  },
};
