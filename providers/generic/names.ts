/**
 * Which part of which quota a field is, by its name: `RateLimit-Remaining`, `X-RateLimit-Reset`,
 * `X-Rate-Limit-Limit`, with the quota's own name after (`X-RateLimit-Limit-Minute`) or before
 * (`X-RateLimit-Requests-Limit`). Names are understood once and remembered.
 */
import type { DurationMs, QuotaUnit } from '../../src/core/units.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/units.ts';

export type Role =
  | {
      readonly kind: 'part';
      readonly part: Part;
      readonly family: string;
      readonly dialect: string;
    }
  | { readonly kind: 'ietf-quota' }
  | { readonly kind: 'ietf-policy' }
  | { readonly kind: 'retry' }
  | { readonly kind: 'age' };

export type Part = 'limit' | 'remaining' | 'used' | 'reset' | 'resetAfter';

const PARTS: Readonly<Record<string, Part>> = {
  limit: 'limit',
  remaining: 'remaining',
  used: 'used',
  observed: 'used',
  reset: 'reset',
  'reset-after': 'resetAfter',
};

const MAX_NAMES = 256;

export function roleReader(): (name: string) => Role | null {
  const roles = new Map<string, Role | null>();
  return (name) => {
    // Most fields are none of ours; their first letter says so.
    const first = name.charCodeAt(0) | 32;
    if (first !== 114 && first !== 120 && first !== 97) return null;
    const known = roles.get(name);
    if (known !== undefined) return known;
    if (roles.size >= MAX_NAMES) roles.clear();
    const role = understand(name.toLowerCase());
    roles.set(name, role);
    return role;
  };
}

function understand(name: string): Role | null {
  if (name === 'ratelimit') return { kind: 'ietf-quota' };
  if (name === 'ratelimit-policy') return { kind: 'ietf-policy' };
  if (name === 'retry-after' || name === 'retry-after-ms') return { kind: 'retry' };
  if (name === 'age') return { kind: 'age' };
  const match = /^(x-|anthropic-|)rate-?limit-([a-z0-9_-]{1,64})$/.exec(name);
  if (match === null) return null;
  const dialect = match[1] as string;
  const rest = match[2] as string;
  for (const [word, part] of Object.entries(PARTS)) {
    if (rest === word) return { kind: 'part', part, family: '', dialect };
  }
  // `reset-after` before `reset`, so that it is not taken for the reset of a quota named `after`.
  for (const [word, part] of Object.entries(PARTS).reverse()) {
    if (rest.startsWith(`${word}-`)) {
      return { kind: 'part', part, family: rest.slice(word.length + 1), dialect };
    }
    if (rest.endsWith(`-${word}`)) {
      return { kind: 'part', part, family: rest.slice(0, -word.length - 1), dialect };
    }
  }
  return null;
}

/** What a quota counts, as its name tells. */
export function unitOf(family: string): QuotaUnit {
  if (family.includes('input-token')) return 'input_tokens';
  if (family.includes('output-token')) return 'output_tokens';
  if (family.includes('token')) return 'tokens';
  if (family.includes('image')) return 'images';
  if (family.includes('byte')) return 'bytes';
  const counted = family.replace(PERIOD, '');
  return counted === '' || /^(?:req|call|api)/.test(counted) || family.includes('request')
    ? 'requests'
    : 'points';
}

const PERIOD = /(?:^|-)(?:(\d{1,4})-)?(second|minute|hour|day|month)s?$/;
const LENGTHS: Readonly<Record<string, DurationMs>> = {
  second: SECOND,
  minute: MINUTE,
  hour: HOUR,
  day: DAY,
};

/** Window in a quota's name: `tokens-minute`, `req-10-second`. A month has no fixed length. */
export function windowOf(family: string): DurationMs | undefined {
  const match = PERIOD.exec(family);
  if (match === null) return undefined;
  const length = LENGTHS[match[2] as string];
  return length === undefined ? undefined : length * Number(match[1] ?? 1);
}
