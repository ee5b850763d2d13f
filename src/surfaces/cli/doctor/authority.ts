import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { spanText } from '../../../query/wording.ts';
import { broken, note, ok, reasonOf, warn, type Finding } from './finding.ts';

const DAY_MS = 86_400_000;
const SOON_MS = 45 * DAY_MS;
const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** The local CA: whether its files are there, readable, private and not about to expire. */
export function checkAuthority(caFile: string, now: number): Finding[] {
  const dir = dirname(caFile);
  if (!existsSync(dir)) {
    return [note('ca', 'there is no local CA yet; it is made at the first start')];
  }
  return [...checkRoots(caFile, now), ...checkKeys(dir)];
}

function checkRoots(caFile: string, now: number): Finding[] {
  let roots: X509Certificate[];
  try {
    roots = certificatesIn(readFileSync(caFile, 'utf8')).map((pem) => new X509Certificate(pem));
  } catch (error) {
    const again = 'restart the daemon, which writes it again, or run `ratelord ca rotate`';
    return [broken('ca', `\`${caFile}\` cannot be read (${reasonOf(error)})`, again)];
  }
  if (roots.length === 0) {
    return [broken('ca', `\`${caFile}\` holds no certificate`, 'run `ratelord ca rotate`')];
  }
  const left = Math.max(...roots.map((root) => Date.parse(root.validTo) - now));
  const rotate = 'run `ratelord ca rotate`, then restart what trusts the old one';
  if (left <= 0) return [broken('ca', 'the local CA has expired', rotate)];
  if (roots.every((root) => Date.parse(root.validFrom) > now)) {
    return [broken('ca', 'the local CA is not valid yet', 'set the clock of this machine right')];
  }
  const valid = `the local CA is valid for another ${spanText(left)}`;
  return [left < SOON_MS ? warn('ca', valid, rotate) : ok('ca', valid)];
}

export function certificatesIn(pem: string): readonly string[] {
  return pem.match(PEM) ?? [];
}

function checkKeys(dir: string): Finding[] {
  if (process.platform === 'win32') return [];
  const findings: Finding[] = [];
  if ((statSync(dir).mode & 0o077) !== 0) {
    findings.push(broken('ca', `\`${dir}\` is open to others`, `run \`chmod 700 ${dir}\``));
  }
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isFile() !== true || (stats.mode & 0o077) === 0 || !holdsKey(path)) continue;
    findings.push(
      broken(
        'ca',
        `the private key \`${path}\` may be read by others, so the daemon refuses it`,
        `run \`chmod 600 ${path}\`; if others had access, \`ratelord ca rotate\``,
      ),
    );
  }
  return findings;
}

function holdsKey(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').includes('PRIVATE KEY-----');
  } catch {
    return false;
  }
}
