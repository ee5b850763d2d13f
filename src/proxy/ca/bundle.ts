/**
 * One PEM file with every root a client needs. `SSL_CERT_FILE` and its like replace the system's
 * roots instead of adding to them, so for hosts that are tunnelled untouched the file has to hold the
 * system's, whatever custom bundle the user has already, and ours.
 */
import { X509Certificate, createHash } from 'node:crypto';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { getCACertificates, rootCertificates } from 'node:tls';
import { writeWhole } from './secure-files.ts';

/** Where systems keep their roots in one PEM file; the first that is there counts. */
const SYSTEM_FILES: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Arch, Alpine
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', // Fedora, RHEL
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem', // openSUSE
  '/etc/ssl/cert.pem', // BSDs
];

/** Variables by which a user may have named roots of their own, e.g. of a company's proxy. */
export const CUSTOM_BUNDLE_VARIABLES: readonly string[] = [
  'SSL_CERT_FILE',
  'NIX_SSL_CERT_FILE',
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'AWS_CA_BUNDLE',
  'PIP_CERT',
  'CARGO_HTTP_CAINFO',
  'DENO_CERT',
  'CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE',
  'BUNDLE_SSL_CA_CERT',
  'npm_config_cafile',
  'CODEX_CA_CERTIFICATE',
];

const CERTIFICATE = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/g;

/** Bundles above this size are not bundles (the system's is some 220 KB). */
const MAX_BYTES = 16 * 1024 * 1024;

export interface BundleOptions {
  /** PEM of our roots. The bundle is written beside it. */
  readonly caFile: string;
  /** Variables the client would inherit. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Replaces the look-up of the system's roots: PEM text. */
  readonly systemRoots?: () => string;
}

export interface Bundle {
  readonly file: string;
  /** How many different certificates it holds. */
  readonly certificates: number;
  /** Custom bundles that could not be used, and why. */
  readonly notices: readonly string[];
}

/**
 * Writes `bundle.pem` beside our roots. With custom roots in `env` it is `bundle-<hash>.pem` instead,
 * so that two shells with different ones do not overwrite each other's. Throws `AuthorityError` when
 * it cannot be written.
 */
export function writeBundle(options: BundleOptions): Bundle {
  const notices: string[] = [];
  const found = new Map<string, string>();
  addCertificates(found, (options.systemRoots ?? systemRoots)());
  const systemCount = found.size;
  for (const text of customBundles(options, notices)) addCertificates(found, text);
  const hasCustom = found.size > systemCount;
  addCertificates(found, readFileSync(options.caFile, 'utf8'));
  const text = [...found.values()].join('');
  const name = hasCustom ? `bundle-${shortHash(text)}.pem` : 'bundle.pem';
  const file = join(dirname(options.caFile), name);
  if (readText(file) !== text) writeWhole(file, text, 0o644);
  return { file, certificates: found.size, notices };
}

/** The system's roots as PEM; Mozilla's as Node ships them where the system has none. */
export function systemRoots(): string {
  if (process.platform !== 'darwin' && process.platform !== 'win32') {
    for (const path of SYSTEM_FILES) {
      const text = readText(path);
      if (text?.includes('-----BEGIN CERTIFICATE-----')) return text;
    }
  }
  const system = getCACertificates('system');
  return (system.length > 0 ? system : rootCertificates).join('\n');
}

function* customBundles(options: BundleOptions, notices: string[]): Generator<string> {
  const seen = new Set<string>();
  const ownDir = realPath(dirname(options.caFile));
  for (const variable of CUSTOM_BUNDLE_VARIABLES) {
    const value = options.env[variable];
    if (value === undefined || value === '') continue;
    const path = realPath(value);
    if (seen.has(path)) continue;
    seen.add(path);
    const text = readText(path);
    // Ours, when one `ratelord run` is started inside another: what it held of the user's counts.
    if (dirname(path) === ownDir) yield withoutOwnRoots(text ?? '');
    else if (text?.includes('-----BEGIN CERTIFICATE-----')) yield text;
    else
      notices.push(`\`${variable}\` names \`${value}\`, which holds no readable PEM certificate`);
  }
}

/** An earlier bundle without our roots: one that was rotated away must not live on in it. */
function withoutOwnRoots(pem: string): string {
  return pem.replace(CERTIFICATE, (block) => {
    try {
      return /^O=ratelord$/m.test(new X509Certificate(block).subject) ? '' : block;
    } catch {
      return '';
    }
  });
}

/** Adds what is new, by the certificate's bytes: duplicate roots broke a client more than once. */
function addCertificates(found: Map<string, string>, text: string): void {
  const blocks = text.matchAll(CERTIFICATE);
  for (const [, body] of blocks) {
    const base64 = (body ?? '').replace(/\s/g, '').replace(/=+$/, '');
    // DER of a certificate is a SEQUENCE whose length has its own bytes: 0x30 0x8…, in Base64 `MI`.
    if (!/^MI[A-Za-z0-9+/]+$/.test(base64) || found.has(base64)) continue;
    const padded = base64.padEnd(Math.ceil(base64.length / 4) * 4, '=');
    const lines = padded.match(/.{1,64}/g) ?? [];
    found.set(
      base64,
      `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    );
  }
}

function readText(path: string): string | null {
  try {
    const stat = statSync(path);
    return stat.isFile() && stat.size <= MAX_BYTES ? readFileSync(path, 'utf8') : null;
  } catch {
    return null;
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
