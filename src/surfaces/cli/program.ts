import { Command, CommanderError, Option } from 'commander';
import { CommandFailure } from './api-client.ts';
import type { CommandOutput } from './commands/env.ts';
import type { CliShell, Flags } from './shell.ts';

/** Exit codes: 0 done, 1 the thing asked for failed, 2 wrong usage. */
const FAILED = 1;
const WRONG_USAGE = 2;

const EXAMPLES = `
Examples:
  ratelord serve                          start the daemon
  ratelord run -- python agent.py         run a program through it
  eval "$(ratelord env)"                  make this shell's programs use it
  ratelord status                         what is left of every quota
  ratelord explain rl_1k2                 why a request was delayed or refused
  ratelord doctor                         find what is broken, and what to do`;

/**
 * Runs one command line (without the program's own name) and resolves with the exit code. Each
 * command's code is loaded when it is used, so that `serve` starts without the others.
 */
export async function runCli(argv: readonly string[], shell: CliShell): Promise<number> {
  let code = 0;
  const program = buildProgram(shell, (result) => (code = result));
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
    if (error instanceof CommandFailure) {
      shell.err.write(`${error.message}\n`);
      return FAILED;
    }
    throw error;
  }
}

function buildProgram(shell: CliShell, done: (code: number) => void): Command {
  const program = new Command('ratelord')
    .description('A transparent proxy by which many agents share API quotas without a 429.')
    .version(shell.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .addHelpText('after', EXAMPLES)
    // What follows `run`'s command is that command's own.
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .showHelpAfterError('(see --help)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => shell.out.write(text),
      writeErr: (text) => shell.err.write(text),
    });
  addDaemonCommands(program, shell, done);
  addLookingCommands(program, shell, done);
  addPolicyCommands(program, shell, done);
  return program;
}

/** Options of every command that needs the settings. */
function withSettings(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (RATELORD_CONFIG; default ./ratelord.yaml)')
    .option('--data <dir>', 'data directory (RATELORD_DATA)')
    .option('--api <host:port>', 'address of the API (RATELORD_API; default 127.0.0.1:8090)');
}

function withServing(command: Command): Command {
  return withSettings(command)
    .option('--policy <file>', 'policy file (RATELORD_POLICY)')
    .option(
      '--listen <host:port>',
      'address of the proxy (RATELORD_LISTEN; default 127.0.0.1:8787)',
    )
    .addOption(
      new Option('--mode <mode>', 'enforce, or observe: record and change nothing (RATELORD_MODE)'),
    )
    .option('--log-level <level>', 'least level that is logged (RATELORD_LOG_LEVEL; default info)');
}

function print(shell: CliShell, output: CommandOutput): number {
  if (output.stdout !== '') shell.out.write(output.stdout);
  if (output.stderr !== '') shell.err.write(output.stderr);
  return output.code;
}

interface AgentFlags extends Flags {
  readonly agent?: string;
  readonly token?: string;
  readonly shell?: string;
}

function addDaemonCommands(program: Command, shell: CliShell, done: (code: number) => void): void {
  withServing(program.command('serve'))
    .description('run the daemon: the proxy and its API')
    .action(async (flags: Flags) => done(await shell.startDaemon(flags)));

  withServing(program.command('run'))
    .description('run a command whose API traffic goes through the daemon')
    .usage('[options] -- CMD [ARGS...]')
    .argument('<cmd...>', 'command and its arguments')
    .option('--agent <name>', 'name of the agent, for policies and the ledger')
    .option('--token <token>', 'token of an agent listed in the configuration')
    .passThroughOptions()
    .action(async (argv: string[], flags: AgentFlags) => {
      const { run } = await import('./client-commands.ts');
      done(await run(shell, argv, flags));
    });

  withSettings(program.command('env'))
    .description('print the settings by which clients use the daemon')
    .option('--shell <name>', 'sh, fish, powershell, json or docker', 'sh')
    .option('--agent <name>', 'name of the agent, for policies and the ledger')
    .option('--token <token>', 'token of an agent listed in the configuration')
    .option('--listen <host:port>', 'address of the proxy, when no daemon is running')
    .action(async (flags: AgentFlags) => {
      const { env } = await import('./client-commands.ts');
      done(print(shell, await env(shell, flags)));
    });

  withSettings(program.command('ca'))
    .description('the local CA: its path, its certificates, or a new one')
    .argument('<action>', 'path, print or rotate')
    .action(async (action: string, flags: Flags) => {
      const { ca } = await import('./client-commands.ts');
      done(print(shell, await ca(shell, action, flags)));
    });
}

function addLookingCommands(program: Command, shell: CliShell, done: (code: number) => void): void {
  withSettings(program.command('status'))
    .description('health, pools with what is left of them, and who uses what')
    .option('--json', 'one JSON object')
    .option(
      '--chart <pool>',
      'use of one pool so far, and when it will run out; its id or the end of it',
    )
    .action(async (flags: Flags) => {
      const { statusCommand } = await import('./commands/status.ts');
      done(await statusCommand(shell, flags));
    });

  withSettings(program.command('events'))
    .description('the ledger, oldest first')
    .option('-f, --follow', 'go on with what is recorded, until interrupted')
    .option('--type <types>', 'event types, separated by commas')
    .option('--agent <name>', 'only of this agent')
    .option('--identity <id>', 'only of this identity')
    .option('--provider <id>', 'only about this provider')
    .option('--pool <id>', 'only about this pool')
    .option('--since <time>', 'RFC 3339, epoch milliseconds, or so long ago: 30s, 10m, 2h, 1d')
    .option('--until <time>', 'RFC 3339 or epoch milliseconds')
    .option('--after <seq>', 'only after this sequence number')
    .option('--limit <n>', 'at most so many, the newest unless --after is given; up to 1000')
    .option('--json', 'one JSON object a line')
    .action(async (flags: Flags) => {
      const { eventsCommand } = await import('./commands/events.ts');
      done(await eventsCommand(shell, flags));
    });

  withSettings(program.command('explain'))
    .description('why a request was passed, delayed or refused')
    .argument('<id>', 'x-ratelord-id of its answer, or a sequence number of the ledger')
    .option('--json', 'one JSON object')
    .action(async (id: string, flags: Flags) => {
      const { explainCommand } = await import('./commands/explain.ts');
      done(await explainCommand(shell, id, flags));
    });

  withSettings(program.command('doctor'))
    .description('find the usual breakage and say what to do; fails when something is broken')
    .option('--listen <host:port>', 'address of the proxy')
    .option('--json', 'one JSON object')
    .action(async (flags: Flags) => {
      const { doctorCommand } = await import('./commands/doctor.ts');
      done(await doctorCommand(shell, flags));
    });
}

interface ReplayOptions extends Flags {
  readonly policy: string;
  readonly since?: string;
  readonly until?: string;
  readonly json?: boolean;
}

interface SimFlags {
  readonly seed?: string;
  readonly trace?: string;
  readonly json?: boolean;
}

function addPolicyCommands(program: Command, shell: CliShell, done: (code: number) => void): void {
  withSettings(program.command('replay'))
    .description('decide the requests in the ledger again by another policy, and show what differs')
    .requiredOption('--policy <file>', 'the policy to try; the one in force stays')
    .option('--since <time>', 'RFC 3339, epoch milliseconds, or so long ago: 30s, 10m, 2h, 1d')
    .option('--until <time>', 'likewise')
    .option('--json', 'one JSON object')
    .action(async (flags: ReplayOptions) => {
      const { replayCommand } = await import('./commands/replay.ts');
      done(await replayCommand(shell, flags));
    });

  program
    .command('sim')
    .description('run scenarios in virtual time; fails when one of their invariants does')
    .argument('<file...>', 'scenario files')
    .option('--seed <n>', "instead of the scenario's own")
    .option('--trace <file>', 'trace for agents that play one: Azure, Mooncake or ServeGen CSV')
    .option('--json', 'one JSON object')
    .action(async (files: string[], flags: SimFlags) => {
      const { simCommand } = await import('./commands/sim.ts');
      done(await simCommand(shell, files, flags));
    });

  const policy = program.command('policy').description('policy files');
  withSettings(policy.command('check'))
    .description('validate policy files; fails with path, line and a suggestion')
    .argument('<file...>', 'policy files')
    .action(async (files: string[], flags: Flags) => {
      const { policyCheck } = await import('./commands/policy-check.ts');
      const outcome = await shell.settings(flags);
      // Broken settings are no fault of the policy: names of providers are then not checked.
      const known = outcome.ok ? { providers: outcome.settings.providers } : {};
      const { lines, exitCode } = policyCheck({ files, ...known });
      shell.out.write(lines.map((line) => `${line}\n`).join(''));
      done(exitCode);
    });
}
