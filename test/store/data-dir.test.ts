import { createHmac } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type DataDir, openDataDir } from '../../src/store/data-dir.ts';
import { scratch } from './scratch.ts';

const here = scratch();

function open(path: string): DataDir {
  const opened = openDataDir(path);
  if (!opened.ok) throw new Error(opened.message);
  return opened.dir;
}

describe('the data directory', () => {
  it('is made for its owner only, with a key', () => {
    const path = join(here().path, 'a', 'b');
    const dir = open(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    const key = readFileSync(join(path, 'credential.key'));
    expect(key).toHaveLength(32);
    expect(statSync(join(path, 'credential.key')).mode & 0o777).toBe(0o600);
    expect(dir.ledgerPath).toBe(join(path, 'ledger.db'));
    expect(dir.hasher.hash('')).toBe('');
    expect(dir.hasher.hash('ghp_x')).toBe(
      createHmac('sha256', key).update('ghp_x').digest('hex').slice(0, 32),
    );
    dir.close();
    expect(readdirSync(path).sort()).toEqual(['credential.key', 'lock.db']);
  });

  it('keeps its key, and another directory has another', () => {
    const first = open(join(here().path, 'one'));
    const hash = first.hasher.hash('secret');
    first.close();
    const again = open(join(here().path, 'one'));
    const other = open(join(here().path, 'two'));
    expect(again.hasher.hash('secret')).toBe(hash);
    expect(other.hasher.hash('secret')).not.toBe(hash);
    again.close();
    other.close();
  });

  it('is refused while it is in use, with the pid of its user, and given when it is not', () => {
    const dir = open(here().path);
    expect(openDataDir(here().path)).toEqual({
      ok: false,
      code: 'RL_DATA_IN_USE',
      message: `the data directory \`${here().path}\` is in use by ratelord with pid ${String(process.pid)}: stop it, or choose another with --data`,
    });
    dir.close();
    dir.close();
    open(here().path).close();
  });

  it('takes no notice of a pid that a dead process left, though it be alive again', () => {
    writeFileSync(join(here().path, 'daemon.pid'), `${String(process.ppid)}\n`);
    open(here().path).close();
  });

  it.each([
    [
      'can be read by others',
      (key: string) => chmodSync(key, 0o640),
      /\(mode 640\): run `chmod 600 /,
    ],
    ['is not whole', (key: string) => writeFileSync(key, 'short'), /has 5 bytes instead of 32/],
  ])('is refused when the key %s', (_, spoil, message) => {
    open(here().path).close();
    spoil(join(here().path, 'credential.key'));
    const refused = openDataDir(here().path);
    expect(refused).toMatchObject({ ok: false, code: 'RL_DATA_KEY' });
    expect(refused.ok || refused.message).toMatch(message);
    // The lock was given back.
    expect(openDataDir(here().path)).toMatchObject({ code: 'RL_DATA_KEY' });
  });

  it('says so when it cannot be used', () => {
    const path = join(here().path, 'file');
    writeFileSync(path, '');
    const refused = openDataDir(join(path, 'below'));
    expect(refused).toMatchObject({ ok: false, code: 'RL_DATA_UNUSABLE' });
    mkdirSync(join(here().path, 'odd', 'credential.key'), { recursive: true });
    chmodSync(join(here().path, 'odd', 'credential.key'), 0o700);
    expect(openDataDir(join(here().path, 'odd'))).toMatchObject({ code: 'RL_DATA_UNUSABLE' });
  });
});
