import { existsSync, renameSync } from 'node:fs';
import type { EpochMs } from '../../core/units.ts';

/**
 * Renames a corrupt ledger and what belongs to it, so that nothing of it is lost and SQLite's own
 * tools can still recover from it. Returns the new path. Throws what `rename` throws.
 */
export function setAside(path: string, at: EpochMs): string {
  const stamp = new Date(at).toISOString().replace(/[-:]|\.\d+/g, '');
  let target = `${path}.corrupt-${stamp}`;
  for (let n = 2; existsSync(target); n += 1) target = `${path}.corrupt-${stamp}-${String(n)}`;
  // The write-ahead log first: left behind, it would be replayed into the fresh file.
  for (const suffix of ['-wal', '-shm', '']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
  }
  return target;
}
