/**
 * `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), lists of structured
 * fields, and what is sent under these names besides: the dictionary and bare numbers of drafts
 * before 08, and Hugging Face's `"fixed window";"api";q=1000;w=300`, which no strict parser reads.
 */
import { parseList } from 'structured-headers';
import type { DurationMs, Units } from '../../src/core/units.ts';

/** One member of either field, under the name of its policy; `''` where it has none. */
export interface QuotaItem {
  readonly name: string;
  readonly limit: Units | undefined;
  readonly remaining: Units | undefined;
  readonly resetIn: DurationMs | undefined;
  readonly windowMs: DurationMs | undefined;
  /** `qu` as sent, `''` when absent. */
  readonly unit: string;
}

type Member = { readonly name: string; readonly values: ReadonlyMap<string, unknown> };

const MAX_LENGTH = 4096;
const MAX_SECONDS = 366 * 86_400;
const MAX_UNITS = 1e15;

/** @returns the members of a `RateLimit` field, or `null` when nothing in it can be read */
export function readQuotas(value: string): QuotaItem[] | null {
  return itemsOf(value, (item) => item.remaining !== undefined);
}

/** @returns the members of a `RateLimit-Policy` field, or `null` */
export function readPolicies(value: string): QuotaItem[] | null {
  return itemsOf(value, (item) => item.limit !== undefined);
}

function itemsOf(value: string, usable: (item: QuotaItem) => boolean): QuotaItem[] | null {
  if (value.length > MAX_LENGTH) return null;
  const items = (readStrictly(value) ?? readLeniently(value)).map(itemOf).filter(usable);
  return items.length === 0 ? null : items;
}

function itemOf({ name, values }: Member): QuotaItem {
  const reset = bounded(values.get('t') ?? values.get('reset'), MAX_SECONDS);
  const window = bounded(values.get('w') ?? values.get('window'), MAX_SECONDS);
  const unit = values.get('qu');
  return {
    name,
    limit: bounded(values.get('q') ?? values.get('limit'), MAX_UNITS),
    remaining: bounded(values.get('r') ?? values.get('remaining'), MAX_UNITS),
    resetIn: reset === undefined ? undefined : reset * 1000,
    windowMs: window === undefined || window === 0 ? undefined : window * 1000,
    unit: typeof unit === 'string' ? unit : '',
  };
}

function bounded(value: unknown, max: number): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= max ? Math.floor(value) : undefined;
}

function readStrictly(value: string): Member[] | null {
  let list;
  try {
    list = parseList(value);
  } catch {
    return null;
  }
  const members: Member[] = [];
  for (const [bare, values] of list) {
    if (typeof bare === 'string') members.push({ name: bare, values });
    else if (typeof bare === 'number') members.push({ name: '', values: withLimit(values, bare) });
    else if (!Array.isArray(bare)) members.push({ name: String(bare), values });
  }
  return members;
}

function withLimit(values: ReadonlyMap<string, unknown>, limit: number): Map<string, unknown> {
  return new Map<string, unknown>(values).set('q', limit);
}

/** Whatever can be made of it: the last quoted string is the name, `key=value` anywhere counts. */
function readLeniently(value: string): Member[] {
  const members: Member[] = [];
  // Members of a dictionary (`limit=10, remaining=5, reset=3`) together are one quota.
  let dictionary: Map<string, unknown> | undefined;
  for (const part of splitOutsideQuotes(value, ',')) {
    const segments = splitOutsideQuotes(part, ';').map((segment) => segment.trim());
    const values = new Map<string, unknown>();
    let name = '';
    for (const segment of segments) {
      const pair = /^([a-zA-Z*][\w*.-]*)\s*=\s*(.*)$/.exec(segment);
      if (pair !== null) values.set((pair[1] as string).toLowerCase(), scalar(pair[2] as string));
      else if (/^".*"$/.test(segment)) name = segment.slice(1, -1);
      else if (/^\d{1,16}$/.test(segment)) values.set('q', Number(segment));
    }
    if (name === '' && /^(?:limit|remaining|reset|window)\s*=/i.test(segments[0] ?? '')) {
      if (dictionary === undefined) members.push({ name, values: (dictionary = new Map()) });
      for (const [key, one] of values) dictionary.set(key, one);
    } else members.push({ name, values });
  }
  return members;
}

function scalar(text: string): unknown {
  if (/^\d{1,16}(?:\.\d+)?$/.test(text)) return Number(text);
  return /^".*"$/.test(text) ? text.slice(1, -1) : text;
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '"') quoted = !quoted;
    else if (c === separator && !quoted) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  parts.push(text.slice(from));
  return parts.filter((part) => part.trim() !== '');
}
