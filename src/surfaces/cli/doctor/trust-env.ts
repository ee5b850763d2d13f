import { readFileSync } from 'node:fs';
import { certificatesIn } from './authority.ts';
import { broken, ok, reasonOf, warn, type Finding } from './finding.ts';

/** Variables that name the roots a client trusts, with who reads them. */
const VARIABLES = [
  ['NODE_EXTRA_CA_CERTS', 'Node'],
  ['SSL_CERT_FILE', 'OpenSSL, Python, Go'],
  ['REQUESTS_CA_BUNDLE', 'Python requests'],
  ['CURL_CA_BUNDLE', 'curl'],
  ['GIT_SSL_CAINFO', 'git'],
] as const;

const AGAIN = 'run `eval "$(ratelord env)"`, or start the client with `ratelord run`';

/**
 * Whether clients started from this shell would trust the local CA; asked only when their traffic
 * goes to the proxy.
 */
export function checkTrustVariables(
  env: Readonly<Record<string, string | undefined>>,
  caFile: string,
): Finding[] {
  const roots = bodiesOf(caFile);
  if (typeof roots === 'string') return [];
  const unset: string[] = [];
  const findings: Finding[] = [];
  for (const [name, readers] of VARIABLES) {
    const path = env[name] ?? '';
    if (path === '') {
      unset.push(`${name} (${readers})`);
      continue;
    }
    const held = bodiesOf(path);
    if (typeof held === 'string') {
      findings.push(
        broken('trust', `${name} names \`${path}\`, which cannot be read (${held})`, AGAIN),
      );
    } else if (![...roots].every((root) => held.has(root))) {
      const message = `${name} names \`${path}\`, in which the local CA is missing: ${readers} will refuse it`;
      findings.push(broken('trust', message, AGAIN));
    }
  }
  if (unset.length > 0) {
    findings.push(
      warn('trust', `not set here: ${unset.join(', ')}; these will refuse the local CA`, AGAIN),
    );
  }
  return findings.length > 0 ? findings : [ok('trust', 'clients started here trust the local CA')];
}

/** The certificates of a file, or why it cannot be read. */
function bodiesOf(path: string): ReadonlySet<string> | string {
  try {
    return new Set(
      certificatesIn(readFileSync(path, 'utf8')).map((pem) => pem.replace(/\s+/g, '')),
    );
  } catch (error) {
    return reasonOf(error);
  }
}
