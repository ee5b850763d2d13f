/**
 * Agents at work: each makes jobs by its arrival process and hands them to a client of its own.
 *
 * Every agent has streams of chance of its own, by its name, and one each for when, what and how it
 * retries. So adding an agent changes no other, and open processes offer exactly the same jobs
 * whatever is between them and the origin server.
 */
import { SECOND } from '../core/units.ts';
import type { DurationMs, MonoMs, Priority } from '../core/units.ts';
import { arrivalsOf } from './arrivals.ts';
import type { Arrival, ArrivalSpec } from './arrivals.ts';
import { draw } from './arrivals-draws.ts';
import type { Distribution } from './arrivals-draws.ts';
import { workOf } from './arrivals-work.ts';
import type { WorkSpec } from './arrivals-work.ts';
import { makeClient } from './clients/index.ts';
import type { ClientKind, ClientSettings } from './clients/index.ts';
import type { Client } from './clients/client.ts';
import type { Kernel } from './kernel.ts';
import { Random } from './random.ts';
import type { Hop, Job, Outcome } from './types.ts';

export interface AgentSpec {
  readonly id: string;
  /** Name of the credential. */
  readonly identity: string;
  readonly priority: Priority;
  /** Share in the fair queue; what measures of fairness divide by. */
  readonly weight: number;
  readonly client: ClientKind;
  readonly clientSettings?: ClientSettings;
  readonly arrivals: ArrivalSpec;
  readonly work: WorkSpec;
  /** Worth of a job that is served in time. */
  readonly value: Distribution;
  /** From arrival until the job is worth nothing; `null` = never. The client gives up then. */
  readonly deadlineMs: Distribution | null;
  /** `x-ratelord-max-wait`; `null` = the policy's default. */
  readonly maxWaitMs: DurationMs | null;
  /** Jobs are made from here … */
  readonly fromMs?: MonoMs;
  /** … to there. */
  readonly untilMs?: MonoMs;
}

export interface PopulationOptions {
  readonly kernel: Kernel;
  readonly random: Random;
  readonly agents: readonly AgentSpec[];
  /** Where an agent's client sends to. Asked once for each agent. */
  readonly hopFor: (agent: AgentSpec) => Hop;
  /** No job is made from here on; those open may still end. */
  readonly untilMs: MonoMs;
  readonly onOutcome?: (outcome: Outcome) => void;
}

export class Population {
  /** In order of arrival; ids count from 1. */
  readonly jobs: Job[] = [];
  /** In order of their end. */
  readonly outcomes: Outcome[] = [];
  private readonly options: PopulationOptions;
  private readonly openJobs = new Map<number, Job>();

  constructor(options: PopulationOptions) {
    this.options = options;
  }

  /** Schedules everything; then run the kernel. */
  start(): void {
    const seed = String(Math.floor(this.options.random.next() * 4294967296));
    for (const spec of this.options.agents) new Agent(this, this.options, spec, seed).start();
  }

  /** Ends the run: what is open becomes an outcome of its own. Returns all outcomes. */
  close(): readonly Outcome[] {
    const at = this.options.kernel.elapsed;
    for (const job of this.openJobs.values()) {
      this.outcomes.push({ job, end: 'open', at, attempts: 0, lastStatus: 0 });
    }
    this.openJobs.clear();
    return this.outcomes;
  }

  submit(client: Client, make: (id: number) => Job, then: (outcome: Outcome) => void): void {
    const job = make(this.jobs.length + 1);
    this.jobs.push(job);
    this.openJobs.set(job.id, job);
    client.submit(job, (outcome) => {
      this.openJobs.delete(job.id);
      this.outcomes.push(outcome);
      this.options.onOutcome?.(outcome);
      then(outcome);
    });
  }
}

const nothing = (): void => undefined;

class Agent {
  private readonly population: Population;
  private readonly options: PopulationOptions;
  private readonly spec: AgentSpec;
  private readonly when: Random;
  private readonly what: Random;
  private readonly client: Client;
  private readonly untilMs: MonoMs;
  private made = 0;

  constructor(population: Population, options: PopulationOptions, spec: AgentSpec, seed: string) {
    const { kernel } = options;
    this.population = population;
    this.options = options;
    this.spec = spec;
    this.when = new Random(`${seed}/${spec.id}/when`);
    this.what = new Random(`${seed}/${spec.id}/what`);
    const retrying = new Random(`${seed}/${spec.id}/retrying`);
    const hop = options.hopFor(spec);
    this.client = makeClient(spec.client, kernel, retrying, hop, spec.clientSettings);
    this.untilMs = Math.min(options.untilMs, spec.untilMs ?? Infinity);
  }

  start(): void {
    const { arrivals, fromMs = 0 } = this.spec;
    if (arrivals.kind === 'greedy') {
      for (let i = 0; i < arrivals.inFlight; i++) {
        this.options.kernel.at(fromMs, () => this.loop(arrivals));
      }
      return;
    }
    const next = arrivalsOf(arrivals, this.when, fromMs, this.untilMs);
    const schedule = (): void => {
      const arrival = next();
      if (arrival === null) return;
      this.options.kernel.at(arrival.atMs, () => {
        this.submit(arrival, nothing);
        schedule();
      });
    };
    schedule();
  }

  private loop(spec: Extract<ArrivalSpec, { kind: 'greedy' }>): void {
    const atMs = this.options.kernel.elapsed;
    if (atMs >= this.untilMs || this.made >= (spec.jobs ?? Infinity)) return;
    this.submit({ atMs }, (outcome) => {
      const thinkMs = spec.thinkMs === undefined ? 0 : draw(spec.thinkMs, this.when);
      // Who is refused at once and asks again at once would stop the clock.
      const pauseMs = outcome.end === 'lost' ? (spec.afterLossMs ?? SECOND) : 0;
      this.options.kernel.after(Math.max(thinkMs, pauseMs), () => this.loop(spec));
    });
  }

  private submit(arrival: Arrival, then: (outcome: Outcome) => void): void {
    const { spec } = this;
    this.made += 1;
    const asked = workOf(spec.work, arrival, this.what);
    const value = draw(spec.value, this.what);
    const deadlineMs = spec.deadlineMs === null ? Infinity : draw(spec.deadlineMs, this.what);
    const arrivedAt = this.options.kernel.elapsed;
    const make = (id: number): Job => ({
      ...asked,
      id,
      agent: spec.id,
      identity: spec.identity,
      arrivedAt,
      deadlineAt: arrivedAt + deadlineMs,
      value,
      priority: spec.priority,
      maxWaitMs: spec.maxWaitMs,
    });
    this.population.submit(this.client, make, then);
  }
}
