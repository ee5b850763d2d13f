/** One run of a scenario: everything is put together, time passes, and what happened is handed over. */
import type { Provider } from '../core/provider.ts';
import { MINUTE, type DurationMs, type MonoMs } from '../core/units.ts';
import { draw } from './arrivals-draws.ts';
import { Population } from './arrivals-population.ts';
import { GovernedHop, type GovernedOptions, type GovernedTotals } from './governed.ts';
import { Kernel } from './kernel.ts';
import { Watch, type Asking, type Refused } from './measures.ts';
import { Random } from './random.ts';
import type { OutsiderSetup, Scenario } from './scenario.ts';
import type { Job, Outcome, UpstreamCall, UpstreamPool, UpstreamWindow } from './types.ts';
import { Origin } from './upstream/origin.ts';
import { startOutsider } from './upstream/outsiders.ts';

export interface SimulationParts {
  /** Adapters, made for this run alone: they learn. */
  readonly providers: readonly Provider[];
  /** Every entry of the ledger. */
  readonly sink?: NonNullable<GovernedOptions['sink']>;
  /** Told now and then how far the run is, 0…1. */
  readonly progress?: (part: number) => void;
}

export interface OriginRecord {
  readonly provider: string;
  readonly calls: readonly UpstreamCall[];
  readonly pools: readonly UpstreamPool[];
  readonly windows: readonly UpstreamWindow[];
}

/** What happened. */
export interface RunRecord {
  readonly scenario: Scenario;
  /** Length of the run, with its settling. */
  readonly endMs: MonoMs;
  readonly jobs: readonly Job[];
  readonly outcomes: readonly Outcome[];
  /** What reached the governor, and what it answered itself. */
  readonly askings: readonly Asking[];
  readonly refusals: readonly Refused[];
  readonly origins: readonly OriginRecord[];
  readonly totals: Readonly<GovernedTotals>;
  /** Times at which the governor said that somebody else uses a quota. */
  readonly drifts: readonly MonoMs[];
}

const SLICE_MS: DurationMs = 5 * MINUTE;

export function simulate(scenario: Scenario, parts: SimulationParts): RunRecord {
  const kernel = new Kernel();
  const random = new Random(scenario.seed);
  const origins = makeOrigins(scenario, kernel, random.fork('origins'));
  const hop = govern(scenario, parts, kernel, random.fork('delays'), origins);
  const watch = new Watch(kernel, hop.hop, scenario.policy.defaults.maxWaitMs);
  const population = new Population({
    kernel,
    random: random.fork('agents'),
    agents: scenario.agents,
    hopFor: () => watch,
    untilMs: scenario.untilMs,
  });
  const outside = random.fork('outsiders');
  for (const one of scenario.outsiders) startSetup(one, origins, kernel, outside, scenario);
  population.start();
  const end: MonoMs = scenario.untilMs + scenario.settleMs;
  for (let at: MonoMs = 0; at < end;) {
    at = Math.min(end, at + SLICE_MS);
    kernel.runUntil(at);
    parts.progress?.(at / end);
  }
  return {
    scenario,
    endMs: end,
    jobs: population.jobs,
    outcomes: population.close(),
    askings: watch.askings,
    refusals: watch.refusals,
    origins: [...origins].map(([provider, origin]) => ({
      provider,
      calls: origin.calls,
      pools: origin.rules.pools(),
      windows: origin.rules.windows(end),
    })),
    totals: hop.hop.totals,
    drifts: hop.drifts,
  };
}

function makeOrigins(
  { origins }: Scenario,
  kernel: Kernel,
  random: Random,
): ReadonlyMap<string, Origin> {
  return new Map(
    origins.map((setup) => [
      setup.provider,
      new Origin({
        kernel,
        random: random.fork(setup.provider),
        rules: setup.rules(),
        network: (chance) => Math.max(0, draw(setup.network, chance)),
        service: (chance) => Math.max(0, draw(setup.service, chance)),
        failures: setup.failures,
        skewMs: setup.skewMs,
      }),
    ]),
  );
}

function govern(
  scenario: Scenario,
  parts: SimulationParts,
  kernel: Kernel,
  random: Random,
  origins: ReadonlyMap<string, Origin>,
): { hop: GovernedHop; drifts: readonly MonoMs[] } {
  const drifts: MonoMs[] = [];
  const hop = new GovernedHop({
    kernel,
    policy: scenario.policy,
    providers: parts.providers,
    upstream(provider) {
      const origin = origins.get(provider);
      if (origin === undefined) throw new Error(`the scenario has no provider \`${provider}\``);
      return origin;
    },
    clientDelay: () => Math.max(0, draw(scenario.clientDelay, random)),
    sink(entry) {
      parts.sink?.(entry);
      if (entry.kind === 'event' && entry.data[0] === 'drift_detected') drifts.push(kernel.elapsed);
    },
  });
  return { hop, drifts };
}

function startSetup(
  setup: OutsiderSetup,
  origins: ReadonlyMap<string, Origin>,
  kernel: Kernel,
  random: Random,
  scenario: Scenario,
): void {
  const origin = origins.get(setup.provider);
  if (origin === undefined) throw new Error(`the scenario has no provider \`${setup.provider}\``);
  const shape = origin.rules.shape(setup.pool);
  if (shape === undefined) throw new Error(`\`${setup.provider}\` has no pool \`${setup.pool}\``);
  const perSecond = setup.perSecond ?? ((setup.share ?? 0) * shape.limit * 1000) / shape.windowMs;
  const until = Math.min(setup.until, scenario.untilMs);
  startOutsider({ ...setup, perSecond, until }, origin, kernel, random.fork(setup.pool));
}
