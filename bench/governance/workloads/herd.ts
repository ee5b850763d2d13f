/** A herd of SDKs that do what Retry-After says. */
import { MINUTE, SECOND } from '../../../src/core/units.ts';
import { GenericRules, onePool } from '../../../src/sim/upstream/generic.ts';
import { Origin } from '../../../src/sim/upstream/origin.ts';
import type { Workload } from '../stage.ts';
import { defaultPolicy, IDENTITY, jobsOf, names, network, service, type Demand } from './jobs.ts';

const LIMIT = 300;
const WINDOW_MS = 30 * SECOND;
const HERD = 60;

/**
 * Every two minutes all of them come at once, with half as much again as the window holds: whoever is
 * turned away is told a time that its SDK still honours (`openai`: a minute at most).
 */
const demands: Demand[] = names('agent', HERD).map((agent) => ({
  agent,
  priority: 'normal',
  arrivals: {
    kind: 'batches',
    gapMs: 2 * MINUTE,
    size: Math.round((1.5 * LIMIT) / HERD),
    withinMs: 2 * SECOND,
  },
  work: { kind: 'generic', units: { default: 1 } },
  value: 1,
  deadlineMs: 110 * SECOND,
  // They would rather be told than wait.
  maxWaitMs: 1000,
}));

export const herd: Workload = {
  name: 'W8 retry herd',
  about:
    '300 in 30 s (IETF fields, Retry-After); 60 agents ask for 480 at once and may not be held',
  identity: IDENTITY,
  agents: names('agent', HERD),
  quota: { pool: 'default', limit: LIMIT, windowMs: WINDOW_MS },
  windows: 40,
  client: 'openai',
  policy: defaultPolicy(),
  github: false,
  oracle: { kind: 'matroid', pool: 'default' },
  shows: new Set(['herd']),
  jobs: (random, untilMs) => jobsOf(demands, random, untilMs),
  origin: (kernel, random) =>
    new Origin({
      kernel,
      random,
      rules: new GenericRules(onePool('fixed', LIMIT, WINDOW_MS)),
      network,
      service,
    }),
};
