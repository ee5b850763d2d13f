/** Single values of a scenario. */
import { MINUTE, SECOND, type DurationMs, type MonoMs } from '../../core/units.ts';
import { bad, good, readDuration, readQuota, readShare, shown, type Read } from '../scalars.ts';

export function readCount(value: unknown): Read<number> {
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return good(value);
  return bad(`${shown(value)} is no count: it must be a whole number above 0`);
}

export function readAmount(value: unknown): Read<number> {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return good(value);
  return bad(`${shown(value)} must be a number of at least 0`);
}

export function readPositive(value: unknown): Read<number> {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return good(value);
  return bad(`${shown(value)} must be a number above 0`);
}

/** A bound of an invariant: `0`, `0.99`, `1%`, `500ms`, in the measure's own unit. */
export function readBound(value: unknown): Read<number> {
  if (typeof value === 'number' && Number.isFinite(value)) return good(value);
  if (typeof value === 'string') {
    const percent = /^(\d+(?:\.\d+)?)\s*%$/.exec(value.trim());
    if (percent !== null) return good(Number(percent[1]) / 100);
    const duration = readDuration(value);
    if (duration.ok) return duration;
  }
  return bad(`${shown(value)} is no bound: write a number, a share like \`1%\` or a duration`);
}

/** 0…1, nothing included. */
export function readPart(value: unknown): Read<number> {
  return value === 0 || value === '0%' ? good(0) : readShare(value);
}

/** `5/s`, `300/m`, `20/1h`: so many a second. */
export function readRate(value: unknown): Read<number> {
  const parts =
    typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*\/\s*(.+)$/.exec(value.trim()) : null;
  const form = 'write it like `5/s` or `300/m`';
  if (parts === null) return bad(`${shown(value)} is no rate: ${form}`);
  const [, amount = '', window = ''] = parts;
  const length = readDuration(/^\d/.test(window) ? window : `1${window}`);
  if (!length.ok || length.value < 1) return bad(`${shown(value)} is no rate: ${form}`);
  return good((Number(amount) * SECOND) / length.value);
}

export interface WindowQuota {
  readonly limit: number;
  readonly windowMs: DurationMs;
}

/** `500 requests / 1m`; without a window a minute is meant. */
export function readWindowQuota(value: unknown): Read<WindowQuota> {
  const quota = readQuota(value);
  if (!quota.ok) return quota;
  return good({ limit: quota.value.units, windowMs: quota.value.windowMs ?? MINUTE });
}

export function readLength(value: unknown): Read<DurationMs> {
  const length = readDuration(value);
  return length.ok && length.value < 1 ? bad(`${shown(value)} has no length`) : length;
}

export function readFlag(value: unknown): Read<boolean> {
  return typeof value === 'boolean' ? good(value) : bad(`${shown(value)} must be true or false`);
}

/** Names of agents, identities, pools and models. */
export function readName(value: unknown): Read<string> {
  if (typeof value === 'string' && /^[A-Za-z0-9][\w.@/-]{0,127}$/.test(value)) return good(value);
  return bad(
    `${shown(value)} is no name: use letters, digits, \`-\`, \`_\`, \`.\`, \`/\` and \`@\``,
  );
}

/** `crawler-*`, or a list of such. */
export function readGlobs(value: unknown): Read<readonly string[]> {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const names = list.filter((one): one is string => typeof one === 'string' && one !== '');
  if (names.length === list.length && names.length > 0) return good(names);
  return bad(`${shown(value)} names no agents`);
}

/** A point in time, from the run's beginning. */
export function readTime(value: unknown): Read<MonoMs> {
  const length = readDuration(value);
  return length.ok ? good(Number(length.value)) : length;
}
