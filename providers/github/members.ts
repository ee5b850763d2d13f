/**
 * Finds the values of named members in JSON text that comes in pieces, without keeping the text.
 *
 * A quote inside a JSON string is always escaped, so `"name"` can only be a member's name or a whole
 * string; the colon tells which. At what depth it stands is not tracked: that would cost a look at
 * every character of every answer, and only someone who renames members in their own query could be
 * misread.
 */
export interface MemberScanner {
  write(text: string): void;
}

/** Spaces tolerated around the colon. */
const MOST_SPACES = 32;

/**
 * @param cap longest value handed over, in UTF-16 units; longer ones are skipped.
 * @param found called with the JSON text of each object or array that a named member holds.
 */
export function scanMembers(
  names: readonly string[],
  cap: number,
  found: (name: string, json: string) => void,
): MemberScanner {
  const needles = names.map((name) => `"${name}"`);
  const keep = Math.max(0, ...needles.map((needle) => needle.length)) + MOST_SPACES;
  let rest = '';
  let value: ValueReader | null = null;
  let reading = '';

  /** Reads on in the open value; returns where scanning goes on, −1 when the text ends first. */
  function readValue(open: ValueReader, text: string, from: number): number {
    const next = open.read(text, from);
    value = next < 0 ? open : null;
    if (next >= 0 && open.text !== null) found(reading, open.text);
    return next;
  }

  return {
    write(piece) {
      const text = rest + piece;
      rest = '';
      let at = value === null ? 0 : readValue(value, text, 0);
      while (at >= 0) {
        const hit = nextMember(text, at, needles);
        if (hit === null) {
          rest = text.slice(Math.max(at, text.length - keep));
          return;
        }
        if (hit.valueAt < 0) {
          // The piece ends before it is clear what follows the name.
          rest = text.slice(hit.at);
          return;
        }
        reading = names[hit.needle] as string;
        at = readValue(createValueReader(cap), text, hit.valueAt);
      }
    },
  };
}

interface Hit {
  readonly needle: number;
  readonly at: number;
  /** Where the value begins; −1 when the text ends before it. */
  readonly valueAt: number;
}

function nextMember(text: string, from: number, needles: readonly string[]): Hit | null {
  let best: Hit | null = null;
  for (const [needle, quoted] of needles.entries()) {
    let at = text.indexOf(quoted, from);
    while (at >= 0 && (best === null || at < best.at)) {
      const valueAt = valueStart(text, at + quoted.length);
      if (valueAt !== null) {
        best = { needle, at, valueAt };
        break;
      }
      at = text.indexOf(quoted, at + quoted.length);
    }
  }
  return best;
}

/** Index of the object or array after the colon; −1 when cut off, `null` when there is none. */
function valueStart(text: string, from: number): number | null {
  let colon = false;
  for (let i = from; i < from + MOST_SPACES; i++) {
    if (i >= text.length) return -1;
    const char = text[i];
    if (char === ':' && !colon) colon = true;
    else if ((char === '{' || char === '[') && colon) return i;
    else if (char !== ' ' && char !== '\n' && char !== '\r' && char !== '\t') return null;
  }
  return null;
}

interface ValueReader {
  /** Index after the value, or −1 when the text ended first. */
  read(text: string, from: number): number;
  /** The value's text; `null` when it was longer than the cap. */
  readonly text: string | null;
}

function createValueReader(cap: number): ValueReader {
  let kept = '';
  let depth = 0;
  let inString = false;
  let escaped = false;
  let over = false;

  function keep(text: string, from: number, to: number): void {
    if (over || kept.length + (to - from) > cap) {
      over = true;
      kept = '';
    } else kept += text.slice(from, to);
  }

  return {
    read(text, from) {
      for (let i = from; i < text.length; i++) {
        const char = text.charCodeAt(i);
        if (inString) {
          if (escaped) escaped = false;
          else if (char === 0x5c) escaped = true;
          else if (char === 0x22) inString = false;
        } else if (char === 0x22) inString = true;
        else if (char === 0x7b || char === 0x5b) depth++;
        else if ((char === 0x7d || char === 0x5d) && --depth === 0) {
          keep(text, from, i + 1);
          return i + 1;
        }
      }
      keep(text, from, text.length);
      return -1;
    },
    get text() {
      return over ? null : kept;
    },
  };
}
