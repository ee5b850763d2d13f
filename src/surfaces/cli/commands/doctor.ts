/** `ratelord doctor`: finds the usual breakage and says what to do. */
import { apiBase } from '../api-client.ts';
import { checkAuthority } from '../doctor/authority.ts';
import { checkDaemon } from '../doctor/daemon.ts';
import { checkDataDir } from '../doctor/data-dir.ts';
import { broken, type Finding } from '../doctor/finding.ts';
import { checkPorts } from '../doctor/ports.ts';
import { checkProxyVariables } from '../doctor/proxy-env.ts';
import { checkRuntime } from '../doctor/runtime.ts';
import { checkTrustVariables } from '../doctor/trust-env.ts';
import type { CliSettings, CliShell, Flags, Output } from '../shell.ts';
import { createPaint } from '../text/paint.ts';

/** 0 when nothing is broken, else 1. */
export async function doctorCommand(
  shell: CliShell,
  flags: Flags & { readonly json?: boolean | undefined },
): Promise<number> {
  const findings = await examine(shell, flags);
  shell.out.write(
    flags.json === true ? `${JSON.stringify({ findings })}\n` : reportText(findings, shell.out),
  );
  return findings.some((finding) => finding.level === 'broken') ? 1 : 0;
}

async function examine(shell: CliShell, flags: Flags): Promise<Finding[]> {
  const runtime = checkRuntime(shell.nodeVersion, shell.env);
  const outcome = await shell.settings(flags);
  if (!outcome.ok) {
    const wrong = outcome.problems.map((problem) =>
      broken('settings', problem, 'correct it; the daemon does not start like this'),
    );
    return [...runtime, ...wrong];
  }
  return [...runtime, ...(await examineInstallation(shell, flags, outcome.settings))];
}

async function examineInstallation(
  shell: CliShell,
  flags: Flags,
  settings: CliSettings,
): Promise<Finding[]> {
  const base = apiBase(shell, settings, flags);
  const { token, findings: secrets } = readToken(settings);
  const { health, findings: daemon } = await checkDaemon(base, token);
  const running = daemon.some(({ level }) => level !== 'note');
  const ports = [
    { flag: '--listen', address: settings.listen },
    { flag: '--api', address: settings.api },
  ];
  const variables = checkProxyVariables(shell.env, settings, health?.proxy);
  const passing = variables.some(
    ({ level, message }) => level === 'ok' && message.includes('leads to ratelord'),
  );
  return [
    ...secrets,
    ...daemon,
    ...(running ? [] : await checkPorts(ports)),
    ...checkDataDir(settings.dataDir, shell.pid),
    ...checkAuthority(settings.caFile, shell.now()),
    ...variables,
    ...(passing ? checkTrustVariables(shell.env, settings.caFile) : []),
  ];
}

function readToken(settings: CliSettings): { token: string | null; findings: Finding[] } {
  try {
    return { token: settings.apiToken(), findings: [] };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { token: null, findings: [broken('settings', `api.token: ${why}`, 'set it')] };
  }
}

const SIGNS = { ok: 'ok    ', note: 'note  ', warn: 'warn  ', broken: 'BROKEN' } as const;

function reportText(findings: readonly Finding[], output: Pick<Output, 'colours'>): string {
  const paint = createPaint(output.colours);
  const colour = { ok: paint.good, note: paint.dim, warn: paint.warn, broken: paint.bad };
  const lines = findings.map(({ level, check, message, todo }) => {
    const line = `${colour[level](SIGNS[level])}  ${check}: ${message}`;
    return todo === undefined ? line : `${line}\n          ${paint.strong('do:')} ${todo}`;
  });
  const bad = findings.filter(({ level }) => level === 'broken').length;
  const doubtful = findings.filter(({ level }) => level === 'warn').length;
  const verdict =
    bad > 0
      ? `${String(bad)} broken`
      : doubtful > 0
        ? `nothing is broken; ${String(doubtful)} to look at`
        : 'everything is in order';
  return `${lines.join('\n')}\n\n${verdict}\n`;
}
