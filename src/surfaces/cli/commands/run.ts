/** `ratelord run -- CMD`: runs a command whose traffic goes through the daemon. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { constants } from 'node:os';
import { clientEnv } from '../client-env.ts';
import type { Environment } from '../client-env.ts';
import type { DaemonLease } from '../daemon-link.ts';

/** The files by which clients are made to trust the local CA. */
export interface Trust {
  readonly caFile: string;
  readonly bundleFile: string;
  readonly wgetrcFile?: string;
  /** What could not be taken into the bundle. */
  readonly notices: readonly string[];
}

/** Just what is needed of a process; the real one fits. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  off(signal: NodeJS.Signals, listener: () => void): unknown;
}

export interface RunCommandOptions {
  /** The command and its arguments. */
  readonly argv: readonly string[];
  readonly agent?: string;
  readonly token?: string;
  readonly env: Environment;
  /** Uses or starts a daemon; its refusal is shown as it is. */
  readonly ensureDaemon: () => Promise<DaemonLease>;
  /** Writes the bundle beside the daemon's roots; `null` when it has no CA. */
  readonly prepareTrust: (daemon: DaemonLease) => Trust | null;
  /** Version of the `node` that the command would find. */
  readonly nodeVersion?: () => string | undefined;
  /** A line for the user, without its newline. */
  readonly say: (line: string) => void;
  readonly signals: SignalSource;
  /** Whether the terminal delivers Ctrl-C to the command by itself. */
  readonly terminal: boolean;
  readonly spawn?: (file: string, args: readonly string[], options: SpawnOptions) => ChildProcess;
}

/** Whose default action would end us before the command has ended. */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
/** Those a terminal sends to the whole foreground group: forwarding would deliver them twice. */
const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT']);

/**
 * Resolves with the exit code for this process: the command's own, 128 + n when signal n ended it,
 * 127 when it does not exist, 126 when it cannot be executed, 1 without a daemon, 2 without a command.
 */
export async function runCommand(options: RunCommandOptions): Promise<number> {
  const [file, ...args] = options.argv;
  if (file === undefined || file === '') {
    options.say('no command to run; usage: ratelord run [--agent NAME] -- CMD …');
    return 2;
  }
  const pending: NodeJS.Signals[] = [];
  let child: ChildProcess | undefined;
  const stopListening = forward(options, (signal) => {
    // One that arrives while the daemon is starting is for the command too.
    if (child === undefined) pending.push(signal);
    else child.kill(signal);
  });
  let daemon: DaemonLease | undefined;
  try {
    daemon = await options.ensureDaemon();
    if (pending[0] !== undefined) return 128 + constants.signals[pending[0]];
    const env = { ...options.env, ...settingsFor(options, daemon) };
    child = (options.spawn ?? spawn)(file, args, { stdio: 'inherit', env });
    return await exitCode(child, file, options.say);
  } catch (error) {
    options.say(error instanceof Error ? error.message : String(error));
    return 1;
  } finally {
    await daemon?.stop();
    stopListening();
  }
}

/** Version of the `node` on the path, by asking it; `undefined` when there is none. */
export function nodeVersionOn(env: Environment): string | undefined {
  const asked = spawnSync('node', ['--version'], {
    env: { ...env, NODE_OPTIONS: '' },
    encoding: 'utf8',
    timeout: 5_000,
  });
  return asked.status === 0 ? asked.stdout.trim() : undefined;
}

function settingsFor(options: RunCommandOptions, daemon: DaemonLease): Record<string, string> {
  const trust = options.prepareTrust(daemon);
  for (const notice of trust?.notices ?? []) options.say(notice);
  const nodeVersion = options.nodeVersion?.();
  const settings = clientEnv({
    proxyUrl: daemon.proxy,
    caFile: trust?.caFile ?? null,
    bundleFile: trust?.bundleFile ?? null,
    inherited: options.env,
    ...(trust?.wgetrcFile === undefined ? {} : { wgetrcFile: trust.wgetrcFile }),
    ...(options.agent === undefined ? {} : { agent: options.agent }),
    ...(options.token === undefined ? {} : { token: options.token }),
    ...(nodeVersion === undefined ? {} : { nodeVersion }),
  });
  return Object.fromEntries(settings.map(({ name, value }) => [name, value]));
}

function forward(
  options: RunCommandOptions,
  deliver: (signal: NodeJS.Signals) => void,
): () => void {
  // Windows knows only some of them.
  const known = FORWARDED.filter((signal) => signal in constants.signals);
  const listeners = known.map((signal) => {
    const listener = (): void => {
      if (!(options.terminal && FROM_TERMINAL.has(signal))) deliver(signal);
    };
    options.signals.on(signal, listener);
    return () => options.signals.off(signal, listener);
  });
  return () => {
    for (const remove of listeners) remove();
  };
}

function exitCode(child: ChildProcess, file: string, say: (line: string) => void): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      // After the start an error is about a signal that could not be sent: no end yet.
      if (child.pid !== undefined) return;
      const [code, why] = SPAWN_FAILURES.get(error.code ?? '') ?? [126, error.message];
      say(`\`${file}\` cannot be run: ${why}`);
      resolve(code);
    });
    child.once('exit', (code, signal) => {
      resolve(code ?? (signal === null ? 1 : 128 + constants.signals[signal]));
    });
  });
}

/** As shells report them: 127 not found, 126 found and not executable. */
const SPAWN_FAILURES: ReadonlyMap<string, readonly [code: number, why: string]> = new Map([
  ['ENOENT', [127, 'there is no such command; check its name and PATH']],
  ['ENOTDIR', [127, 'there is no such command; check its path']],
  ['EACCES', [126, 'it is not executable; check its permissions']],
  ['EPERM', [126, 'it is not executable; check its permissions']],
  ['ENOEXEC', [126, 'it is not a program; does it lack a `#!` line?']],
  ['E2BIG', [126, 'its arguments and environment are too long']],
]);
