/**
 * Reads the top level of a JSON object without building it. Strings, where nearly all bytes of a
 * prompt are, are skipped with the engine's native search, so that a large body costs little.
 */

/** What lies inside one container value. */
export interface Tally {
  /** Characters of string values (not of keys), without embedded files. */
  text: number;
  /** `image_url` and `input_image` parts. */
  images: number;
  /** Files and items that are at the provider, or weigh otherwise than their bytes. */
  stored: number;
  /** Bare numbers, as in an embedding request that was tokenised by the client. */
  numbers: number;
}

/** Called once for each top-level member; offsets into the text, `valueEnd` exclusive. */
export type OnMember = (
  key: string,
  keyStart: number,
  valueStart: number,
  valueEnd: number,
  tally: Tally,
) => void;

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;

/** @returns true when the text was one well-formed object as far as this reader looks */
export function scanObject(text: string, onMember: OnMember): boolean {
  const tally: Tally = { text: 0, images: 0, stored: 0, numbers: 0 };
  let i = skipSpace(text, 0);
  if (text.charCodeAt(i) !== 123) return false;
  i = skipSpace(text, i + 1);
  if (text.charCodeAt(i) === 125) return true;
  for (;;) {
    if (text.charCodeAt(i) !== QUOTE) return false;
    const keyStart = i;
    const keyEnd = endOfString(text, i);
    if (keyEnd < 0) return false;
    i = skipSpace(text, keyEnd + 1);
    if (text.charCodeAt(i) !== COLON) return false;
    const valueStart = skipSpace(text, i + 1);
    tally.text = tally.images = tally.stored = tally.numbers = 0;
    const valueEnd = endOfValue(text, valueStart, tally);
    if (valueEnd < 0) return false;
    onMember(stringAt(text, keyStart, keyEnd), keyStart, valueStart, valueEnd, tally);
    i = skipSpace(text, valueEnd);
    const c = text.charCodeAt(i);
    if (c === 125) return true;
    if (c !== COMMA) return false;
    i = skipSpace(text, i + 1);
  }
}

/** The string between its quotes at `open` and `close`; escapes are resolved. */
export function stringAt(text: string, open: number, close: number): string {
  const raw = text.slice(open + 1, close);
  if (!raw.includes('\\')) return raw;
  try {
    return String(JSON.parse(text.slice(open, close + 1)));
  } catch {
    return raw;
  }
}

/** Offset of the quote that closes the string opened at `open`, or -1. */
export function endOfString(text: string, open: number): number {
  let at = open;
  for (;;) {
    at = text.indexOf('"', at + 1);
    if (at < 0) return -1;
    let before = at - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    if (((at - 1 - before) & 1) === 0) return at;
  }
}

function endOfValue(text: string, start: number, tally: Tally): number {
  const c = text.charCodeAt(start);
  if (c === QUOTE) {
    const close = endOfString(text, start);
    if (close > 0 && !isFile(text, start, close)) tally.text += close - start - 1;
    return close < 0 ? -1 : close + 1;
  }
  if (c === 123 || c === 91) return endOfContainer(text, start, tally);
  let i = start;
  for (; i < text.length; i++) {
    const d = text.charCodeAt(i);
    if (d === COMMA || d === 125 || d === 93 || d <= 32) break;
  }
  return i > start ? i : -1;
}

function endOfContainer(text: string, start: number, tally: Tally): number {
  let depth = 0;
  let inNumber = false;
  for (let i = start; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) {
      const close = endOfString(text, i);
      if (close < 0) return -1;
      const after = skipSpace(text, close + 1);
      if (text.charCodeAt(after) !== COLON) tallyString(text, i, close, tally);
      i = close;
    } else if (c === 123 || c === 91) depth++;
    else if (c === 125 || c === 93) {
      if (--depth === 0) return i + 1;
    } else if (c >= 48 && c <= 57) {
      if (!inNumber) tally.numbers++;
      inNumber = true;
      continue;
    }
    if (c !== 46) inNumber = false;
  }
  return -1;
}

function tallyString(text: string, open: number, close: number, tally: Tally): void {
  const length = close - open - 1;
  if (
    (length === 9 && text.startsWith('image_url', open + 1)) ||
    (length === 11 && text.startsWith('input_image', open + 1))
  ) {
    tally.images++;
  } else if (
    (length === 4 && text.startsWith('file', open + 1)) ||
    (length === 10 && text.startsWith('input_file', open + 1)) ||
    (length === 14 && text.startsWith('item_reference', open + 1))
  ) {
    tally.stored++;
  }
  if (!isFile(text, open, close)) tally.text += length;
}

/** An embedded file (data URL or bare base64): its bytes say nothing about tokens. */
function isFile(text: string, open: number, close: number): boolean {
  const length = close - open - 1;
  if (length < 256) return false;
  if (text.startsWith('data:', open + 1)) return true;
  return length >= 1024 && /^[A-Za-z0-9+/_=-]{128}$/.test(middle(text, open, length));
}

function middle(text: string, open: number, length: number): string {
  const from = open + 1 + (length >> 1);
  return text.slice(from, from + 128);
}

function skipSpace(text: string, from: number): number {
  let i = from;
  for (;;) {
    const c = text.charCodeAt(i);
    if (c === 32 || c === 10 || c === 13 || c === 9) i++;
    else return i;
  }
}
