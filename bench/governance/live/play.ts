/** One round for real: the same jobs, the same upstream model, SDKs and the daemon in between. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SECOND } from '../../../src/core/units.ts';
import { quantile } from '../../../src/sim/measures.ts';
import { Random } from '../../../src/sim/random.ts';
import type { Job, Outcome } from '../../../src/sim/types.ts';
import type { Demand, Round } from '../round.ts';
import { SdkAgent, type ClientParts, type Seen } from './clients.ts';
import { startDaemon, type Daemon } from './daemon.ts';
import { serveOrigin } from './origin.ts';
import { RealTimeKernel } from './real-time.ts';
import type { LiveWorkload } from './workloads.ts';

/** What the machine and the wire did to the round, which no simulation has. */
export interface Strain {
  /** How late this process (clients and origin) was with what was due, 99 of 100 times, milliseconds. */
  readonly lateP99Ms: number;
  /** CPU time of the daemon for each request that it was asked, microseconds. */
  readonly cpuUs: number;
  /** Failures that no model knows of: broken connections, a mistaken credential. */
  readonly errors: readonly string[];
}

export interface LiveRound {
  readonly round: Round;
  readonly strain: Strain;
}

/** From the end of the warm-up until the first moment, at least. */
const PAUSE_MS = 300;

export async function playLive(
  live: LiveWorkload,
  demand: Demand,
  progress: (text: string) => void,
): Promise<LiveRound> {
  const { workload } = live;
  const { seed, jobs, demandMs, untilMs } = demand;
  const kernel = new RealTimeKernel();
  const origin = workload.origin(kernel, new Random(`${seed}/${workload.name}/origin`));
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const seen: Seen = { askings: [], refusals: [], attempts: new Map(), errors: [] };
  const attempt = ({ id }: Job): number => seen.attempts.get(id) ?? 1;
  const server = await serveOrigin({ kernel, origin, jobs: byId, attempt });
  const agents = new Map<string, SdkAgent>();
  let daemon: Daemon | null = null;
  try {
    daemon = await startDaemon(live.provider, live.hosts, server.url);
    await enter(agents, { kernel, daemon, live, jobs: byId, seen });
    const cpuBefore = daemon.process.cpuUs();
    kernel.begin(PAUSE_MS);
    const outcomes = await passTime(kernel, demand, agents, (part) =>
      progress(`${workload.name}: ${String(Math.round(part * 100))} % in real time`),
    );
    const cpu = daemon.process.cpuUs() - cpuBefore;
    const { askings, refusals, errors } = seen;
    const strangers = Array.from({ length: server.strangers }, () => 'a stranger at the origin');
    return {
      round: {
        ...{ workload, jobs, outcomes, askings, refusals, demandMs, untilMs },
        calls: origin.calls,
        windows: origin.rules.windows(untilMs),
        inFlight: server.inFlight,
      },
      strain: {
        lateP99Ms: quantile(kernel.lateMs, 0.99) ?? 0,
        cpuUs: cpu / Math.max(1, askings.length),
        errors: [...errors, ...strangers],
      },
    };
  } finally {
    await Promise.allSettled([...agents.values()].map((agent) => agent.close()));
    await Promise.allSettled([daemon?.stop(), server.close()]);
  }
}

/** Every other agent comes by base URL, the others through HTTPS_PROXY. */
async function enter(agents: Map<string, SdkAgent>, parts: ClientParts): Promise<void> {
  for (const [at, agent] of parts.live.workload.agents.entries()) {
    const sdk = new SdkAgent(parts, agent, at % 2 === 0 ? 'base URL' : 'HTTPS_PROXY');
    agents.set(agent, sdk);
    await sdk.warmUp();
  }
}

/** Hands every job over at its moment, and waits until each has an end. */
async function passTime(
  kernel: RealTimeKernel,
  { jobs, demandMs, untilMs }: Demand,
  agents: ReadonlyMap<string, SdkAgent>,
  progress: (part: number) => void,
): Promise<Outcome[]> {
  const open = new Map<number, Job>(jobs.map((job) => [job.id, job]));
  const outcomes: Outcome[] = [];
  for (const job of jobs) {
    kernel.at(job.arrivedAt, () =>
      agents.get(job.agent)?.submit(job, (outcome) => {
        open.delete(job.id);
        outcomes.push(outcome);
      }),
    );
  }
  while (kernel.real < untilMs && (kernel.real < demandMs || open.size > 0)) {
    await sleep(Math.min(SECOND, Math.max(50, untilMs - kernel.real)));
    progress(Math.min(1, Math.max(0, kernel.real / untilMs)));
  }
  for (const job of open.values()) {
    outcomes.push({ job, end: 'open', at: untilMs, attempts: 0, lastStatus: 0 });
  }
  return outcomes;
}
