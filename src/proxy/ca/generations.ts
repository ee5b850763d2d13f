/**
 * The local CA on disk. A generation is a root, an intermediate constrained to some names and its
 * key; the first is made at the first start, another whenever a host is governed that none covers.
 *
 *     authority.json          which generations there are; written last, so what it names is whole
 *     root-<id>.pem           trusted by clients; its key was never written
 *     intermediate-<id>.pem   sent with each leaf
 *     intermediate-<id>.key   PKCS #8, 0600
 *     ca.pem                  all roots, for clients
 */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { EpochMs } from '../../core/units.ts';
import type { Generation } from './certificates.ts';
import { AuthorityError, readPrivateFile, writeWhole } from './secure-files.ts';

const MANIFEST_VERSION = 1;
const REMEDY = 'run `ratelord ca rotate` to make a new local CA, then restart what trusted the old';

export interface StoredGeneration {
  /** First 8 hexadecimal digits of the root's SHA-256 fingerprint. */
  readonly id: string;
  /** Bare DNS names that its leaves may be for, with their subdomains. */
  readonly names: ReadonlySet<string>;
  readonly notBefore: EpochMs;
  readonly notAfter: EpochMs;
  readonly rootPem: string;
  readonly intermediatePem: string;
  readonly key: KeyObject;
}

interface ManifestItem {
  readonly id: string;
  readonly names: readonly string[];
}

export function caFileIn(dir: string): string {
  return join(dir, 'ca.pem');
}

/** All generations, oldest first; `null` before the first start. Throws `AuthorityError`. */
export function loadGenerations(dir: string): readonly StoredGeneration[] | null {
  const path = manifestIn(dir);
  const text = readPrivateFile(path);
  if (text === null) return null;
  const items = parseManifest(text);
  if (items === null) throw damaged(path, 'it is not a list of generations');
  return items.map((item) => loadGeneration(dir, item));
}

/**
 * Writes the generations that are new and then, as the one step that counts, the list.
 * @param first whether there must be no list yet; `false` is returned when another process was
 * quicker, and nothing of ours remains.
 */
export function saveGenerations(
  dir: string,
  all: readonly StoredGeneration[],
  added: readonly StoredGeneration[],
  first: boolean,
): boolean {
  for (const generation of added) {
    const files = filesOf(dir, generation.id);
    const key = generation.key.export({ type: 'pkcs8', format: 'pem' });
    writeWhole(files.root, generation.rootPem, 0o600);
    writeWhole(files.intermediate, generation.intermediatePem, 0o600);
    writeWhole(files.key, key, 0o600);
  }
  const items: ManifestItem[] = all.map(({ id, names }) => ({ id, names: [...names] }));
  const manifest = { version: MANIFEST_VERSION, generations: items };
  if (!writeWhole(manifestIn(dir), `${JSON.stringify(manifest, null, 2)}\n`, 0o600, first)) {
    forgetGenerations(dir, added);
    return false;
  }
  writeRoots(dir, all);
  return true;
}

/** Brings `ca.pem` in line with the generations, if it is not. */
export function writeRoots(dir: string, generations: readonly StoredGeneration[]): void {
  const path = caFileIn(dir);
  const text = rootsPem(generations);
  if (readIfAny(path) !== text) writeWhole(path, text, 0o644);
}

/** What a client has to trust, newest last. */
export function rootsPem(generations: readonly StoredGeneration[]): string {
  return generations.map((generation) => generation.rootPem).join('');
}

/** Deletes the files of generations that the list no longer names. */
export function forgetGenerations(dir: string, gone: readonly { readonly id: string }[]): void {
  for (const { id } of gone) {
    const files = filesOf(dir, id);
    for (const path of [files.key, files.intermediate, files.root]) rmSync(path, { force: true });
  }
}

/** The ids the list names, without a look at the generations themselves; empty when unreadable. */
export function listedGenerations(dir: string): readonly { readonly id: string }[] {
  return parseManifest(readIfAny(manifestIn(dir)) ?? '') ?? [];
}

export function toStored(made: Generation, names: readonly string[]): StoredGeneration {
  const root = new X509Certificate(made.rootPem);
  return {
    id: root.fingerprint256.replaceAll(':', '').slice(0, 8).toLowerCase(),
    names: new Set(names),
    notBefore: Date.parse(root.validFrom),
    notAfter: Date.parse(root.validTo),
    rootPem: made.rootPem,
    intermediatePem: made.intermediatePem,
    key: made.intermediateKey,
  };
}

function loadGeneration(dir: string, item: ManifestItem): StoredGeneration {
  const files = filesOf(dir, item.id);
  const read = (path: string): string => {
    const text = readPrivateFile(path);
    if (text === null) throw new AuthorityError(`\`${path}\` is missing; ${REMEDY}`);
    return text;
  };
  const root = parseCertificate(files.root, read(files.root));
  const intermediate = parseCertificate(files.intermediate, read(files.intermediate));
  const key = parseKey(files.key, read(files.key));
  if (!intermediate.ca || !intermediate.checkIssued(root) || !intermediate.verify(root.publicKey)) {
    throw damaged(files.intermediate, 'it was not issued by its root');
  }
  if (!intermediate.checkPrivateKey(key)) {
    throw damaged(files.key, 'it is not the key of its certificate');
  }
  return {
    id: item.id,
    names: new Set(item.names),
    notBefore: Date.parse(intermediate.validFrom),
    notAfter: Date.parse(intermediate.validTo),
    rootPem: normalPem(root),
    intermediatePem: normalPem(intermediate),
    key,
  };
}

function parseCertificate(path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw damaged(path, 'it is not a certificate');
  }
}

function parseKey(path: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // The parser's own message could quote the file.
    throw damaged(path, 'it is not a private key');
  }
}

/** Only the certificate itself: whatever else stands in the file must not reach clients. */
function normalPem(certificate: X509Certificate): string {
  return certificate.toString();
}

function parseManifest(text: string): readonly ManifestItem[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('generations' in value)) return null;
  if (!('version' in value) || value.version !== MANIFEST_VERSION) return null;
  const { generations } = value;
  if (!Array.isArray(generations) || generations.length === 0) return null;
  return generations.every(isManifestItem) ? generations : null;
}

function isManifestItem(value: unknown): value is ManifestItem {
  if (typeof value !== 'object' || value === null) return false;
  if (!('id' in value) || !('names' in value)) return false;
  // The id becomes part of a path.
  if (typeof value.id !== 'string' || !/^[0-9a-f]{8}$/.test(value.id)) return false;
  return Array.isArray(value.names) && value.names.every((name) => typeof name === 'string');
}

function manifestIn(dir: string): string {
  return join(dir, 'authority.json');
}

function filesOf(dir: string, id: string): { root: string; intermediate: string; key: string } {
  return {
    root: join(dir, `root-${id}.pem`),
    intermediate: join(dir, `intermediate-${id}.pem`),
    key: join(dir, `intermediate-${id}.key`),
  };
}

function readIfAny(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function damaged(path: string, why: string): AuthorityError {
  return new AuthorityError(`\`${path}\` is damaged: ${why}; ${REMEDY}`);
}
