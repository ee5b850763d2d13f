/** What the command line program borrows from the rooms it may not import. */
import { join } from 'node:path';
import { loadSettings } from '../config/config.ts';
import { problemText } from '../config/problem.ts';
import { streamOutput, type CliShell, type Flags } from '../surfaces/cli/shell.ts';
import { packageVersion } from './version.ts';

export interface CliShellOptions {
  /** Path of `bin/ratelord.js`. */
  readonly launcher: string;
  readonly home: string;
}

export function createCliShell(options: CliShellOptions): CliShell {
  const { env } = process;
  const version = packageVersion();
  const load = (flags: Flags) =>
    loadSettings({
      flags,
      env,
      cwd: process.cwd(),
      home: options.home,
      platform: process.platform,
    });
  return {
    version,
    env,
    platform: process.platform,
    home: options.home,
    pid: process.pid,
    nodeVersion: process.versions.node,
    command: [process.execPath, options.launcher],
    signals: process,
    out: streamOutput(process.stdout, env),
    err: streamOutput(process.stderr, env),
    now: () => Date.now(),
    async settings(flags) {
      const [{ settingsOutcome }, { providersOf }, { governedHosts }] = await Promise.all([
        import('../surfaces/cli/settings.ts'),
        import('./providers.ts'),
        import('./routing.ts'),
      ]);
      return settingsOutcome(load(flags), (config) => governedHosts(config, providersOf(config)));
    },
    async startDaemon(flags) {
      const result = load(flags);
      if (!result.ok) {
        for (const problem of result.problems) process.stderr.write(`${problemText(problem)}\n`);
        return 2;
      }
      const { serve } = await import('./serve.ts');
      return serve({ config: result.config, version, env });
    },
    async replay(flags, wish) {
      const result = load(flags);
      if (!result.ok) return { ok: false, problems: result.problems.map(problemText) };
      const { replayLedger } = await import('./replay.ts');
      return replayLedger(result.config, wish);
    },
    async simulate(wish) {
      const { runScenario } = await import('./sim.ts');
      return runScenario(wish);
    },
    async loadTrust() {
      const { prepareTrust } = await import('../proxy/ca/trust.ts');
      return prepareTrust;
    },
    async rotateCa(settings) {
      const { rotateAuthority } = await import('../proxy/ca/authority.ts');
      const authority = rotateAuthority({
        dir: join(settings.dataDir, 'ca'),
        hosts: settings.governedHosts,
        now: () => Date.now(),
      });
      return authority.notices;
    },
  };
}
