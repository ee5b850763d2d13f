/** The fields of a response on their way to the client. See `fields.ts`. */
import type { EpochMs } from '../core/units.ts';
import { latin1 } from './latin1.ts';
import { RESPONSE, RESPONSE_NAMES, dropNominated } from './fields.ts';

export interface SiftedResponse {
  /** To be passed on, hop-by-hop fields removed. */
  readonly fields: string[];
  /** Declared content length in bytes, or -1. */
  readonly contentLength: number;
  readonly date: EpochMs | null;
  /** Lower case; `''` for identity. */
  readonly contentEncoding: string;
  /** Whether a `Trailer`, `Link` or `Location` is among them. */
  readonly trailer: boolean;
  readonly links: boolean;
  /** Whether a transfer coding other than chunked was applied, which nobody here takes off. */
  readonly coded: boolean;
}

let lastDate = '';
let lastDateMs: EpochMs | null = null;

/** Responses of one second carry one date: read once. */
function parseDate(value: string): EpochMs | null {
  if (value !== lastDate) {
    const ms = Date.parse(value);
    lastDate = value;
    lastDateMs = Number.isNaN(ms) ? null : ms;
  }
  return lastDateMs;
}

/** @param raw flat buffers as undici's parser gives them; octets above 127 are kept as they are */
export function siftResponse(raw: readonly Buffer[]): SiftedResponse {
  const fields: string[] = [];
  let contentLength = -1;
  let date: EpochMs | null = null;
  let contentEncoding = '';
  let trailer = false;
  let links = false;
  let connection = '';
  let coded = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = latin1(raw[i] as Buffer);
    const value = latin1(raw[i + 1] as Buffer);
    const code = RESPONSE_NAMES.codeOf(name);
    if (code === RESPONSE.pass) {
      fields.push(name, value);
      continue;
    }
    if (code === RESPONSE.drop) continue;
    if (code === RESPONSE.transferEncoding) {
      coded ||= value.trim().toLowerCase() !== 'chunked';
      continue;
    }
    if (code === RESPONSE.connection) {
      connection = connection === '' ? value : `${connection},${value}`;
      continue;
    }
    if (code === RESPONSE.contentLength) contentLength = Number(value);
    else if (code === RESPONSE.trailer) trailer = true;
    else if (code === RESPONSE.date) date = parseDate(value);
    else if (code === RESPONSE.contentEncoding) {
      const coding = value.trim().toLowerCase();
      if (coding !== 'identity' && coding !== '') {
        contentEncoding = contentEncoding === '' ? coding : `${contentEncoding},${coding}`;
      }
    } else links = true;
    fields.push(name, value);
  }
  if (connection !== '') dropNominated(fields, connection);
  return { fields, contentLength, date, contentEncoding, trailer, links, coded };
}

/** Removes every field of a name, in place. */
export function dropField(fields: string[], lower: string): void {
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (name.length === lower.length && name.toLowerCase() === lower) continue;
    fields[kept] = name;
    fields[kept + 1] = fields[i + 1] as string;
    kept += 2;
  }
  fields.length = kept;
}
