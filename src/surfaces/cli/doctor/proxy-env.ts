import { callUrl } from '../address.ts';
import type { CliSettings } from '../shell.ts';
import { broken, note, ok, warn, type Finding } from './finding.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What the proxy variables of this shell do to clients started from it. */
export function checkProxyVariables(
  env: Environment,
  settings: Pick<CliSettings, 'listen' | 'governedHosts'>,
  proxyUrl: string = callUrl(settings.listen),
): Finding[] {
  const https = bothCases(env, 'HTTPS_PROXY');
  const conflicts = ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY'].flatMap((name) =>
    conflict(name, bothCases(env, name)),
  );
  const value = https.lower ?? https.upper;
  if (value === undefined) {
    const only = bothCases(env, 'HTTP_PROXY');
    return [...conflicts, (only.lower ?? only.upper) === undefined ? unset() : httpOnly()];
  }
  return [
    ...conflicts,
    ...checkTarget(value, proxyUrl),
    ...checkBypass(env, settings.governedHosts),
  ];
}

interface Cases {
  readonly upper: string | undefined;
  readonly lower: string | undefined;
}

function bothCases(env: Environment, name: string): Cases {
  return { upper: filled(env[name]), lower: filled(env[name.toLowerCase()]) };
}

function filled(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function conflict(name: string, { upper, lower }: Cases): Finding[] {
  if (upper === undefined || lower === undefined || upper === lower) return [];
  return [
    warn(
      'proxy variables',
      `${name} and ${name.toLowerCase()} differ, and clients disagree on which one counts`,
      'set both the same: `eval "$(ratelord env)"` does',
    ),
  ];
}

function unset(): Finding {
  return note(
    'proxy variables',
    'HTTPS_PROXY is not set in this shell: clients started here do not pass ratelord',
    'use `ratelord run -- CMD`, or `eval "$(ratelord env)"`, or a base URL',
  );
}

function httpOnly(): Finding {
  return warn(
    'proxy variables',
    'HTTP_PROXY is set and HTTPS_PROXY is not: https URLs do not pass the proxy',
    'run `eval "$(ratelord env)"`',
  );
}

function checkTarget(value: string, proxyUrl: string): Finding[] {
  const url = URL.parse(value.includes('://') ? value : `http://${value}`);
  const again = 'run `eval "$(ratelord env)"`';
  if (url === null) return [broken('proxy variables', 'HTTPS_PROXY is no URL', again)];
  const own = new URL(proxyUrl);
  if (url.port !== own.port || !sameMachine(url.hostname, own.hostname)) {
    // The user part of it may hold a password.
    return [
      warn(
        'proxy variables',
        `HTTPS_PROXY leads to ${url.protocol}//${url.host}, not to ratelord at ${proxyUrl}`,
        `${again}; if the other proxy is needed, name it as upstream_proxy in ratelord.yaml`,
      ),
    ];
  }
  if (url.protocol !== 'http:') {
    return [
      broken(
        'proxy variables',
        `HTTPS_PROXY speaks ${url.protocol}// to ratelord, which listens for http://`,
        `${again}: the tunnel inside is encrypted all the same`,
      ),
    ];
  }
  return [ok('proxy variables', `HTTPS_PROXY leads to ratelord at ${proxyUrl}`)];
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function sameMachine(a: string, b: string): boolean {
  return a === b || (LOOPBACK.test(a) && LOOPBACK.test(b));
}

function checkBypass(env: Environment, governed: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  for (const name of ['NO_PROXY', 'no_proxy']) {
    const items = (env[name] ?? '').split(/[\s,]+/).filter((item) => item !== '');
    const missed = governed.filter((host) => items.some((item) => covers(item, host)));
    if (missed.length === 0) continue;
    findings.push(
      broken(
        'proxy variables',
        `${name} keeps ${missed.join(', ')} away from the proxy`,
        `take ${items.filter((item) => missed.some((host) => covers(item, host))).join(', ')} out of ${name}`,
      ),
    );
  }
  return findings;
}

/** As curl and most clients read NO_PROXY: a name covers itself and what is below it. */
function covers(item: string, host: string): boolean {
  if (item === '*') return true;
  const name = item
    .toLowerCase()
    .replace(/^\*?\./, '')
    .replace(/:\d+$/, '');
  const bare = host.replace(/^\./, '');
  return name !== '' && (bare === name || bare.endsWith(`.${name}`));
}
