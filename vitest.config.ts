import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    environment: 'node',
    // Processes, not threads: tests kill children, change signals and load a native module.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    // A test that leaves a mock, a global or a variable behind would decide the next one's outcome.
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
  },
});
