/** What the command line program borrows from the rooms it may not import. */
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
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
      const result = load(flags);
      if (!result.ok) return { ok: false, problems: result.problems.map(problemText) };
      return { ok: true, settings: await cliSettings(result.config) };
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

async function cliSettings(config: Config) {
  const { providersOf } = await import('./providers.ts');
  const { governedHosts } = await import('./routing.ts');
  return {
    listen: config.listen,
    api: config.api.listen,
    apiToken() {
      const token = config.api.token?.reveal() ?? null;
      if (token !== null && !token.ok) throw new Error(`the API token: ${token.message}`);
      return token === null ? null : token.value;
    },
    dataDir: config.dataDir,
    caFile: join(config.dataDir, 'ca', 'ca.pem'),
    governedHosts: governedHosts(config, providersOf(config)),
    providers: config.providers.map((provider) => provider.id),
  };
}
