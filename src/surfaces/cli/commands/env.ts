/** `ratelord env`: what to set so that a client goes through the daemon. */
import { clientEnv } from '../client-env.ts';
import type { Environment } from '../client-env.ts';
import { SHELLS, isShell, shellLines } from '../shell-lines.ts';
import type { Trust } from './run.ts';

export interface EnvCommandOptions {
  readonly shell: string;
  readonly agent?: string;
  readonly token?: string;
  /** Variables of the shell that asks. */
  readonly inherited: Environment;
  readonly nodeVersion?: string;
  readonly platform: string;
  /** The daemon that answers, or where the configuration says that one would. */
  readonly proxyUrl: string;
  readonly running: boolean;
  /** `null` when there is no local CA yet. */
  readonly trust: Trust | null;
}

export interface CommandOutput {
  /** 0 done, 1 failed, 2 wrong usage. */
  readonly code: 0 | 1 | 2;
  readonly stdout: string;
  readonly stderr: string;
}

export function envCommand(options: EnvCommandOptions): CommandOutput {
  const { shell, trust } = options;
  if (!isShell(shell)) {
    const known = SHELLS.join(', ');
    return { code: 2, stdout: '', stderr: `unknown shell \`${shell}\`; known are ${known}\n` };
  }
  const notes = [...(trust?.notices ?? [])];
  if (!options.running) {
    notes.push(`no daemon answers at ${options.proxyUrl}; start one with \`ratelord serve\``);
  }
  if (trust === null) {
    notes.push('there is no local CA yet, so no trust is set; it is made when the daemon starts');
  }
  const inDocker = shell === 'docker';
  const settings = clientEnv({
    proxyUrl: inDocker ? dockerUrl(options) : options.proxyUrl,
    caFile: trust?.caFile ?? null,
    bundleFile: trust?.bundleFile ?? null,
    inherited: inDocker ? withoutHost(options.inherited) : options.inherited,
    // Containers have their own node, about which nothing is known, and their own wgetrc.
    ...(trust?.wgetrcFile === undefined || inDocker ? {} : { wgetrcFile: trust.wgetrcFile }),
    ...(options.nodeVersion === undefined || inDocker ? {} : { nodeVersion: options.nodeVersion }),
    ...(options.agent === undefined ? {} : { agent: options.agent }),
    ...(options.token === undefined ? {} : { token: options.token }),
  });
  const head = inDocker ? dockerUsage(options) : '';
  const stderr = notes.map((note) => `note: ${note}\n`).join('');
  return { code: 0, stdout: head + shellLines(settings, shell), stderr };
}

/** Docker Desktop runs containers in a machine of its own, from which the host has this name. */
function dockerUrl({ platform, proxyUrl }: EnvCommandOptions): string {
  if (platform === 'linux') return proxyUrl;
  return proxyUrl.replace(
    /\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?=:|$)/,
    '//host.docker.internal',
  );
}

/** A container inherits nothing of the host but what is said about hosts to reach directly. */
function withoutHost(inherited: Environment): Environment {
  return { NO_PROXY: inherited['NO_PROXY'], no_proxy: inherited['no_proxy'] };
}

/** Comments are allowed in an env file; the paths in it must exist inside the container. */
function dockerUsage({ platform, trust }: EnvCommandOptions): string {
  const mounts = [trust?.caFile, trust?.bundleFile]
    .filter((path) => path !== undefined)
    .map((path) => ` -v '${path}:${path}:ro'`)
    .join('');
  const network = platform === 'linux' ? ' --network host' : '';
  return (
    '# save as ratelord.env, then:\n' +
    `# docker run${network} --env-file ratelord.env${mounts} IMAGE\n`
  );
}
