import type Database from 'better-sqlite3';
import type { NameKind } from '../../core/ports.ts';
import { UNKNOWN } from '../../core/units.ts';
import { forgottenName, replacePart } from '../forgotten.ts';

/** Names beyond this many are looked up on disk again: scopes and workloads are an open set. */
const CACHE_LIMIT = 50_000;

/** Stable numbers for names. Rows of the ledger hold only numbers. */
export class NameTable {
  readonly #numbers = new Map<NameKind, Map<string, number>>();
  readonly #texts = new Map<number, string>();
  /** Given out in the transaction that is open: void if it rolls back. */
  #fresh: { readonly kind: NameKind; readonly text: string; readonly number: number }[] = [];
  readonly #find: Database.Statement<[string, string], number>;
  readonly #textOf: Database.Statement<[number], string>;
  readonly #insert: Database.Statement<[string, string]>;
  readonly #rename: Database.Statement<[string, number]>;
  readonly #holding: Database.Statement<[string], { number: number; text: string }>;

  constructor(db: Database.Database) {
    this.#find = db
      .prepare<[string, string], number>('SELECT number FROM names WHERE kind = ? AND text = ?')
      .pluck();
    this.#textOf = db.prepare<[number], string>('SELECT text FROM names WHERE number = ?').pluck();
    this.#insert = db.prepare('INSERT INTO names (kind, text) VALUES (?, ?)');
    this.#rename = db.prepare('UPDATE names SET text = ? WHERE number = ?');
    this.#holding = db.prepare(
      "SELECT number, text FROM names WHERE kind = 'pool' AND instr(text, ?) > 0",
    );
  }

  /** The number of a name that may be new; call inside a transaction. */
  number(kind: NameKind, text: string): number {
    const known = this.lookup(kind, text);
    if (known !== undefined) return known;
    const number = Number(this.#insert.run(kind, text).lastInsertRowid);
    this.#fresh.push({ kind, text, number });
    this.#remember(kind, text, number);
    return number;
  }

  /** The number of a name, `undefined` when no entry ever held it. */
  lookup(kind: NameKind, text: string): number | undefined {
    const cached = this.#numbers.get(kind)?.get(text);
    if (cached !== undefined) return cached;
    const number = this.#find.get(kind, text);
    if (number !== undefined) this.#remember(kind, text, number);
    return number;
  }

  text(number: number): string {
    const cached = this.#texts.get(number);
    if (cached !== undefined) return cached;
    const text = this.#textOf.get(number) ?? UNKNOWN;
    if (this.#texts.size >= CACHE_LIMIT) this.#texts.clear();
    this.#texts.set(number, text);
    return text;
  }

  committed(): void {
    if (this.#fresh.length > 0) this.#fresh = [];
  }

  rolledBack(): void {
    for (const { kind, text, number } of this.#fresh) {
      this.#numbers.get(kind)?.delete(text);
      this.#texts.delete(number);
    }
    this.#fresh = [];
  }

  /** Call inside a transaction, and `forgetCache` after it. Returns how many names changed. */
  forget(kind: NameKind, text: string): number {
    const own = this.#find.get(kind, text);
    if (own === undefined) return 0;
    const replacement = forgottenName(own);
    this.#rename.run(replacement, own);
    let changed = 1;
    for (const pool of this.#holding.all(text)) {
      const renamed = replacePart(pool.text, text, replacement);
      if (renamed === null) continue;
      this.#rename.run(renamed, pool.number);
      changed += 1;
    }
    return changed;
  }

  forgetCache(): void {
    this.#numbers.clear();
    this.#texts.clear();
  }

  #remember(kind: NameKind, text: string, number: number): void {
    let numbers = this.#numbers.get(kind);
    if (numbers === undefined) this.#numbers.set(kind, (numbers = new Map<string, number>()));
    if (numbers.size >= CACHE_LIMIT) numbers.clear();
    numbers.set(text, number);
  }
}
