/**
 * The known name closest to what was written, by edits (a swap of neighbours counts as one);
 * `undefined` only when nothing is known. A shared word counts as close: `ratio` for
 * `remaining_ratio`.
 */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  const wanted = written.toLowerCase().slice(0, 64);
  let best: string | undefined;
  let bestScore = Infinity;
  for (const name of known) {
    const candidate = name.toLowerCase();
    const contains =
      wanted.length >= 3 && (candidate.includes(wanted) || wanted.includes(candidate));
    const score = Math.min(edits(wanted, candidate), contains ? 1.5 : Infinity);
    if (score < bestScore) {
      best = name;
      bestScore = score;
    }
  }
  return best;
}

/** Like {@link nearest}, but only when it is likely to be what was meant. */
export function likely(written: string, known: Iterable<string>): string | undefined {
  const name = nearest(written, known);
  if (name === undefined) return undefined;
  const distance = edits(written.toLowerCase().slice(0, 64), name.toLowerCase());
  return distance <= Math.max(1, Math.floor(Math.max(written.length, name.length) / 3))
    ? name
    : undefined;
}

/** Edit distance with swaps of neighbours (optimal string alignment). */
export function edits(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
