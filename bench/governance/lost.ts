/**
 * What agents lose for good in the shipped scenarios although hindsight finds room for it: the measure
 * `avoidable_loss` (see scenarios/README.md), of each as a whole, whether it asserts it or not.
 */
import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { simulatedProviders } from '../../src/compose/sim.ts';
import { scenarioOf } from '../../src/compose/sim-scenario.ts';
import { loadScenario } from '../../src/config/scenario/load.ts';
import { judge } from '../../src/sim/invariants.ts';
import type { Invariant } from '../../src/sim/scenario.ts';
import { simulate } from '../../src/sim/simulation.ts';

/** The cheap ones, of an hour or less: some two seconds together. */
const QUICK = ['s01', 's06', 's08'];
const LOSS: Invariant = {
  ...{ name: 'lost', measure: 'avoidable_loss', min: null, max: null },
  ...{ agent: null, priority: null, provider: null, pool: null },
};

export interface Lost {
  /** Of jobs that ended, by scenario. */
  readonly byScenario: Readonly<Record<string, number>>;
  /** The worst of them; `null` = none was played. */
  readonly worst: number | null;
}

export const NOT_PLAYED: Lost = { byScenario: {}, worst: null };

export function lostForGood(quick: boolean, progress: (text: string) => void): Lost {
  const folder = fileURLToPath(new URL('../../scenarios/', import.meta.url));
  const files = readdirSync(folder)
    .filter((file) => /^s\d+-.*\.yaml$/.test(file))
    .filter((file) => !quick || QUICK.includes(file.slice(0, 3)))
    .toSorted();
  const byScenario: Record<string, number> = {};
  for (const file of files) {
    const name = basename(file, '.yaml');
    progress(`what is lost for good: ${name}`);
    byScenario[name] = lossOf(`${folder}${file}`);
  }
  const losses = Object.values(byScenario);
  return { byScenario, worst: losses.length === 0 ? null : Math.max(...losses) };
}

function lossOf(path: string): number {
  const loaded = loadScenario(path);
  if (!loaded.ok) throw new Error(`${path}: ${loaded.problems[0]?.message ?? 'not a scenario'}`);
  const scenario = scenarioOf(loaded.scenario, { seed: null, trace: null });
  const providers = simulatedProviders();
  const [judged] = judge(simulate({ ...scenario, invariants: [LOSS] }, { providers }));
  if (judged?.value == null) throw new Error(`${path}: no job ended`);
  return judged.value;
}
