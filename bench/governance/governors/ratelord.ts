import { makeClient } from '../../../src/sim/clients/index.ts';
import { GovernedHop, type GovernedOptions } from '../../../src/sim/governed.ts';
import { createProviders } from '../../../providers/index.ts';
import { parsePolicy } from '../../../src/config/policy/load.ts';
import type { CompiledPolicy } from '../../../src/core/policy/types.ts';
import type { Contender, Workload } from '../stage.ts';
import { GENERIC_HOST } from '../workloads/jobs.ts';

/** Milliseconds between an agent and a proxy on its own machine, one way. */
const LOOPBACK_MS = 0.2;

interface Variant extends Pick<Contender, 'name' | 'about' | 'suits'> {
  readonly policyOf?: (workload: Workload) => CompiledPolicy;
  readonly demand?: NonNullable<GovernedOptions['demand']>;
}

function variant({ policyOf, demand, ...shown }: Variant): Contender {
  return {
    ...shown,
    share: 1,
    enter({ kernel, random, workload, origin, door }) {
      const governed = new GovernedHop({
        kernel,
        policy: policyOf?.(workload) ?? workload.policy,
        providers: createProviders({
          generic: [{ id: 'generic', hosts: [GENERIC_HOST], origin: `https://${GENERIC_HOST}` }],
        }),
        upstream: () => origin,
        clientDelay: () => LOOPBACK_MS,
        ...(demand === undefined ? {} : { demand }),
      });
      const hop = door(governed);
      return (agent) =>
        makeClient(workload.client, kernel, random.fork(agent), hop, workload.clientSettings);
    },
  };
}

/** Where classes share one window: only there the ways to protect one from the other differ. */
const hasClasses = ({ shows, github }: Workload): boolean => github && shows.has('priority');

export const ratelord = variant({
  name: 'ratelord',
  about: "this repository's engine and adapters (src/sim/governed.ts), same clients in front",
  suits: () => true,
});

/** What is kept for the urgent where nothing is foreseen. */
const STATIC_SHARE = '20%';

function withStaticShare(policy: CompiledPolicy): CompiledPolicy {
  const parsed = parsePolicy(
    'static',
    `pacing: { protect: false }
reserve: [{ id: urgent, match: { pool: core }, for: { priority: high }, share: ${STATIC_SHARE} }]
`,
  );
  if (!parsed.ok) throw new Error(parsed.problems[0]?.message ?? 'not a policy');
  const { pacing, reserves, hash } = parsed.policy;
  return { ...policy, hash, reserves, ...(pacing === undefined ? {} : { pacing }) };
}

export const ratelordStatic = variant({
  name: 'ratelord-static',
  about: `the same without protection; a policy keeps ${STATIC_SHARE.replace('%', ' %')} for the urgent instead`,
  suits: hasClasses,
  policyOf: ({ policy }) => withStaticShare(policy),
});

export const ratelordEstimate = variant({
  name: 'ratelord-estimate',
  about: 'the same, protection going by the simple estimate of demand instead of the forecast',
  suits: hasClasses,
  demand: 'estimate',
});
