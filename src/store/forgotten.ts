/** What stands for a name that was forgotten. */
export function forgottenName(number: number): string {
  return `forgotten:${String(number)}`;
}

const NAME_CHARACTER = /[\p{L}\p{N}_.-]/u;

/**
 * Replaces a name where it is a whole part of a composed one (`github/core/ci` holds `ci`, not
 * `c`); `null` when it is nowhere in it.
 */
export function replacePart(composed: string, part: string, replacement: string): string | null {
  if (part === '') return null;
  let result = '';
  let from = 0;
  for (let at = composed.indexOf(part); at >= 0; at = composed.indexOf(part, at + 1)) {
    if (at < from) continue;
    const end = at + part.length;
    if (NAME_CHARACTER.test(composed.charAt(at - 1)) || NAME_CHARACTER.test(composed.charAt(end)))
      continue;
    result += composed.slice(from, at) + replacement;
    from = end;
  }
  return from === 0 ? null : result + composed.slice(from);
}
