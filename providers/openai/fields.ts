/**
 * Response fields: `x-ratelimit-{limit,remaining,reset}-<family>` for any family, and who was
 * charged. One pass over the raw fields; names are understood once and remembered.
 */
import type { RawFields, ResponseHead } from '../../src/core/head.ts';
import type {
  AccountObservation,
  Observation,
  QuotaObservation,
} from '../../src/core/observation.ts';
import { parseCount } from '../dialects/count.ts';
import { parseGoDuration } from '../dialects/go-duration.ts';
import type { ModelPools } from './pools.ts';
import { hiddenWindow } from './window.ts';

type Part = 'limit' | 'remaining' | 'reset';
interface Role {
  readonly part: Part;
  readonly family: string;
  readonly name: string;
}
interface Reading {
  readonly family: string;
  limit: number;
  remaining: number;
  reset: number;
}
type Writable<T> = { -readonly [K in keyof T]: T[K] };

const MAX_NAMES = 256;
const MAX_FAMILIES = 16;

export type FieldReader = (head: ResponseHead, pools: ModelPools) => Observation[];

export function fieldReader(): FieldReader {
  const roles = new Map<string, Role | null>();
  let account: AccountObservation | undefined;

  function roleOf(name: string): Role | null {
    const known = roles.get(name);
    if (known !== undefined) return known;
    const match = /^x-ratelimit-(limit|remaining|reset)-([a-z0-9_-]{1,64})$/i.exec(name);
    const role =
      match === null
        ? null
        : {
            part: (match[1] as string).toLowerCase() as Part,
            family: (match[2] as string).toLowerCase(),
            name: name.toLowerCase(),
          };
    if (roles.size >= MAX_NAMES) roles.clear();
    roles.set(name, role);
    return role;
  }

  return (head, pools) => {
    const found: Observation[] = [];
    const readings: Reading[] = [];
    let organization = '';
    let project = '';
    const fields = head.fields;
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] as string;
      const first = name.charCodeAt(0) | 32;
      if (first === 120) {
        if (name.length < 19 || (name.charCodeAt(2) | 32) !== 114) continue;
        const role = roleOf(name);
        if (role !== null) take(role, fields[i + 1] as string, readings, found);
      } else if (first === 111) {
        if (name.length === 19 && name.toLowerCase() === 'openai-organization') {
          organization = fields[i + 1] as string;
        } else if (name.length === 14 && name.toLowerCase() === 'openai-project') {
          project = fields[i + 1] as string;
        }
      }
    }
    for (const reading of readings) {
      const quota = quotaOf(reading, pools);
      if (quota !== null) found.push(quota);
    }
    if (organization !== '') {
      const named = accountName(organization, project);
      if (named === null) found.push({ kind: 'malformed', field: 'openai-organization' });
      else {
        if (account?.account !== named) account = { kind: 'account', account: named };
        found.push(account);
      }
    }
    return found;
  };
}

/** The limit a family's field states, or `undefined`. */
export function limitOf(fields: RawFields, family: string): number | undefined {
  const wanted = `x-ratelimit-limit-${family}`;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (name.length === wanted.length && name.toLowerCase() === wanted) {
      const limit = parseCount(fields[i + 1] as string);
      return Number.isNaN(limit) ? undefined : limit;
    }
  }
  return undefined;
}

function take(role: Role, value: string, readings: Reading[], found: Observation[]): void {
  const number = role.part === 'reset' ? parseGoDuration(value.trim()) : parseCount(value);
  if (Number.isNaN(number)) {
    found.push({ kind: 'malformed', field: role.name });
    return;
  }
  let reading: Reading | undefined;
  for (const one of readings) if (one.family === role.family) reading = one;
  if (reading === undefined) {
    if (readings.length >= MAX_FAMILIES) return;
    reading = { family: role.family, limit: NaN, remaining: NaN, reset: NaN };
    readings.push(reading);
  }
  reading[role.part] = number;
}

function quotaOf(reading: Reading, pools: ModelPools): QuotaObservation | null {
  const spec = pools.family(reading.family);
  if (spec === undefined) return null;
  const { limit, reset } = reading;
  const remaining = reading.remaining > limit ? limit : reading.remaining;
  const quota: Writable<QuotaObservation> = { kind: 'quota', spec };
  if (!Number.isNaN(limit)) quota.limit = limit;
  if (!Number.isNaN(remaining)) quota.remaining = remaining;
  if (!Number.isNaN(reset)) {
    quota.resetIn = Math.ceil(reset);
    const window = hiddenWindow(limit, remaining, reset);
    if (window !== undefined) quota.windowMs = window;
  }
  return quota;
}

const ACCOUNT_PART = /^[\x21-\x7e]{1,128}$/;

function accountName(organization: string, project: string): string | null {
  if (!ACCOUNT_PART.test(organization)) return null;
  return ACCOUNT_PART.test(project) ? `${organization}/${project}` : organization;
}
