import { broken, ok, warn, type Finding } from './finding.ts';

const OLDEST = [22, 19] as const;

/** Whether this Node can run ratelord, and whether something in the environment weakens TLS. */
export function checkRuntime(
  nodeVersion: string,
  env: Readonly<Record<string, string | undefined>>,
): Finding[] {
  const [major = 0, minor = 0] = nodeVersion.replace(/^v/, '').split('.').map(Number);
  const old = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  const findings = [
    old
      ? broken(
          'node',
          `this is Node ${nodeVersion}; ratelord needs ${OLDEST.join('.')} or later`,
          'install a newer Node from https://nodejs.org, or run `npm install` in the checkout',
        )
      : ok('node', `Node ${nodeVersion}`),
  ];
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    findings.push(
      warn(
        'tls',
        'NODE_TLS_REJECT_UNAUTHORIZED=0 makes every Node program accept any certificate',
        'unset it; `ratelord env` makes Node trust the local CA without it',
      ),
    );
  }
  return findings;
}
