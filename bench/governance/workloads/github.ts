/** Workloads on GitHub's REST API: one credential's `core` quota, the documented secondary limits on. */
import { HOUR, MINUTE, SECOND } from '../../../src/core/units.ts';
import { twoClasses } from '../../../src/sim/arrivals.ts';
import type { Kernel } from '../../../src/sim/kernel.ts';
import type { Random } from '../../../src/sim/random.ts';
import { GithubRules } from '../../../src/sim/upstream/github.ts';
import { Origin } from '../../../src/sim/upstream/origin.ts';
import { startOutsider } from '../../../src/sim/upstream/outsiders.ts';
import type { Shows, Workload } from '../stage.ts';
import { defaultPolicy, IDENTITY, jobsOf, names, network, service, type Demand } from './jobs.ts';

interface Settings {
  readonly name: string;
  readonly about: string;
  readonly limit: number;
  readonly windowMs: number;
  readonly windows: number;
  readonly demands: readonly Demand[];
  readonly shows: readonly Shows[];
  /** Share of the quota that others take, and how many at once. */
  readonly outside?: { readonly share: number; readonly batch: number };
}

function github(settings: Settings): Workload {
  const { limit, windowMs, outside } = settings;
  const perSecond = ((outside?.share ?? 0) * limit) / (windowMs / SECOND);
  return {
    name: settings.name,
    about: settings.about,
    identity: IDENTITY,
    agents: [...new Set(settings.demands.map(({ agent }) => agent))],
    quota: { pool: 'core', limit, windowMs },
    windows: settings.windows,
    // Python's `requests` with urllib3's Retry, which its users tell of GitHub's 403 as well.
    client: 'requests',
    clientSettings: { requests: { statusForcelist: [403, 429, 500, 502, 503, 504] } },
    policy: defaultPolicy(),
    github: true,
    oracle: { kind: 'matroid', pool: 'core' },
    shows: new Set(settings.shows),
    jobs: (random, untilMs) => jobsOf(settings.demands, random, untilMs),
    origin: (kernel: Kernel, random: Random) =>
      new Origin({
        kernel,
        random,
        rules: new GithubRules({ core: limit, windowMs }),
        network,
        service,
      }),
    ...(outside !== undefined && {
      outsiders(kernel: Kernel, random: Random, origin: Origin, untilMs: number): void {
        const { batch } = outside;
        const arrivals = 'poisson';
        const span = { from: 0, until: untilMs };
        const who = { identity: IDENTITY, pool: 'core', perSecond, batch, arrivals } as const;
        startOutsider({ ...who, ...span }, origin, kernel, random);
      },
    }),
  };
}

const READ = { kind: 'github-rest' } as const;
const PATIENT = { kind: 'uniform', low: 1 * MINUTE, high: 8 * MINUTE } as const;

/** So many alike, who want that multiple of the quota together. */
function equals(count: number, load: number, limit: number, windowMs: number): Demand[] {
  const perSecond = (load * limit) / (windowMs / SECOND) / count;
  return names('worker', count).map((agent) => ({
    agent,
    priority: 'normal',
    arrivals: { kind: 'poisson', perSecond },
    work: READ,
    value: 1,
    deadlineMs: PATIENT,
  }));
}

export const saturated = github({
  name: 'W1 saturated window',
  about: 'GitHub core at its real size, 5,000 an hour; 20 equal agents want 1.15 times as much',
  limit: 5000,
  windowMs: HOUR,
  windows: 4,
  demands: equals(20, 1.15, 5000, HOUR),
  shows: ['saturated', 'stationary'],
});

export const outsiders = github({
  name: 'W2 outsiders',
  about: '1,250 in 15 minutes (GitHub’s rate); 20 agents want all of it, strangers 20 % (Poisson)',
  limit: 1250,
  windowMs: 15 * MINUTE,
  windows: 50,
  demands: equals(20, 1, 1250, 15 * MINUTE),
  shows: ['saturated', 'outsiders'],
  outside: { share: 0.2, batch: 1 },
});

export const batches = github({
  name: 'W3 outsiders in tens',
  about: 'as W2, but the strangers come ten at a time',
  limit: 1250,
  windowMs: 15 * MINUTE,
  windows: 50,
  demands: equals(20, 1, 1250, 15 * MINUTE),
  shows: ['saturated', 'batches'],
  outside: { share: 0.2, batch: 10 },
});

function twoClassDemand(limit: number, load: number, dayMs: number): Demand[] {
  const perSecond = (load * limit) / (HOUR / SECOND);
  const both = twoClasses(perSecond, 0.5, dayMs);
  const split = <T extends { readonly perSecond: number }>(spec: T, count: number): T => ({
    ...spec,
    perSecond: spec.perSecond / count,
  });
  const users = names('user', 4).map((agent): Demand => ({
    agent,
    priority: 'high',
    arrivals: split(both.high, 4),
    work: READ,
    value: 10,
    deadlineMs: { kind: 'uniform', low: 30 * SECOND, high: 2 * MINUTE },
  }));
  const crawlers = names('crawler', 8).map((agent): Demand => ({
    agent,
    priority: 'background',
    arrivals: split(both.background, 8),
    work: READ,
    value: 1,
    deadlineMs: { kind: 'uniform', low: 5 * MINUTE, high: 20 * MINUTE },
  }));
  return [...users, ...crawlers];
}

/** @param hours of the day: fewer make a compressed one */
export function twoClass(hours: number): Workload {
  return github({
    name: 'W4 two classes, daily',
    about: `1,000 an hour; a cycle of ${String(hours)} hours in the shape of the NASA log, users worth 10, crawlers 1`,
    limit: 1000,
    windowMs: HOUR,
    windows: hours,
    demands: twoClassDemand(1000, 1.15, hours * HOUR),
    shows: ['stationary', 'priority'],
  });
}

function fleetDemand(limit: number): Demand[] {
  const hourly = limit / (HOUR / SECOND);
  const batch = names('indexer', 2).map((agent): Demand => ({
    agent,
    priority: 'background',
    // All of an hour's work in its first five minutes, every hour.
    arrivals: {
      kind: 'batches',
      gapMs: HOUR,
      size: Math.round(0.3 * limit),
      withinMs: 5 * MINUTE,
    },
    work: READ,
    value: 1,
    deadlineMs: 55 * MINUTE,
  }));
  const fleets = names('fleet', 10).map((agent): Demand => ({
    agent,
    priority: 'high',
    // On for two minutes in twenty: a tenth of the time at ten times the mean.
    arrivals: {
      kind: 'bursty',
      perSecond: 0.45 * hourly,
      onMs: 2 * MINUTE,
      offMs: 18 * MINUTE,
    },
    work: READ,
    value: 10,
    deadlineMs: { kind: 'uniform', low: 30 * SECOND, high: 90 * SECOND },
  }));
  const steady = names('steady', 4).map((agent): Demand => ({
    agent,
    priority: 'normal',
    arrivals: { kind: 'poisson', perSecond: (0.2 * hourly) / 4 },
    work: READ,
    value: 3,
    deadlineMs: { kind: 'uniform', low: 1 * MINUTE, high: 5 * MINUTE },
  }));
  return [...batch, ...fleets, ...steady];
}

export const fleets = github({
  name: 'W7 bursts over a batch',
  about: '2,000 an hour; 60 % of it wanted at once as background, bursts of users worth 10 on top',
  limit: 2000,
  windowMs: HOUR,
  windows: 12,
  demands: fleetDemand(2000),
  shows: ['priority'],
});
