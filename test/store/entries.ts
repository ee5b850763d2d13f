import type { Entry, Who } from '../../src/core/ledger/entry.ts';

export const WHO: Who = {
  agent: 'crawler-01',
  identity: 'gh-ci',
  workload: 'sentinel:unknown',
  scope: 'repo:acme/site',
  provider: 'github',
};

/** An entry of its own request, at noon UTC of 2026-11-21 unless told otherwise. */
export function entry(seq: number, more: Partial<Entry> = {}): Entry {
  return {
    seq,
    count: 1,
    at: Date.UTC(2026, 10, 21, 12) + (seq % 100_000),
    kind: 'decided',
    request: seq,
    who: WHO,
    pools: ['github/core/gh-ci'],
    data: ['pass', seq, { remaining: 4999, note: null }],
    ...more,
  };
}

export const seqs = (entries: readonly Entry[]): number[] => entries.map(({ seq }) => seq);
