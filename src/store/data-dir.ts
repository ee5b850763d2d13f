import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { credentialKey, hashCredential } from './credential-key.ts';
import { lockDirectory } from './lock.ts';
import { messageOf } from './notice.ts';

export interface DataDir {
  /** Absolute. */
  readonly path: string;
  readonly ledgerPath: string;
  /** Keyed hash of a credential, 32 hex characters; `''` for an empty one. */
  readonly hasher: { hash(credential: string): string };
  /** Lets another process have the directory. Close the ledger first. */
  close(): void;
}

export type DataDirResult =
  | { readonly ok: true; readonly dir: DataDir }
  | {
      readonly ok: false;
      readonly code: 'RL_DATA_IN_USE' | 'RL_DATA_KEY' | 'RL_DATA_UNUSABLE';
      readonly message: string;
    };

/** Takes the data directory for this process alone; makes it, for its owner only, when missing. */
export function openDataDir(path: string): DataDirResult {
  const directory = resolve(path);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const lock = lockDirectory(directory);
    if (!lock.ok) {
      const holder =
        lock.pid === null ? 'another ratelord' : `ratelord with pid ${String(lock.pid)}`;
      return {
        ok: false,
        code: 'RL_DATA_IN_USE',
        message: `the data directory \`${directory}\` is in use by ${holder}: stop it, or choose another with --data`,
      };
    }
    const key = keyOrRelease(join(directory, 'credential.key'), lock.release);
    if (!key.ok) return { ok: false, code: 'RL_DATA_KEY', message: key.message };
    return {
      ok: true,
      dir: {
        path: directory,
        ledgerPath: join(directory, 'ledger.db'),
        hasher: { hash: (credential) => hashCredential(key.key, credential) },
        close: lock.release,
      },
    };
  } catch (error) {
    const message = `the data directory \`${directory}\` cannot be used: ${messageOf(error)}`;
    return { ok: false, code: 'RL_DATA_UNUSABLE', message };
  }
}

/** Whatever keeps the key from being had also gives the directory back. */
function keyOrRelease(path: string, release: () => void): ReturnType<typeof credentialKey> {
  try {
    const key = credentialKey(path);
    if (!key.ok) release();
    return key;
  } catch (error) {
    release();
    throw error;
  }
}
