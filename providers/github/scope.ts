import { UNKNOWN } from '../../src/core/units.ts';
import type { Layout } from './route.ts';

/** Longer names do not exist at GitHub; the bound keeps made-up ones out of the ledger. */
const LONGEST = 200;

/** `repo:owner/name`, `org:name`, or the sentinel. Names keep the case they were sent in. */
export function scopeOf(layout: Layout, path: string | null): string {
  if (path === null) return UNKNOWN;
  if (path.startsWith('/repos/')) return repoScope(path, 7);
  if (layout === 'codeload') return repoScope(path, 1);
  if (path.startsWith('/uploads/repos/')) return repoScope(path, 15);
  if (path.startsWith('/orgs/') && path.length > 6) {
    const end = path.indexOf('/', 6);
    const name = end < 0 ? path.slice(6) : path.slice(6, end);
    return name === '' || name.length > LONGEST ? UNKNOWN : 'org:' + name;
  }
  return UNKNOWN;
}

function repoScope(path: string, start: number): string {
  const owner = path.indexOf('/', start);
  if (owner <= start || owner + 1 >= path.length) return UNKNOWN;
  const repo = path.indexOf('/', owner + 1);
  const name = repo < 0 ? path.slice(start) : path.slice(start, repo);
  return repo === owner + 1 || name.length > LONGEST ? UNKNOWN : 'repo:' + name;
}
