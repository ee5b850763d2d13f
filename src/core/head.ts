import type { EpochMs } from './units.ts';

/** Header fields as they came: `[name, value, name, value, …]`, case, order and duplicates kept. */
export type RawFields = readonly string[];

/** A request's head, after the shell resolved where it goes and removed ratelord's own fields. */
export interface RequestHead {
  /** As sent, e.g. `GET`. */
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** Host of the origin server: lower case, no trailing dot, no brackets, no port. */
  readonly host: string;
  readonly port: number;
  /** Origin-form target with its query, as it will be forwarded. */
  readonly path: string;
  readonly fields: RawFields;
  /** Declared content length in bytes; `null` when the body is chunked; 0 without a body. */
  readonly contentLength: number | null;
  readonly way: 'gateway' | 'forward' | 'intercept' | 'poll' | 'passive';
  /** True for a WebSocket handshake. */
  readonly upgrade: boolean;
}

/** A response's head as it came from the origin server. */
export interface ResponseHead {
  readonly status: number;
  readonly fields: RawFields;
  /** The origin's own `Date`, or `null` when absent or malformed. */
  readonly date: EpochMs | null;
}

function sameName(a: string, lower: string): boolean {
  return a.length === lower.length && (a === lower || a.toLowerCase() === lower);
}

/** First value of a field; `lower` is its name in lower case. */
export function field(fields: RawFields, lower: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    if (sameName(fields[i] as string, lower)) return fields[i + 1];
  }
  return undefined;
}

/** Every value of a field, in order. */
export function allFields(fields: RawFields, lower: string): string[] {
  const found: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (sameName(fields[i] as string, lower)) found.push(fields[i + 1] as string);
  }
  return found;
}
