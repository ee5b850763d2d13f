/** One contender through one round of one workload. */
import { SECOND } from '../../src/core/units.ts';
import { Kernel } from '../../src/sim/kernel.ts';
import { Watch } from '../../src/sim/measures.ts';
import { Random } from '../../src/sim/random.ts';
import type { Hop, Job, Outcome, UpstreamCall, UpstreamWindow } from '../../src/sim/types.ts';
import type { Client } from '../../src/sim/clients/client.ts';
import type { Contender, Stage, Workload } from './stage.ts';
import { VirtualTime } from './virtual-time.ts';

/** What is left of a round when it is over. */
export interface Round {
  readonly workload: Workload;
  readonly jobs: readonly Job[];
  readonly outcomes: readonly Outcome[];
  readonly calls: readonly UpstreamCall[];
  readonly windows: readonly UpstreamWindow[];
  readonly askings: Watch['askings'];
  readonly refusals: Watch['refusals'];
  /** Most requests that were at the origin at once. */
  readonly inFlight: number;
  /** Jobs came until then … */
  readonly demandMs: number;
  /** … and by then each was served or given up. */
  readonly untilMs: number;
}

/** Of jobs that name no wait of their own; here all do. */
const NO_WAIT_NAMED_MS = 60_000;

/** Counts what is under way behind it. */
class Turnstile implements Hop {
  most = 0;
  private inside = 0;
  private readonly behind: Hop;

  constructor(behind: Hop) {
    this.behind = behind;
  }

  send(...[request, done]: Parameters<Hop['send']>): () => void {
    let over = false;
    const leave = (): void => {
      if (!over) this.inside -= 1;
      over = true;
    };
    this.inside += 1;
    this.most = Math.max(this.most, this.inside);
    const cancel = this.behind.send(request, (response) => {
      leave();
      done(response);
    });
    return () => {
      leave();
      cancel();
    };
  }
}

/** Hands every job over at its moment; keeps one event in the kernel, not one a job. */
function feed(
  kernel: Kernel,
  jobs: readonly Job[],
  clientOf: (agent: string) => Client,
  ended: (outcome: Outcome) => void,
): void {
  const clients = new Map<string, Client>();
  const client = (agent: string): Client => {
    const known = clients.get(agent);
    if (known !== undefined) return known;
    const made = clientOf(agent);
    clients.set(agent, made);
    return made;
  };
  let next = 0;
  const schedule = (): void => {
    const job = jobs[next++];
    if (job === undefined) return;
    kernel.at(job.arrivedAt, () => {
      client(job.agent).submit(job, ended);
      schedule();
    });
  };
  schedule();
}

/** What a round is played with: the same for every contender. */
export interface Demand {
  readonly seed: string;
  readonly jobs: readonly Job[];
  readonly demandMs: number;
  readonly untilMs: number;
}

/** The round goes on until the last deadline has passed, so that every job has an end. */
export function demandOf(workload: Workload, seed: string): Demand {
  const demandMs = workload.windows * workload.quota.windowMs;
  const jobs = workload.jobs(new Random(`${seed}/${workload.name}`), demandMs);
  const last = jobs.reduce((latest, { deadlineAt }) => Math.max(latest, deadlineAt), demandMs);
  return { seed, jobs, demandMs, untilMs: Math.ceil(last) + SECOND };
}

export async function play(
  workload: Workload,
  contender: Contender,
  { seed, jobs, demandMs, untilMs }: Demand,
): Promise<Round> {
  const kernel = new Kernel();
  const time = new VirtualTime(kernel);
  // The network, the strangers and each contender's own chance are streams of their own.
  const random = (of: string): Random => new Random(`${seed}/${workload.name}/${of}`);
  const origin = workload.origin(kernel, random('origin'));
  workload.outsiders?.(kernel, random('outsiders'), origin, untilMs);
  const turnstile = new Turnstile(origin);
  let watch: Watch | null = null;
  const stage: Stage = {
    kernel,
    time,
    workload,
    origin: turnstile,
    random: random('contender'),
    door: (behind) => (watch = new Watch(kernel, behind, NO_WAIT_NAMED_MS)),
  };
  const outcomes: Outcome[] = [];
  const open = new Map<number, Job>(jobs.map((job) => [job.id, job]));
  const restore = time.install();
  try {
    feed(kernel, jobs, contender.enter(stage), (outcome) => {
      open.delete(outcome.job.id);
      outcomes.push(outcome);
    });
    await time.run(untilMs);
  } finally {
    restore();
  }
  for (const job of open.values()) {
    outcomes.push({ job, end: 'open', at: untilMs, attempts: 0, lastStatus: 0 });
  }
  const door = watch as Watch | null;
  return {
    workload,
    jobs,
    outcomes,
    calls: origin.calls,
    windows: origin.rules.windows(untilMs),
    askings: door?.askings ?? [],
    refusals: door?.refusals ?? [],
    inFlight: turnstile.most,
    demandMs,
    untilMs,
  };
}
