import type { JsonRecord } from './json.ts';

/** One operation or fragment of a GraphQL document, as far as its cost goes. */
export interface Definition {
  type: 'query' | 'mutation' | 'subscription' | 'fragment';
  name: string;
  /** Requests needed for its own connections, were it run once. */
  requests: number;
  readonly spreads: { readonly name: string; readonly times: number }[];
  /** Names of the fields at its root (not their aliases). */
  readonly rootFields: string[];
  /** Response names of `rateLimit` at its root. */
  readonly rateLimitKeys: string[];
}

/** GitHub takes 1 to 100 for `first` and `last`. */
const LARGEST_PAGE = 100;
const MOST_TIMES = 1e12;
/** One token: spread, name, number, block string, string, or punctuator. Comments are skipped. */
const TOKEN = /\.\.\.|[A-Za-z_]\w*|-?\d[\w.+-]*|"""[^]*?"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*|[^\s,]/g;

/**
 * Reads a document tolerantly: it is GitHub's to judge, and what is no GraphQL merely gives a poor
 * estimate. One pass, no syntax tree.
 */
export function readDocument(query: string, variables: JsonRecord): Definition[] {
  return new Reader(query, variables).read();
}

class Reader {
  readonly #tokens: readonly string[];
  readonly #variables: JsonRecord;
  readonly #defaults = new Map<string, number>();
  readonly #definitions: Definition[] = [];
  /** How often each open selection set is run, outermost first. */
  readonly #times: number[] = [];
  #at = 0;
  /** Page size of the field just read, 0 when it is no connection. */
  #page = 0;
  #field = '';
  #alias = '';

  constructor(query: string, variables: JsonRecord) {
    this.#tokens = (query.match(TOKEN) ?? []).filter((token) => !token.startsWith('#'));
    this.#variables = variables;
  }

  read(): Definition[] {
    while (this.#at < this.#tokens.length) {
      const token = this.#tokens[this.#at++] as string;
      if (this.#times.length === 0) this.#outside(token);
      else this.#inside(token);
    }
    return this.#definitions;
  }

  #outside(token: string): void {
    const last = this.#definitions.at(-1);
    if (token === '{') {
      if (last === undefined || last.rootFields.length > 0) this.#define('query');
      this.#times.push(1);
    } else if (token === '(') this.#arguments(true);
    else if (token === '@') this.#at++;
    else if (token === 'on') this.#at++;
    else if (token === 'query' || token === 'mutation' || token === 'subscription') {
      this.#define(token);
    } else if (token === 'fragment') this.#define('fragment');
    else if (last !== undefined && last.name === '' && isName(token)) last.name = token;
  }

  #define(type: Definition['type']): void {
    this.#definitions.push({
      type,
      name: '',
      requests: 0,
      spreads: [],
      rootFields: [],
      rateLimitKeys: [],
    });
    this.#page = 0;
  }

  #inside(token: string): void {
    const times = this.#times.at(-1) ?? 1;
    if (token === '{') {
      this.#times.push(Math.min(MOST_TIMES, times * (this.#page || 1)));
      this.#page = 0;
    } else if (token === '}') this.#times.pop();
    else if (token === '(') this.#connection(times);
    else if (token === '@') this.#directive();
    else if (token === '...') this.#spread(times);
    else if (token === ':') this.#alias = this.#field;
    else if (isName(token)) this.#name(token);
  }

  #name(token: string): void {
    this.#page = 0;
    this.#field = token;
    const alias = this.#alias;
    this.#alias = '';
    // A name before a colon is an alias; the field's own name follows.
    if (this.#times.length !== 1 || this.#tokens[this.#at] === ':') return;
    const definition = this.#definitions.at(-1);
    definition?.rootFields.push(token);
    if (token === 'rateLimit') definition?.rateLimitKeys.push(alias === '' ? token : alias);
  }

  #connection(times: number): void {
    this.#page = this.#arguments(false);
    const definition = this.#definitions.at(-1);
    if (this.#page > 0 && definition !== undefined) definition.requests += times;
  }

  #directive(): void {
    this.#at++;
    if (this.#tokens[this.#at] !== '(') return;
    this.#at++;
    this.#arguments(false);
  }

  #spread(times: number): void {
    const name = this.#tokens[this.#at];
    this.#page = 0;
    if (name === 'on') this.#at += 2;
    else if (name !== undefined && isName(name)) {
      this.#at++;
      this.#definitions.at(-1)?.spreads.push({ name, times });
    }
  }

  /** Reads to the matching parenthesis; returns the page size asked for, 0 when none. */
  #arguments(declaring: boolean): number {
    let depth = 1;
    let page = 0;
    let declared = '';
    while (this.#at < this.#tokens.length) {
      const token = this.#tokens[this.#at++] as string;
      if (token === '(' || token === '{' || token === '[') depth++;
      else if (token === ')' || token === '}' || token === ']') {
        if (--depth === 0) return page;
      } else if (depth !== 1) continue;
      else if (declaring) {
        if (token === '$') declared = this.#tokens[this.#at] ?? '';
        else if (token === '=') this.#defaults.set(declared, Number(this.#tokens[this.#at]));
      } else if ((token === 'first' || token === 'last') && this.#tokens[this.#at] === ':') {
        this.#at++;
        page = Math.max(page, this.#pageSize());
      }
    }
    return page;
  }

  #pageSize(): number {
    const token = this.#tokens[this.#at++] ?? '';
    let size: unknown = Number(token);
    if (token === '$') {
      const name = this.#tokens[this.#at++] ?? '';
      size = Object.hasOwn(this.#variables, name)
        ? this.#variables[name]
        : this.#defaults.get(name);
    }
    // Not known: the largest that GitHub would take.
    if (typeof size !== 'number' || !Number.isFinite(size)) return LARGEST_PAGE;
    return Math.min(LARGEST_PAGE, Math.max(1, Math.floor(size)));
  }
}

function isName(token: string): boolean {
  return /^[A-Za-z_]/.test(token);
}
