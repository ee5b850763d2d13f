import {
  accessSync,
  constants,
  existsSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { countText } from '../../../query/wording.ts';
import { broken, note, ok, reasonOf, warn, type Finding } from './finding.ts';

const SCARCE_BYTES = 500e6;
const FULL_BYTES = 20e6;

/** Whether the data directory can be written, is private, and has room. */
export function checkDataDir(dir: string, pid: number): Finding[] {
  if (!existsSync(dir)) return [checkParent(dir)];
  return [checkWritable(dir, pid), ...checkPrivate(dir), ...checkSpace(dir)];
}

function checkParent(dir: string): Finding {
  let parent = dirname(dir);
  while (!existsSync(parent) && dirname(parent) !== parent) parent = dirname(parent);
  try {
    accessSync(parent, constants.W_OK | constants.X_OK);
    return note('data', `\`${dir}\` does not exist yet; it is made at the first start`);
  } catch (error) {
    return broken(
      'data',
      `\`${dir}\` does not exist and cannot be made in \`${parent}\` (${reasonOf(error)})`,
      'make it yourself, or name another with --data DIR',
    );
  }
}

function checkWritable(dir: string, pid: number): Finding {
  const probe = join(dir, `.doctor-${String(pid)}`);
  try {
    writeFileSync(probe, 'x', { mode: 0o600, flag: 'wx' });
    rmSync(probe);
    return ok('data', `\`${dir}\` can be written`);
  } catch (error) {
    const code = reasonOf(error);
    const todo =
      code === 'ENOSPC'
        ? 'free some space on that disk'
        : `give it to the user that runs ratelord (\`chown\`, \`chmod u+rwx\`), or name another with --data DIR`;
    return broken('data', `\`${dir}\` cannot be written (${code})`, todo);
  }
}

function checkPrivate(dir: string): Finding[] {
  if (process.platform === 'win32') return [];
  const others = statSync(dir).mode & 0o077;
  if (others === 0) return [];
  return [
    warn(
      'data',
      `\`${dir}\` may be read by others on this machine`,
      `run \`chmod 700 ${dir}\`: the ledger and keys are in it`,
    ),
  ];
}

function checkSpace(dir: string): Finding[] {
  try {
    const { bavail, bsize } = statfsSync(dir);
    return [spaceFinding(dir, bavail * bsize)];
  } catch {
    return [];
  }
}

/** @param bytes free for this user */
export function spaceFinding(dir: string, bytes: number): Finding {
  const free = `${countText(Math.floor(bytes / 1e6))} MB free for \`${dir}\``;
  const todo = 'free some space: with a full disk governing goes on, but nothing is recorded';
  if (bytes < FULL_BYTES) return broken('disk', free, todo);
  return bytes < SCARCE_BYTES ? warn('disk', free, todo) : ok('disk', free);
}
