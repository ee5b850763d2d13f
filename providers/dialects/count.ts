/** Whole numbers in fields. Written out rather than matched: they are read on every answer. */

/** No quota of this size exists; such a number is a fault. */
const MAX_UNITS = 1e15;

/** Digits, blanks around them allowed; anything else is `NaN`. */
export function parseCount(value: string): number {
  let number = 0;
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if (c < 48 || c > 57) return parseCountSlowly(value);
    number = number * 10 + (c - 48);
  }
  return value.length > 0 && number <= MAX_UNITS ? number : NaN;
}

function parseCountSlowly(value: string): number {
  const digits = value.trim();
  return /^\d{1,16}$/.test(digits) && Number(digits) <= MAX_UNITS ? Number(digits) : NaN;
}
