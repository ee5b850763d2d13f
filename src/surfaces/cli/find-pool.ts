import type { PoolView } from '../../query/ports.ts';
import { CommandFailure } from './api-client.ts';

const MOST_NAMED = 5;

/**
 * The pool of that id, or the only one whose id ends so.
 * @throws CommandFailure that names those it may be, or the nearest
 */
export function findPool(pools: readonly PoolView[], wanted: string): PoolView {
  const drawn = pools.filter(({ kind }) => kind !== 'gate');
  const exact = drawn.find(({ id }) => id === wanted);
  if (exact !== undefined) return exact;
  const ending = drawn.filter(({ id }) => id.endsWith(wanted));
  const [only] = ending;
  if (only !== undefined && ending.length === 1) return only;
  if (ending.length > 1) {
    const ids = ending.slice(0, MOST_NAMED).map(({ id }) => `\`${id}\``);
    throw new CommandFailure(`\`${wanted}\` may be any of ${ids.join(', ')}`);
  }
  const near = nearest(wanted, drawn);
  const hint = near === null ? ': no pool is known yet' : `; the nearest is \`${near}\``;
  throw new CommandFailure(`there is no pool \`${wanted}\`${hint}`);
}

/** Compared with as much of each id's end as was written. */
function nearest(wanted: string, pools: readonly PoolView[]): string | null {
  let best: string | null = null;
  let least = Infinity;
  for (const { id, pool } of pools) {
    const tail = id.slice(-wanted.length);
    const edits = Math.min(...[id, pool, tail].map((text) => distance(wanted, text)));
    if (edits >= least) continue;
    least = edits;
    best = id;
  }
  return best;
}

/** Levenshtein's: letters to add, leave out or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
