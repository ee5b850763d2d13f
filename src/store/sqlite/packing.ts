/**
 * Entries to rows and back. A row's body is JSON: one `[kind, seq, count, at, pools, data]` an
 * entry, `seq` and `at` relative to the row's, `pools` as numbers in a string, `"|3|7|"`, that can be
 * searched without parsing. Written by hand around
 * `JSON.stringify(data)`, which costs two thirds of stringifying the whole (`bench/store.ts`).
 */
import type { Entry, EntryKind, Who } from '../../core/ledger/entry.ts';
import type { JsonValue } from '../../core/units.ts';
import { DamagedRowError } from './faults.ts';
import type { NameTable } from './names.ts';

export interface PackedRow {
  readonly seq: number;
  readonly offset: number;
  readonly reach: number;
  readonly request: number | null;
  readonly agent: number;
  readonly identity: number;
  readonly workload: number;
  readonly scope: number;
  readonly provider: number;
  readonly at: number;
  readonly early: number;
  readonly span: number;
  readonly body: string;
}

/** Positions are the codes on disk: append, never reorder. */
const KINDS: readonly EntryKind[] = ['decided', 'woke', 'observed', 'ended', 'event'];
const CODE: Readonly<Record<EntryKind, string>> = {
  decided: '0',
  woke: '1',
  observed: '2',
  ended: '3',
  event: '4',
};

interface OpenRow {
  readonly entry: Entry;
  last: number;
  early: number;
  span: number;
  body: string;
}

function sameWho(a: Who, b: Who): boolean {
  return (
    a === b ||
    (a.agent === b.agent &&
      a.identity === b.identity &&
      a.workload === b.workload &&
      a.scope === b.scope &&
      a.provider === b.provider)
  );
}

/** An entry's text; throws what `JSON.stringify` throws on data that is no JSON. */
function encode(entry: Entry, seq: number, at: number, names: NameTable): string {
  const data = JSON.stringify(entry.data);
  let pools = '';
  for (const pool of entry.pools) {
    const number = String(names.number('pool', pool));
    pools = pools === '' ? `|${number}|` : `${pools}${number}|`;
  }
  const head = `[${CODE[entry.kind]},${String(entry.seq - seq)},${String(entry.count)}`;
  return `${head},${String(entry.at - at)},"${pools}",${data}]`;
}

/**
 * Packs one batch: what a request did in it is one row (two when `who` changed on the way).
 * `unwritable` gets what cannot be written as JSON. Call inside a transaction: it numbers names.
 */
export function packBatch(
  entries: readonly Entry[],
  names: NameTable,
  unwritable: (entry: Entry, error: unknown) => void,
): PackedRow[] {
  const batch = entries[0]?.seq ?? 0;
  const rows: OpenRow[] = [];
  const open = new Map<number, OpenRow>();
  for (const entry of entries) {
    const row = entry.request === 0 ? undefined : open.get(entry.request);
    try {
      if (row !== undefined && sameWho(row.entry.who, entry.who)) {
        row.body += `,${encode(entry, row.entry.seq, row.entry.at, names)}`;
        row.last = entry.seq + entry.count - 1;
        row.early = Math.max(row.early, row.entry.at - entry.at);
        row.span = Math.max(row.span, entry.at - row.entry.at);
        continue;
      }
      const body = encode(entry, entry.seq, entry.at, names);
      const fresh: OpenRow = { entry, last: entry.seq + entry.count - 1, early: 0, span: 0, body };
      rows.push(fresh);
      open.set(entry.request, fresh);
    } catch (error) {
      // A TypeError is stringify's (a cycle, a bigint); anything else is the database's.
      if (!(error instanceof TypeError)) throw error;
      unwritable(entry, error);
    }
  }
  return rows.map((row) => close(row, batch, names));
}

function close(row: OpenRow, batch: number, names: NameTable): PackedRow {
  const { entry } = row;
  const { who } = entry;
  return {
    seq: entry.seq,
    offset: entry.seq - batch,
    reach: row.last - entry.seq,
    request: entry.request === entry.seq ? null : entry.request,
    agent: names.number('agent', who.agent),
    identity: names.number('identity', who.identity),
    workload: names.number('workload', who.workload),
    scope: names.number('scope', who.scope),
    provider: names.number('provider', who.provider),
    at: entry.at,
    early: row.early,
    span: row.span,
    body: `[${row.body}]`,
  };
}

type PackedEntry = [number, number, number, number, string, JsonValue[]];

/** What the body of a row contains when it speaks of a pool; data may look like it, too. */
export function poolMark(number: number): string {
  return `|${String(number)}|`;
}

function poolNames(packed: string, names: NameTable): string[] {
  if (packed === '') return [];
  return packed
    .slice(1, -1)
    .split('|')
    .map((number) => names.text(Number(number)));
}

function parse(row: PackedRow): PackedEntry[] {
  try {
    return JSON.parse(row.body) as PackedEntry[];
  } catch {
    throw new DamagedRowError(`the ledger is corrupt at entry ${String(row.seq)}`);
  }
}

/** Appends a row's entries to `into`; rows of one batch need sorting by `seq` afterwards. */
export function unpackRow(row: PackedRow, names: NameTable, into: Entry[]): void {
  const who: Who = {
    agent: names.text(row.agent),
    identity: names.text(row.identity),
    workload: names.text(row.workload),
    scope: names.text(row.scope),
    provider: names.text(row.provider),
  };
  for (const [code, seq, count, at, pools, data] of parse(row)) {
    into.push({
      seq: row.seq + seq,
      count,
      at: row.at + at,
      kind: KINDS[code] ?? 'event',
      request: row.request ?? row.seq,
      who,
      pools: poolNames(pools, names),
      data,
    });
  }
}
