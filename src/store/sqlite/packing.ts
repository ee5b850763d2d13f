/**
 * Entries to rows and back. A row is a block: consecutive entries of one batch, of whichever
 * requests. Its body is JSON, `[people, heads, values]`: `people` as five name numbers each, `heads`
 * flat numbers (see `Packer`), `values` what an entry's data has that the one before it of its kind
 * has not (see repeats.ts). One `JSON.stringify` and one row for many requests cost far less than
 * one of each for every request.
 */
import type { Entry, EntryKind, Who } from '../../core/ledger/entry.ts';
import type { JsonValue, Seq } from '../../core/units.ts';
import { DamagedRowError } from './faults.ts';
import type { NameTable } from './names.ts';
import { repeated, restored } from './repeats.ts';

export interface PackedRow {
  readonly seq: number;
  /** Last event's sequence number. */
  readonly last: number;
  readonly first_at: number;
  readonly last_at: number;
  /** Numbers of all names in it, `|3|7|`: can be searched without reading the body. */
  readonly names: string;
  readonly body: string;
}

export interface Block {
  readonly row: PackedRow;
  /** Shares of requests that began before this block and go on in it; see `shareOf`. */
  readonly continues: Iterable<number>;
}

/** Some 32 requests: what reading a single one must parse, in exchange for what each row costs. */
const BLOCK_ENTRIES = 96;
/** Characters above which a body is halved: what reading a single request must parse at most. */
const BODY_LENGTH = 1 << 18;

/** Positions are the codes on disk: append, never reorder. */
const KINDS: readonly EntryKind[] = ['decided', 'woke', 'observed', 'ended', 'event'];
const CODE: Readonly<Record<EntryKind, number>> = {
  decided: 0,
  woke: 1,
  observed: 2,
  ended: 3,
  event: 4,
};

/**
 * Requests are indexed by shares of 64 numbers, a dozen requests: those of a share mostly go on in
 * the same blocks, and one index entry then does for all.
 */
export function shareOf(request: Seq): number {
  return Math.floor(request / 64);
}

/** What a row's `names` contains when it speaks of a name. */
export function nameMark(number: number): string {
  return `|${String(number)}|`;
}

/**
 * Packs one batch. `unwritable` gets what cannot be written as JSON or names a request that comes
 * later. Call inside a transaction: it numbers names.
 */
export function packBatch(
  entries: readonly Entry[],
  names: NameTable,
  unwritable: (entry: Entry) => void,
): Block[] {
  const blocks: Block[] = [];
  let sound = entries;
  if (!entries.every(hasRequest)) {
    sound = entries.filter(hasRequest);
    for (const entry of entries) if (!hasRequest(entry)) unwritable(entry);
  }
  for (let from = 0; from < sound.length; from += BLOCK_ENTRIES) {
    packInto(blocks, sound.slice(from, from + BLOCK_ENTRIES), names, unwritable);
  }
  return blocks;
}

function hasRequest({ request, seq }: Entry): boolean {
  return Number.isSafeInteger(request) && request >= 0 && request <= seq;
}

function isJson({ data }: Entry): boolean {
  try {
    JSON.stringify(data);
    return true;
  } catch (error) {
    // A TypeError is stringify's: a cycle, a bigint.
    if (!(error instanceof TypeError)) throw error;
    return false;
  }
}

function packInto(
  blocks: Block[],
  entries: readonly Entry[],
  names: NameTable,
  unwritable: (entry: Entry) => void,
): void {
  const packer = new Packer(entries, names);
  let body: string;
  try {
    body = packer.body();
  } catch (error) {
    const sound = error instanceof TypeError ? entries.filter(isJson) : entries;
    if (sound.length === entries.length) throw error;
    for (const entry of entries) if (!sound.includes(entry)) unwritable(entry);
    if (sound.length > 0) packInto(blocks, sound, names, unwritable);
    return;
  }
  if (body.length > BODY_LENGTH && entries.length > 1) {
    const middle = entries.length >> 1;
    packInto(blocks, entries.slice(0, middle), names, unwritable);
    packInto(blocks, entries.slice(middle), names, unwritable);
    return;
  }
  blocks.push(packer.block(body));
}

/** Makes one block. */
class Packer {
  readonly #entries: readonly Entry[];
  readonly #names: NameTable;
  readonly #seq: Seq;
  #firstAt = Infinity;
  #lastAt = -Infinity;
  readonly #people: number[][] = [];
  /** Indexes in `people`, and whose they are, by agent. */
  readonly #known = new Map<string, { readonly who: Who; readonly index: number }[]>();
  readonly #held = new Set<number>();
  readonly #continues = new Set<number>();
  #lastWho: Who | null = null;
  #lastIndex = 0;

  constructor(entries: readonly Entry[], names: NameTable) {
    this.#entries = entries;
    this.#names = names;
    this.#seq = entries[0]?.seq ?? 0;
    for (const { at } of entries) {
      if (at < this.#firstAt) this.#firstAt = at;
      if (at > this.#lastAt) this.#lastAt = at;
    }
  }

  /** Throws what `JSON.stringify` throws on data that is no JSON. */
  body(): string {
    const heads: number[] = [];
    const values: JsonValue[] = [];
    /** The latest of each kind. */
    const latest: (readonly JsonValue[])[] = KINDS.map(() => []);
    for (const entry of this.#entries) {
      this.#headOf(entry, heads);
      const code = CODE[entry.kind];
      heads.push(entry.data.length, repeated(entry.data, latest[code] ?? [], values));
      latest[code] = entry.data;
    }
    return JSON.stringify([this.#people, heads, values]);
  }

  block(body: string): Block {
    const end = this.#entries.at(-1);
    const row = {
      seq: this.#seq,
      last: end === undefined ? this.#seq : end.seq + end.count - 1,
      first_at: this.#firstAt,
      last_at: this.#lastAt,
      names: `|${[...this.#held].join('|')}|`,
      body,
    };
    return { row, continues: this.#continues };
  }

  /**
   * `kind, seq, count, at, back, person, n, pool 1 … pool n`, and after it the length of its data
   * and what repeats: `seq` and `at` relative to the row's; `back` is 0 without a request, 1 where
   * it begins, one more than the distance to there else.
   */
  #headOf(entry: Entry, heads: number[]): void {
    const { seq, request, pools } = entry;
    heads.push(CODE[entry.kind], seq - this.#seq, entry.count, entry.at - this.#firstAt);
    heads.push(request === 0 ? 0 : seq - request + 1, this.#person(entry.who), pools.length);
    if (request > 0 && request < this.#seq) this.#continues.add(shareOf(request));
    for (const pool of pools) {
      const number = this.#names.number('pool', pool);
      this.#held.add(number);
      heads.push(number);
    }
  }

  #person(who: Who): number {
    if (who === this.#lastWho) return this.#lastIndex;
    this.#lastWho = who;
    let alike = this.#known.get(who.agent);
    const known = alike?.find((other) => sameWho(other.who, who));
    if (known !== undefined) return (this.#lastIndex = known.index);
    const index = this.#people.push(this.#numbersOf(who)) - 1;
    if (alike === undefined) this.#known.set(who.agent, (alike = []));
    alike.push({ who, index });
    return (this.#lastIndex = index);
  }

  #numbersOf(who: Who): number[] {
    const numbers = [
      this.#names.number('agent', who.agent),
      this.#names.number('identity', who.identity),
      this.#names.number('workload', who.workload),
      this.#names.number('scope', who.scope),
      this.#names.number('provider', who.provider),
    ];
    for (const number of numbers) this.#held.add(number);
    return numbers;
  }
}

/** Of two with the same agent. */
function sameWho(a: Who, b: Who): boolean {
  return (
    a === b ||
    (a.scope === b.scope &&
      a.identity === b.identity &&
      a.workload === b.workload &&
      a.provider === b.provider)
  );
}

type Body = readonly [people: number[][], heads: number[], values: JsonValue[]];

function parse(row: PackedRow): Body {
  try {
    const body = JSON.parse(row.body) as unknown;
    if (isBody(body)) return body;
  } catch {
    // Told below, as what is JSON and something else.
  }
  throw damage(row);
}

function isBody(body: unknown): body is Body {
  if (!Array.isArray(body) || body.length !== 3) return false;
  const [people, heads, values] = body as unknown[];
  return (
    areCounts(heads) && Array.isArray(people) && people.every(areCounts) && Array.isArray(values)
  );
}

function areCounts(values: unknown): boolean {
  return (
    Array.isArray(values) && values.every((value) => Number.isSafeInteger(value) && value >= 0)
  );
}

function damage(row: PackedRow): DamagedRowError {
  return new DamagedRowError(`the ledger is corrupt at entry ${String(row.seq)}`);
}

/** A row's entries, ascending; of one request alone when it is given. */
export function unpackRow(row: PackedRow, names: NameTable, only?: Seq): Entry[] {
  const [people, heads, values] = parse(row);
  const whos = people.map((numbers) => whoOf(numbers, names));
  const latest: JsonValue[][] = KINDS.map(() => []);
  const entries: Entry[] = [];
  let place = 0;
  let used = 0;
  const next = (): number => {
    const value = heads[place];
    place += 1;
    if (value === undefined) throw damage(row);
    return value;
  };
  while (place < heads.length) {
    const code = next();
    const kind = KINDS[code];
    const seq = row.seq + next();
    const count = next();
    const at = row.first_at + next();
    const back = next();
    const who = whos[next()];
    const poolsAt = place + 1;
    place = poolsAt + next();
    const poolsEnd = place;
    const [data, after] = restored(next(), next(), latest[code] ?? [], values, used);
    if (kind === undefined || who === undefined || after > values.length) throw damage(row);
    latest[code] = data;
    used = after;
    const request = back === 0 ? 0 : seq - back + 1;
    if (only !== undefined && request !== only) continue;
    const pools = heads.slice(poolsAt, poolsEnd).map((number) => names.text(number));
    entries.push({ seq, count, at, kind, request, who, pools, data });
  }
  return entries;
}

function whoOf(numbers: readonly number[], names: NameTable): Who {
  const [agent = 0, identity = 0, workload = 0, scope = 0, provider = 0] = numbers;
  return {
    agent: names.text(agent),
    identity: names.text(identity),
    workload: names.text(workload),
    scope: names.text(scope),
    provider: names.text(provider),
  };
}
