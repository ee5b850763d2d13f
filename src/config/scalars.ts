/** Readers of single values, shared by policies and the configuration file. */
import type { PoolKind } from '../core/claim.ts';
import { DAY, HOUR, MINUTE, SECOND, type DurationMs, type QuotaUnit } from '../core/units.ts';
import { nearest } from './nearest.ts';

/** A value, or what is wrong with it. */
export type Read<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly message: string; readonly suggestion?: string };

export function good<Value>(value: Value): Read<Value> {
  return { ok: true, value };
}

export function bad(message: string, suggestion?: string): Read<never> {
  return suggestion === undefined ? { ok: false, message } : { ok: false, message, suggestion };
}

/** How a value is quoted back in a message; long ones are cut. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = typeof value === 'string' ? value : asJson(value);
  return `\`${text.length > 60 ? `${text.slice(0, 57)}…` : text}\``;
}

function asJson(value: unknown): string {
  if (typeof value === 'number') return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return 'a value that contains itself'; // YAML can say so with an anchor
  }
}

const UNIT_MS: Readonly<Record<string, DurationMs>> = {
  ms: 1,
  s: SECOND,
  m: MINUTE,
  h: HOUR,
  d: DAY,
  w: 7 * DAY,
};
const MAX_DURATION: DurationMs = 366 * DAY;
const DURATION_PART = /(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*/y;

/** `500ms`, `30s`, `1h30m`, `7d`; a bare `0` is a duration too. Integer milliseconds. */
export function readDuration(value: unknown): Read<DurationMs> {
  if (value === 0 || value === '0') return good(0);
  if (typeof value === 'number') {
    return bad(`${shown(value)} is no duration: it needs a unit`, `${value}s`);
  }
  if (typeof value !== 'string' || value.trim() === '') {
    return bad(`${shown(value)} is no duration: write one like \`30s\`, \`5m\` or \`1h30m\``);
  }
  const text = value.trim();
  let total = 0;
  DURATION_PART.lastIndex = 0;
  while (DURATION_PART.lastIndex < text.length) {
    const part = DURATION_PART.exec(text);
    if (part === null) {
      return bad(`${shown(value)} is no duration: write one like \`30s\`, \`5m\` or \`1h30m\``);
    }
    total += Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? 0);
  }
  if (total > MAX_DURATION) return bad(`${shown(value)} is longer than 366d`);
  return good(Math.round(total));
}

/** `10%` or `0.1`, more than nothing and at most everything. */
export function readShare(value: unknown): Read<number> {
  const text = typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*%$/.exec(value.trim()) : null;
  const share = text ? Number(text[1]) / 100 : value;
  if (typeof share !== 'number' || !Number.isFinite(share)) {
    return bad(`${shown(value)} is no share: write one like \`10%\``);
  }
  if (share <= 0 || share > 1) {
    const meant = typeof value === 'number' && share > 1 && share <= 100 ? `${share}%` : undefined;
    return bad(`${shown(value)} is no share: it must be above 0% and at most 100%`, meant);
  }
  return good(share);
}

export interface Quota {
  /** Integer; micro-USD when the unit is `usd`. */
  readonly units: number;
  readonly unit: QuotaUnit;
  /** `null` without a `/ WINDOW`. */
  readonly windowMs: DurationMs | null;
}

const QUOTA_UNITS = [
  'requests',
  'tokens',
  'input_tokens',
  'output_tokens',
  'points',
  'usd',
] as const satisfies readonly QuotaUnit[];
const QUOTA = /^(\d[\d_]*(?:\.\d+)?)\s*([a-z_]+)(?:\s*\/\s*(.+))?$/i;
const QUOTA_FORM = 'write it like `100 requests / 1h`';

/** `100 requests / 1h`, `20000 tokens / 1m`, `5 usd / 1d`, `8 requests` (concurrent). */
export function readQuota(value: unknown): Read<Quota> {
  const parts = typeof value === 'string' ? QUOTA.exec(value.trim()) : null;
  if (parts === null) return bad(`${shown(value)} is no quota: ${QUOTA_FORM}`);
  const [, digits = '', word = '', window] = parts;
  const name = word.toLowerCase();
  const unit = QUOTA_UNITS.find((known) => known === name || known === `${name}s`);
  if (unit === undefined) {
    const known = `known units: ${QUOTA_UNITS.join(', ')}`;
    return bad(`unknown unit \`${word}\` in quota ${shown(value)} (${known})`, near(name));
  }
  const amount = Number(digits.replaceAll('_', ''));
  const units = unit === 'usd' ? Math.round(amount * 1e6) : amount;
  if (!Number.isSafeInteger(units)) {
    return bad(`${shown(value)} is no quota: ${unit} are counted in whole units`);
  }
  if (units <= 0) {
    return bad(`${shown(value)} lets nothing through: to refuse, write a rule with \`reject\``);
  }
  if (window === undefined) return good({ units, unit, windowMs: null });
  const length = readDuration(/^\d/.test(window) ? window : `1${window}`);
  if (!length.ok) return bad(`bad window in quota ${shown(value)}: ${length.message}`);
  if (length.value < 1) return bad(`quota ${shown(value)} has a window without length`);
  return good({ units, unit, windowMs: length.value });
}

function near(name: string): string | undefined {
  return nearest(name, QUOTA_UNITS);
}

/** `10/s`, `100/1m`, `5/h`: requests a second; or `spread`. */
export function readPace(value: unknown): Read<number | 'spread'> {
  if (value === 'spread') return good('spread');
  const parts =
    typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*\/\s*(.+)$/.exec(value.trim()) : null;
  const form = 'write it like `10/s`, `100/1m` or `spread`';
  if (parts === null) return bad(`${shown(value)} is no pace: ${form}`);
  const [, amount = '', window = ''] = parts;
  const length = readDuration(/^\d/.test(window) ? window : `1${window}`);
  if (!length.ok || length.value < 1) return bad(`${shown(value)} is no pace: ${form}`);
  const perSecond = (Number(amount) * SECOND) / length.value;
  if (perSecond <= 0) {
    return bad(`${shown(value)} lets nothing through: to refuse, write action \`reject\``);
  }
  return good(perSecond);
}

export const WINDOW_KINDS = [
  'fixed',
  'bucket',
  'rolling',
  'concurrent',
] as const satisfies readonly PoolKind[];

/** One of a few words. */
export function readWord<Word extends string>(
  value: unknown,
  words: readonly Word[],
  what: string,
): Read<Word> {
  const found = words.find((word) => word === value);
  if (found !== undefined) return good(found);
  const known = words.join(', ');
  if (typeof value !== 'string') return bad(`${shown(value)} is no ${what} (known: ${known})`);
  return bad(`unknown ${what} ${shown(value)} (known: ${known})`, nearest(value, words));
}

/** A name or a list of names, none of them empty. */
export function readNames(value: unknown, what: string): Read<readonly string[]> {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) return bad(`${what} is an empty list: leave it out to mean any`);
  const names: string[] = [];
  for (const item of list) {
    const name = typeof item === 'number' ? String(item) : item;
    if (typeof name !== 'string' || name === '') return bad(`${shown(item)} is no ${what}`);
    names.push(name);
  }
  return good(names);
}
