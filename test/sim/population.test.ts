import { expect, test } from 'vitest';
import { Population, type AgentSpec } from '../../src/sim/arrivals-population.ts';
import { Kernel } from '../../src/sim/kernel.ts';
import { Random } from '../../src/sim/random.ts';
import type { Hop, SimRequest } from '../../src/sim/types.ts';

const AGENT: AgentSpec = {
  id: 'a',
  identity: 'key',
  priority: 'normal',
  weight: 1,
  client: 'none',
  arrivals: { kind: 'poisson', perSecond: 1 },
  work: {
    kind: 'generic',
    units: { calls: { kind: 'pareto', minimum: 1, alpha: 1, maximum: 99 } },
  },
  value: { kind: 'uniform', low: 1, high: 2 },
  deadlineMs: { kind: 'uniform', low: 500, high: 3000 },
  maxWaitMs: null,
};

/** Answers after that time; how many are inside is noted. */
class Slow implements Hop {
  inside = 0;
  peak = 0;
  readonly requests: SimRequest[] = [];
  private readonly kernel: Kernel;
  private readonly status: number;
  private readonly ms: number;
  constructor(kernel: Kernel, ms: number, status = 200) {
    this.kernel = kernel;
    this.ms = ms;
    this.status = status;
  }

  send: Hop['send'] = (request, done) => {
    this.requests.push(request);
    this.inside += 1;
    this.peak = Math.max(this.peak, this.inside);
    return this.kernel.after(this.ms, () => {
      this.inside -= 1;
      done({ status: this.status, fields: [], body: undefined, by: 'origin' });
    });
  };
}

function run(agents: readonly AgentSpec[], ms = 100, status = 200) {
  const kernel = new Kernel();
  const hop = new Slow(kernel, ms, status);
  const random = new Random('seed');
  const population = new Population({ kernel, random, agents, hopFor: () => hop, untilMs: 60_000 });
  population.start();
  kernel.runUntil(60_000);
  population.close();
  return { population, hop, jobs: population.jobs };
}

test('adding an agent changes no job of another', () => {
  const alone = run([AGENT]).jobs;
  const both = run([{ ...AGENT, id: 'b' }, AGENT]).jobs;
  expect(alone.length).toBeGreaterThan(30);
  const without = (job: (typeof alone)[number]): unknown => ({ ...job, id: 0 });
  expect(both.filter(({ agent }) => agent === 'a').map(without)).toEqual(alone.map(without));
  expect(both.map(({ id }) => id)).toEqual(both.map((_, i) => i + 1));
  const b = both.filter(({ agent }) => agent === 'b');
  expect(b.slice(0, 9).map(({ cost }) => cost)).not.toEqual(
    alone.slice(0, 9).map(({ cost }) => cost),
  );
  expect(b.map(({ arrivedAt }) => arrivedAt)).not.toEqual(alone.map(({ arrivedAt }) => arrivedAt));
});

test('open processes offer the same whatever comes back', () => {
  const retrying: AgentSpec = { ...AGENT, client: 'openai' };
  const good = run([retrying]).jobs;
  expect(run([retrying], 100, 500).jobs).toEqual(good);
});

test('every job has one outcome; those under way at the end are open', () => {
  const { population, jobs } = run([{ ...AGENT, deadlineMs: null }], 5000);
  const ids = population.outcomes.map(({ job }) => job.id).sort((a, b) => a - b);
  expect(ids).toEqual(jobs.map(({ id }) => id));
  const open = population.outcomes.filter(({ end }) => end === 'open');
  expect(open.length).toBeGreaterThan(0);
  expect(open.every(({ job }) => job.arrivedAt > 55_000)).toBe(true);
});

test('a job is given up at its deadline', () => {
  const { population } = run([AGENT], 1500);
  for (const { job, end, at } of population.outcomes) {
    if (end === 'served') expect(at).toBeLessThanOrEqual(job.deadlineAt);
    if (end === 'lost') expect(at).toBe(job.deadlineAt);
  }
  expect(population.outcomes.some(({ end }) => end === 'lost')).toBe(true);
});

test('a greedy agent keeps so many open, thinks, and ends with its jobs', () => {
  const greedy: AgentSpec = {
    ...AGENT,
    deadlineMs: null,
    arrivals: { kind: 'greedy', inFlight: 3 },
  };
  const busy = run([greedy]);
  expect(busy.hop.peak).toBe(3);
  expect(busy.jobs).toHaveLength(3 * 600);
  const slow = run([{ ...greedy, arrivals: { kind: 'greedy', inFlight: 3, thinkMs: 900 } }]);
  expect(slow.jobs).toHaveLength(3 * 60);
  const few = run([{ ...greedy, arrivals: { kind: 'greedy', inFlight: 3, jobs: 7 } }]);
  expect(few.jobs).toHaveLength(7);
});

test('a greedy agent that is refused at once does not stop the clock', () => {
  const greedy: AgentSpec = { ...AGENT, arrivals: { kind: 'greedy', inFlight: 1 } };
  expect(run([greedy], 0, 429).jobs).toHaveLength(60);
});

test('an agent keeps to its hours', () => {
  const { jobs } = run([{ ...AGENT, fromMs: 10_000, untilMs: 30_000 }]);
  expect(jobs[0]?.arrivedAt).toBeGreaterThan(10_000);
  expect(jobs[jobs.length - 1]?.arrivedAt).toBeLessThan(30_000);
});
