import { spawn } from 'node:child_process';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { openDataDir } from '../../src/store/data-dir.ts';
import { scratch } from './scratch.ts';

const here = scratch();

/** Runs the child until it has acknowledged `count` entries, then kills it as hard as can be. */
function runAndKill(directory: string, count: number): Promise<{ last: number; output: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'kill-child.ts'), directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let first = 0;
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const last = Number(output.split('\n').at(-2));
      if (first === 0) first = last;
      if (last - first >= count) child.kill('SIGKILL');
    });
    child.on('close', () => {
      const lines = output.split('\n').slice(0, -1);
      resolve({ last: Number(lines.at(-1)), output });
    });
  });
}

describe('a daemon that is killed', () => {
  it('loses nothing that was acknowledged, however often', { timeout: 30_000 }, async () => {
    let floor = 0;
    for (const count of [1, 300, 2_000, 8_000, 500]) {
      const { last } = await runAndKill(here().path, count);
      expect(last).toBeGreaterThan(floor);
      floor = last;
      const store = here().open();
      let expected = 1;
      let torn = 0;
      store.replay(0, ({ seq, data }) => {
        if (seq !== expected || data[0] !== seq) torn += 1;
        expected += 1;
      });
      expect(torn).toBe(0);
      expect(expected - 1).toBeGreaterThanOrEqual(last);
      expect(store.stats().lastSeq).toBe(expected - 1);
      expect(store.gaps()).toEqual([]);
      store.close();
      const db = new Database(here().ledger);
      expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
      db.close();
    }
    const taken = openDataDir(here().path);
    expect(taken.ok).toBe(true);
    if (!taken.ok) return;
    // The directory was taken over from the dead; nobody alive gets it now, and is told whose it is.
    const refused = await runAndKill(here().path, 1);
    expect(refused.output).toContain(`in use by ratelord with pid ${String(process.pid)}`);
    taken.dir.close();
  });
});
