/**
 * Finds the value of a member, an object, in JSON text that arrives in pieces, without parsing the
 * rest. Inside a JSON string the name's quotes would be escaped, so a match is always a real member;
 * the last acceptable one counts. Memory is bounded whatever arrives.
 */
import { endOfString } from './json-scan.ts';

const MAX_VALUE = 8192;
const MAX_TAIL = 64;

export type JsonRecord = Readonly<Record<string, unknown>>;

export class MemberSeeker {
  found: JsonRecord | null = null;
  private readonly needle: string;
  private readonly accept: (value: JsonRecord) => boolean;
  private pending = '';

  constructor(name: string, accept: (value: JsonRecord) => boolean) {
    this.needle = `"${name}"`;
    this.accept = accept;
  }

  write(piece: string): void {
    let text = this.pending === '' ? piece : this.pending + piece;
    this.pending = '';
    for (;;) {
      const at = text.indexOf(this.needle);
      if (at < 0) {
        // The name may be cut in two here.
        const cut = text.lastIndexOf('"');
        if (cut >= 0 && text.length - cut < this.needle.length) this.pending = text.slice(cut);
        return;
      }
      const open = openingBrace(text, at + this.needle.length);
      if (open === WAIT) {
        if (text.length - at < MAX_TAIL) this.pending = text.slice(at);
        return;
      }
      if (open === NONE) {
        text = text.slice(at + this.needle.length);
        continue;
      }
      const end = closingBrace(text, open);
      if (end < 0) {
        if (text.length - open < MAX_VALUE) this.pending = text.slice(at);
        else text = text.slice(open + 1);
        if (this.pending !== '') return;
        continue;
      }
      this.consider(text.slice(open, end));
      text = text.slice(end);
    }
  }

  /** Forgets what was cut in two: the next piece belongs to another document. */
  endDocument(): void {
    this.pending = '';
  }

  private consider(value: string): void {
    const parsed = parseRecord(value);
    if (parsed !== null && this.accept(parsed)) this.found = parsed;
  }
}

const WAIT = -1;
const NONE = -2;

function openingBrace(text: string, from: number): number {
  let colon = false;
  for (let i = from; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 58 && !colon) colon = true;
    else if (c === 123 && colon) return i;
    else if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return NONE;
  }
  return WAIT;
}

function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length && i - open <= MAX_VALUE; i++) {
    const c = text.charCodeAt(i);
    if (c === 34) {
      const close = endOfString(text, i);
      if (close < 0) return -1;
      i = close;
    } else if (c === 123) depth++;
    else if (c === 125 && --depth === 0) return i + 1;
  }
  return -1;
}

/** A JSON object, or `null` for anything else, faults included. */
export function parseRecord(text: string): JsonRecord | null {
  try {
    return asRecord(JSON.parse(text));
  } catch {
    return null;
  }
}

export function asRecord(value: unknown): JsonRecord | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonRecord)
    : null;
}

/** A member that is a string, else `''`. */
export function stringMember(record: JsonRecord | null, name: string): string {
  const value = record?.[name];
  return typeof value === 'string' ? value : '';
}

/** A member that is a count, else 0. */
export function countMember(record: JsonRecord | null, name: string): number {
  const value = record?.[name];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
