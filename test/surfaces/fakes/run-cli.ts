/**
 * The command line against settings from the environment, as a program of its own: what compose does,
 * without the daemon.
 */
import { homedir } from 'node:os';
import { runCli } from '../../../src/surfaces/cli/program.ts';
import { streamOutput } from '../../../src/surfaces/cli/shell.ts';
import { settingsOutcome } from '../../../src/surfaces/cli/settings.ts';
import { loadSettings } from '../../../src/config/config.ts';

const { env } = process;

process.exitCode = await runCli(process.argv.slice(2), {
  version: '0.1.0',
  env,
  platform: process.platform,
  home: homedir(),
  pid: process.pid,
  nodeVersion: env['TEST_NODE_VERSION'] ?? process.versions.node,
  command: [process.execPath, import.meta.filename],
  signals: process,
  out: streamOutput(process.stdout, env),
  err: streamOutput(process.stderr, env),
  now: () => Date.now(),
  settings: (flags) =>
    Promise.resolve(
      settingsOutcome(
        loadSettings({
          flags,
          env,
          cwd: process.cwd(),
          home: homedir(),
          platform: process.platform,
        }),
        () => ['api.github.com', 'api.openai.com'],
      ),
    ),
  startDaemon: (flags) => {
    process.stdout.write(`serving ${JSON.stringify(flags)}\n`);
    return Promise.resolve(0);
  },
  replay: () => Promise.resolve({ ok: false, problems: ['there is no ledger'] }),
  simulate: () => Promise.resolve({ ok: false, problems: ['there is no scenario'] }),
  loadTrust: () => Promise.resolve(() => null),
  rotateCa: () => Promise.resolve(['restart what trusts the old one']),
});
