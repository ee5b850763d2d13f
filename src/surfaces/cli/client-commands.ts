/** `run`, `env` and `ca` with what they need of the settings and the running daemon. */
import { callUrl } from './address.ts';
import { CommandFailure, readSettings } from './api-client.ts';
import { caCommand } from './commands/ca.ts';
import { envCommand, type CommandOutput } from './commands/env.ts';
import { nodeVersionOn, runCommand, type Trust } from './commands/run.ts';
import { ensureDaemon, findDaemon } from './daemon-link.ts';
import type { CliSettings, CliShell, Flags, TrustWish } from './shell.ts';

interface AgentFlags extends Flags {
  readonly agent?: string;
  readonly token?: string;
  readonly shell?: string;
}

/** Flags that a daemon started for a run is given; it chooses its own ports. */
const SERVE_FLAGS = [
  ['config', '--config'],
  ['policy', '--policy'],
  ['data', '--data'],
  ['mode', '--mode'],
  ['logLevel', '--log-level'],
] as const;

export async function run(
  shell: CliShell,
  argv: readonly string[],
  flags: AgentFlags,
): Promise<number> {
  const settings = await readSettings(shell, flags);
  const loadTrust = await shell.loadTrust();
  return runCommand({
    argv,
    ...agentOf(flags),
    env: shell.env,
    ensureDaemon: () =>
      ensureDaemon({
        dataDir: settings.dataDir,
        command: shell.command,
        serveArgs: serveArgs(flags),
        env: shell.env,
        pid: shell.pid,
      }),
    prepareTrust: (daemon) => loadTrust(wishOf(shell, daemon.ca, daemon.bundle)),
    nodeVersion: () => nodeVersionOn(shell.env),
    say: (line) => shell.err.write(`ratelord: ${line}\n`),
    signals: shell.signals,
    terminal: shell.out.terminal,
  });
}

function serveArgs(flags: Flags): string[] {
  return SERVE_FLAGS.flatMap(([name, flag]) => {
    const value = flags[name];
    return value === undefined ? [] : [flag, value];
  });
}

export async function env(shell: CliShell, flags: AgentFlags): Promise<CommandOutput> {
  const settings = await readSettings(shell, flags);
  const daemon = await findDaemon(settings.dataDir);
  const nodeVersion = nodeVersionOn(shell.env);
  return envCommand({
    shell: flags.shell ?? 'sh',
    ...agentOf(flags),
    inherited: shell.env,
    ...(nodeVersion !== undefined && { nodeVersion }),
    platform: shell.platform,
    proxyUrl: daemon?.proxy ?? callUrl(settings.listen),
    running: daemon !== null,
    trust: await trustOf(
      shell,
      wishOf(shell, daemon?.ca ?? settings.caFile, daemon?.bundle ?? null),
    ),
  });
}

export async function ca(shell: CliShell, action: string, flags: Flags): Promise<CommandOutput> {
  const settings = await readSettings(shell, flags);
  const notices = action === 'rotate' ? await rotated(shell, settings) : [];
  return caCommand({ action, caFile: settings.caFile, rotate: () => notices });
}

async function rotated(shell: CliShell, settings: CliSettings): Promise<readonly string[]> {
  try {
    return await shell.rotateCa(settings);
  } catch (error) {
    throw new CommandFailure(error instanceof Error ? error.message : String(error));
  }
}

function agentOf({ agent, token }: AgentFlags) {
  return { ...(agent !== undefined && { agent }), ...(token !== undefined && { token }) };
}

function wishOf(shell: CliShell, caFile: string | null, daemonBundle: string | null): TrustWish {
  return { caFile, env: shell.env, home: shell.home, daemonBundle };
}

async function trustOf(shell: CliShell, wish: TrustWish): Promise<Trust | null> {
  const loadTrust = await shell.loadTrust();
  try {
    return loadTrust(wish);
  } catch (error) {
    throw new CommandFailure(error instanceof Error ? error.message : String(error));
  }
}
