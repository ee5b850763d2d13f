import type { Matcher, MatchKey, Subject } from './types.ts';

/** Values of one key that are remembered; clients choose some of them. */
const MAX_VALUES = 4096;
const WORD = 32;

/** Few values come again and again; of paths nearly every one is new. */
const STEADY = [
  'agent',
  'identity',
  'workload',
  'scope',
  'priority',
  'method',
  'model',
] as const satisfies readonly Exclude<MatchKey, 'provider' | 'pool' | 'path'>[];
type Steady = (typeof STEADY)[number];

const steady: ReadonlySet<MatchKey> = new Set(STEADY);

/** Whether the index answers for this key. */
export function isIndexed(key: MatchKey): boolean {
  return steady.has(key);
}

/** Of one key: the rules that test it, and for each value that was met which rules it may concern. */
interface Column {
  readonly key: Steady;
  readonly tests: readonly { readonly rule: number; test(value: string): boolean }[];
  readonly rows: Map<string, Int32Array>;
}

/**
 * Which rules may concern a request, as bits: a row of bits for every value of a key, worked out when
 * the value is first met, and the rows of a request's values anded. So a hundred rules cost little
 * more than one (Lakshman and Stiliadis 1998, "bit vectors" of packet filters).
 */
export class RuleIndex {
  /** Words of 32 rules each. */
  readonly words: number;
  private readonly columns: readonly Column[];
  private readonly found: Int32Array;
  private readonly all: Int32Array;

  constructor(matchers: readonly Matcher[]) {
    this.words = Math.ceil(matchers.length / WORD);
    this.found = new Int32Array(this.words);
    this.all = new Int32Array(this.words);
    matchers.forEach((_, rule) => {
      mark(this.all, rule);
    });
    this.columns = STEADY.flatMap((key) => {
      const tests = matchers.flatMap((matcher, rule) =>
        matcher.tests
          .filter((one) => one.key === key)
          .map((one) => ({ rule, test: (value: string) => one.test(value) })),
      );
      return tests.length === 0 ? [] : [{ key, tests, rows: new Map<string, Int32Array>() }];
    });
  }

  /** Bit `rule % 32` of word `rule / 32`; overwritten by the next call. */
  fitting(subject: Subject): Int32Array {
    const { found, columns } = this;
    found.set(this.all);
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i] as Column;
      const value = subject[column.key];
      const row = column.rows.get(value) ?? this.rowOf(column, value);
      for (let w = 0; w < row.length; w++) found[w] = (found[w] as number) & (row[w] as number);
    }
    return found;
  }

  private rowOf({ tests, rows }: Column, value: string): Int32Array {
    const row = Int32Array.from(this.all);
    for (const { rule, test } of tests) if (!test(value)) unmark(row, rule);
    if (rows.size >= MAX_VALUES) rows.clear();
    rows.set(value, row);
    return row;
  }
}

function mark(row: Int32Array, rule: number): void {
  const word = Math.floor(rule / WORD);
  row[word] = (row[word] as number) | (1 << (rule % WORD));
}

function unmark(row: Int32Array, rule: number): void {
  const word = Math.floor(rule / WORD);
  row[word] = (row[word] as number) & ~(1 << (rule % WORD));
}
