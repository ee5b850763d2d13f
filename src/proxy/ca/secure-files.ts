/** Files that hold or vouch for keys: written whole or not at all, read only when nobody else can. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Something about the local CA's files that a person has to put right. */
export class AuthorityError extends Error {
  override readonly name = 'AuthorityError';
}

const POSIX = process.platform !== 'win32';
/** Absent on Windows, where opening a link is not what is guarded against. */
const NO_FOLLOW = POSIX ? constants.O_NOFOLLOW : 0;

function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

/**
 * Makes the directory (0700), or checks that the one there is a directory only its owner can change,
 * and tightens what others may read.
 */
export function securePrivateDirectory(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unwritable(dir, error);
  }
  if (!POSIX) return;
  const stat = lstatSync(dir);
  if (stat.isSymbolicLink()) {
    throw new AuthorityError(
      `\`${dir}\` is a symbolic link; the local CA needs a directory of its own: remove the link`,
    );
  }
  if ((stat.mode & 0o022) !== 0) {
    throw new AuthorityError(
      `\`${dir}\` can be changed by other users (mode ${octal(stat.mode)}); ` +
        `run \`chmod 700 ${dir}\`, and \`ratelord ca rotate\` unless you trust them`,
    );
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(dir, 0o700);
}

/**
 * Reads a file only its owner may read. `null` when there is none; throws `AuthorityError` for a
 * symbolic link, another owner, or a mode that lets the group or the world in.
 */
export function readPrivateFile(path: string): string | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | NO_FOLLOW);
  } catch (error) {
    if (errno(error) === 'ENOENT') return null;
    if (errno(error) === 'ELOOP') {
      throw new AuthorityError(`\`${path}\` is a symbolic link; a key must be a plain file`);
    }
    throw new AuthorityError(`\`${path}\` cannot be read: ${errno(error) ?? String(error)}`);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new AuthorityError(`\`${path}\` is not a plain file`);
    if (POSIX && (stat.mode & 0o077) !== 0) {
      throw new AuthorityError(
        `\`${path}\` can be read by other users (mode ${octal(stat.mode)}); ` +
          `run \`chmod 600 ${path}\`, and \`ratelord ca rotate\` unless you trust them`,
      );
    }
    const uid = process.geteuid?.();
    if (uid !== undefined && stat.uid !== uid) {
      throw new AuthorityError(
        `\`${path}\` belongs to user ${stat.uid}, not to the user ${uid} that runs ratelord; ` +
          `run \`chown ${uid} ${path}\``,
      );
    }
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/**
 * Replaces `path` in one step, durably.
 * @param exclusive only when there is no such file; `false` is returned when there is.
 */
export function writeWhole(path: string, text: string, mode: number, exclusive = false): boolean {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const fd = openSync(temporary, 'wx', mode);
    try {
      // Not writeSync: that may write a part.
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    // A umask narrows the mode given to open; what others should read must not depend on it.
    if (POSIX) chmodSync(temporary, mode);
    if (exclusive) linkSync(temporary, path);
    else renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    if (exclusive && errno(error) === 'EEXIST') return false;
    throw unwritable(path, error);
  }
  if (exclusive) rmSync(temporary, { force: true });
  syncDirectory(dirname(path));
  return true;
}

/** Makes the rename itself durable; not every file system can. */
function syncDirectory(dir: string): void {
  if (!POSIX) return;
  const fd = openSync(dir, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } catch {
    // EINVAL on some network file systems: the rename is then as durable as they make it.
  } finally {
    closeSync(fd);
  }
}

function unwritable(path: string, error: unknown): AuthorityError {
  return new AuthorityError(`\`${path}\` cannot be written: ${errno(error) ?? String(error)}`, {
    cause: error,
  });
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
