import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { CompiledPolicy } from '../../core/policy/types.ts';
import type { JsonObject } from '../../core/units.ts';

/** What the file says, provided that it is still the text that was compiled. */
export function writtenIn(path: string, policy: CompiledPolicy): JsonObject | null {
  try {
    const text = readFileSync(path, 'utf8');
    if (createHash('sha256').update(text).digest('hex') !== policy.hash) return null;
    return parse(text) as JsonObject;
  } catch {
    return null;
  }
}
