/** How quantities are put into words for people; every surface that prints text uses these. */
import { usdText } from '../core/money.ts';

/** `850 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function spanText(ms: number): string {
  const length = Math.max(0, ms);
  if (length < 1000) return `${String(Math.round(length))} ms`;
  const seconds = length / 1000;
  if (seconds < 59.95) return `${String(Math.round(seconds * 10) / 10)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return twoParts(whole, 60, 'min', 1, 's');
  if (whole < 86_400) return twoParts(whole, 3600, 'h', 60, 'min');
  return twoParts(whole, 86_400, 'd', 3600, 'h');
}

function twoParts(value: number, big: number, bigName: string, small: number, smallName: string) {
  const first = Math.floor(value / big);
  const second = Math.floor((value % big) / small);
  const head = `${String(first)} ${bigName}`;
  return second === 0 ? head : `${head} ${String(second)} ${smallName}`;
}

/** `5,000`; fractions keep at most two digits. */
export function countText(value: number): string {
  const rounded = Math.round(value * 100) / 100;
  const [whole = '0', fraction] = String(Math.abs(rounded)).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  const sign = rounded < 0 ? '-' : '';
  return fraction === undefined ? sign + grouped : `${sign}${grouped}.${fraction}`;
}

/** Micro-USD as `$0.05`; other units as `5,000`. */
export function amountText(value: number, unit: string | null): string {
  return unit === 'usd' ? usdText(value) : countText(value);
}

/** `2026-11-21 01:02:03 UTC` of an RFC 3339 string; what cannot be read is given back as it is. */
export function momentText(at: string): string {
  const ms = Date.parse(at);
  if (Number.isNaN(ms)) return at;
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** RFC 3339 in UTC with milliseconds. */
export function timestamp(at: number): string {
  return new Date(at).toISOString();
}

/** Sentinels as words: an agent nobody named is `unknown`. */
export function nameText(id: string): string {
  return id.startsWith('sentinel:') ? id.slice('sentinel:'.length) : id;
}

export function isSentinel(id: string): boolean {
  return id === '' || id.startsWith('sentinel:');
}
