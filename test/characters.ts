/** Characters for text that may be anything. */
import fc from 'fast-check';

const SURROGATES = { from: 0xd800, count: 0x800 };

/**
 * Any code point but a surrogate: what `unit: 'binary'` draws, which fills tables of a million first,
 * for a second and more in each process.
 */
export const anyCharacter = fc.nat(0x10_ffff - SURROGATES.count).map(
  (n) => String.fromCodePoint(n < SURROGATES.from ? n : n + SURROGATES.count),
  (text) => {
    const point = typeof text === 'string' ? text.codePointAt(0) : undefined;
    if (point === undefined || text !== String.fromCodePoint(point))
      throw new Error('no character');
    return point < SURROGATES.from ? point : point - SURROGATES.count;
  },
);

/** What stands in a segment of a path (RFC 3986, section 3.3): as it is, or encoded. */
const inSegment = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(..."abcxyzABCXYZ0189-._~!$&'()*+,;=:@") },
  { weight: 1, arbitrary: anyCharacter.map((character) => encodeURIComponent(character)) },
);

/** Nothing, or segments each behind a slash: `fc.webPath()` without its tables, which are those too. */
export const anyPath = fc
  .array(fc.string({ unit: inSegment }))
  .map((segments) => segments.map((segment) => `/${segment}`).join(''));
