import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Tests that only compute: no child, socket, module or global of theirs outlives a file. */
const pure = [
  'bench/oracle',
  'contract/*',
  'core/**/*',
  'house/{dependencies,docs,hygiene,links,sizes,zones}',
  'property/*',
  'proxy/{authority,plain-path,upgrade-frames,upgrade-messages}',
  'sim/*',
  'surfaces/{chart,config*,doctor,errors,explain,policy-remarks,status-text}',
].map((name) => `test/${name}.test.ts`);

/** What takes longest, so that no worker begins with it when the others are done. */
const LONGEST = [
  ...['sim/scenarios', 'house/package', 'daemon/faults', 'daemon/run', 'bench/governance'],
  ...['daemon/policy', 'clients/tools', 'daemon/limits', 'clients/fleet', 'bench/live'],
  ...['daemon/protection', 'daemon/reading', 'daemon/crash', 'surfaces/cli', 'daemon/shown'],
  ...['property/turmoil', 'property/fairness', 'core/forgetting', 'property/looking'],
  ...['property/admission', 'property/drift', 'core/outlook-demand', 'sim/run'],
];

/** The longest first, and those that share a process without a break: it ends with a break. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId, project }: TestSpecification): number => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      const within = at < 0 ? LONGEST.length : at;
      return at === 0 || project.config.isolate ? within : within + LONGEST.length;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    environment: 'node',
    // Processes, not threads: tests kill children, change signals and load a native module.
    pool: 'forks',
    // More than there are cores: a test of the daemon waits for most of its time.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: LongestFirst },
    testTimeout: 20_000,
    hookTimeout: 20_000,
    // A test that leaves a mock, a global or a variable behind would decide the next one's outcome.
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    // The sources are compiled once, not anew by each of some two hundred daemons and commands.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compiled') },
    projects: [
      { extends: true, test: { name: 'own', include: ['test/**/*.test.ts'], exclude: pure } },
      // One process for many files, where a fresh one for each is most of the work.
      { extends: true, test: { name: 'pure', include: pure, isolate: false } },
    ],
  },
});
