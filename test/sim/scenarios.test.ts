/** The scenarios that ship, each with the invariants it states. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runScenario } from '../../src/compose/sim.ts';

const directory = join(import.meta.dirname, '../../scenarios');
const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'));

describe('the scenarios that ship', () => {
  it('are all there', () => {
    expect(files.map((name) => name.slice(0, 3))).toEqual(
      Array.from({ length: 10 }, (_, i) => `s${String(i + 1).padStart(2, '0')}`),
    );
  });

  it.each(files)('%s holds', { timeout: 60_000 }, (name) => {
    const outcome = runScenario({ file: join(directory, name), seed: null, trace: null });
    if (!outcome.ok) throw new Error(outcome.problems.join('\n'));
    const { report } = outcome;
    expect(report.invariants.filter(({ passed }) => !passed)).toEqual([]);
    expect(report.passed).toBe(true);
  });
});
