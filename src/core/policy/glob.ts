/**
 * Patterns of `match`: `*` stands for any run of characters (slashes too), `?` for one. Everything
 * else is itself. Matching never backtracks further than the last star, so it takes at most
 * pattern × text steps whatever a client sends.
 */
export type TextTest = (value: string) => boolean;

export function hasWildcard(pattern: string): boolean {
  return pattern.includes('*') || pattern.includes('?');
}

/** Literal characters in a pattern; an exact name outranks every pattern. */
export function specificity(pattern: string): number {
  if (!hasWildcard(pattern)) return Number.MAX_SAFE_INTEGER;
  let literal = 0;
  for (const character of pattern) if (character !== '*' && character !== '?') literal += 1;
  return literal;
}

export function compileGlob(pattern: string): TextTest {
  if (!hasWildcard(pattern)) return (value) => value === pattern;
  if (/^\*+$/.test(pattern)) return () => true;
  const stem = pattern.slice(0, -1);
  if (pattern.endsWith('*') && !hasWildcard(stem)) return (value) => value.startsWith(stem);
  const tail = pattern.slice(1);
  if (pattern.startsWith('*') && !hasWildcard(tail)) return (value) => value.endsWith(tail);
  return (value) => matches(pattern, value);
}

/**
 * Test for a list of patterns: one of them must fit, and none of those that begin with `!`. With
 * only exclusions everything else fits.
 */
export function compileGlobs(patterns: readonly string[]): TextTest {
  const wanted = patterns.filter((pattern) => !pattern.startsWith('!'));
  const unwanted = patterns.filter((pattern) => pattern.startsWith('!')).map((p) => p.slice(1));
  const within = anyOf(wanted);
  if (unwanted.length === 0) return within;
  const without = anyOf(unwanted);
  if (wanted.length === 0) return (value) => !without(value);
  return (value) => within(value) && !without(value);
}

function anyOf(patterns: readonly string[]): TextTest {
  if (patterns.length === 1) return compileGlob(patterns[0] as string);
  const exact = new Set(patterns.filter((pattern) => !hasWildcard(pattern)));
  const globs = patterns.filter(hasWildcard).map(compileGlob);
  if (globs.length === 0) return (value) => exact.has(value);
  return (value) => exact.has(value) || globs.some((test) => test(value));
}

function matches(pattern: string, value: string): boolean {
  let p = 0;
  let v = 0;
  let star = -1;
  let resume = 0;
  while (v < value.length) {
    if (pattern[p] === '*') {
      star = p;
      p += 1;
      resume = v;
    } else if (pattern[p] === '?' || pattern[p] === value[v]) {
      p += 1;
      v += 1;
    } else if (star >= 0) {
      p = star + 1;
      resume += 1;
      v = resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}
