import { createHmac, randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  renameSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';

const KEY_BYTES = 32;
/** Of the hash's 64 hex characters: 128 bits, ample for telling credentials apart. */
const HASH_CHARACTERS = 32;

export type KeyResult =
  { readonly ok: true; readonly key: Buffer } | { readonly ok: false; readonly message: string };

/** Reads the key, makes it when there is none. Throws when the file system refuses. */
export function credentialKey(path: string): KeyResult {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) create(path);
  else if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
    const mode = (found.mode & 0o777).toString(8);
    return {
      ok: false,
      message: `the key \`${path}\` can be read by others (mode ${mode}): run \`chmod 600 ${path}\``,
    };
  }
  const key = readFileSync(path);
  if (key.length === KEY_BYTES) return { ok: true, key };
  return {
    ok: false,
    message: `the key \`${path}\` has ${String(key.length)} bytes instead of ${String(KEY_BYTES)}: restore it, or move it away and start again, and recorded credentials count as new ones`,
  };
}

/** Whole or not at all: complete under another name, then renamed. The directory's lock is held. */
function create(path: string): void {
  const draft = `${path}.${String(process.pid)}.tmp`;
  rmSync(draft, { force: true });
  const file = openSync(draft, 'wx', 0o600);
  try {
    writeSync(file, randomBytes(KEY_BYTES));
    fsyncSync(file);
    closeSync(file);
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** HMAC-SHA256 of a credential, hex, shortened; `''` for an empty credential. */
export function hashCredential(key: Buffer, credential: string): string {
  if (credential === '') return '';
  return createHmac('sha256', key).update(credential).digest('hex').slice(0, HASH_CHARACTERS);
}
