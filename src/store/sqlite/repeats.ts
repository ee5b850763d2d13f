/**
 * Data of entries of one kind is mostly alike: host, rule, outcome and many a reading are those of the
 * entry before. Only what differs is written; a mask tells what does not.
 */
import type { JsonValue } from '../../core/units.ts';

/** Elements beyond these are always written. */
const MASKED = 30;
/** Arrays in arrays are looked into this deep; the rest counts as different. */
const DEPTH = 2;

/** Appends to `values` what `data` has otherwise than `before`; returns the mask of what it has alike. */
export function repeated(
  data: readonly JsonValue[],
  before: readonly JsonValue[],
  values: JsonValue[],
): number {
  let mask = 0;
  for (let index = 0; index < data.length; index += 1) {
    const value = data[index] as JsonValue;
    if (index < MASKED && index < before.length && same(value, before[index], DEPTH)) {
      mask |= 1 << index;
    } else {
      values.push(value);
    }
  }
  return mask;
}

/** The inverse, from `values[used]` on: the data, and where the next one's values begin. */
export function restored(
  length: number,
  mask: number,
  before: readonly JsonValue[],
  values: readonly JsonValue[],
  used: number,
): [data: JsonValue[], after: number] {
  const data: JsonValue[] = [];
  let after = used;
  while (data.length < length && after <= values.length) {
    const index = data.length;
    const alike = index < MASKED && (mask & (1 << index)) !== 0;
    data.push((alike ? before[index] : values[after]) ?? null);
    if (!alike) after += 1;
  }
  return [data, after];
}

function same(a: unknown, b: unknown, depth: number): boolean {
  if (a === b) return true;
  if (depth === 0 || !Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) {
    if (!same(a[index], b[index], depth - 1)) return false;
  }
  return true;
}
