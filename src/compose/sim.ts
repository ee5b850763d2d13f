/** Runs scenario files: config reads them, the simulator runs the engine with the real adapters. */
import { problemText } from '../config/problem.ts';
import { loadScenario } from '../config/scenario/load.ts';
import { createProviders } from '../../providers/index.ts';
import type { Provider } from '../core/provider.ts';
import { reportOf } from '../sim/report.ts';
import { simulate } from '../sim/simulation.ts';
import type { SimOutcome, SimWish } from '../surfaces/cli/shell.ts';
import { scenarioOf } from './sim-scenario.ts';

/** Never throws for what is in the files. */
export function runScenario(wish: SimWish): SimOutcome {
  const loaded = loadScenario(wish.file);
  if (!loaded.ok) return { ok: false, problems: loaded.problems.map(problemText) };
  let scenario;
  try {
    scenario = scenarioOf(loaded.scenario, wish);
  } catch (error) {
    return { ok: false, problems: [error instanceof Error ? error.message : String(error)] };
  }
  const began = performance.now();
  const { progress } = wish;
  const record = simulate(scenario, {
    providers: simulatedProviders(),
    ...(progress === undefined ? {} : { progress }),
  });
  return { ok: true, report: reportOf(record, performance.now() - began) };
}

/** The adapters as the daemon has them, and one API that nobody knows. New for each run: they learn. */
export function simulatedProviders(): readonly Provider[] {
  const origin = 'https://api.example.com';
  return createProviders({ generic: [{ id: 'generic', hosts: ['api.example.com'], origin }] });
}
