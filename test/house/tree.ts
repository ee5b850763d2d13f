/** The repository's files, as its own checks see them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Made or fetched, never written by hand; the canary is there to be wrong. */
const LEFT_OUT = new Set([
  'node_modules',
  'dist',
  'coverage',
  '.git',
  '.tmp',
  '.vitest',
  'bench/results',
  'test/house/canary',
]);

/** Paths below `folder` relative to `root`, with `/`, sorted. */
export function filesIn(folder: string, ending = '', root = ROOT): string[] {
  const found: string[] = [];
  const walk = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      const name = relative(root, path).split(sep).join('/');
      if (LEFT_OUT.has(name) || entry.name === 'node_modules') continue;
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && entry.name.endsWith(ending)) found.push(name);
    }
  };
  walk(join(root, folder));
  return found.sort();
}

export function read(path: string, root = ROOT): string {
  return readFileSync(join(root, path), 'utf8');
}
